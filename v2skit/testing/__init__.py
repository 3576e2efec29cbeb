"""Contract checks for components of all kinds, for the tests of a plug-in: each is called with a built component.

A check of a network makes small random clips of unequal length and asserts what the toolkit relies on: the shapes of
outputs, zeros where the mask is False, an output for a clip that does not depend on its batch and padding, batch
statistics and gradients without padding, and an error for an input of the wrong length. A network for streaming
declares its receptive field in two attributes, which are then checked: ``left_context_frames`` and
``look_ahead_frames``, the input steps before and after a step on which the output for this step depends. Without them,
or where both are None, the receptive field is the whole clip.

    def test_my_encoder():
        check_encoder(MyEncoder(in_dim=24), in_dim=24)
"""

from v2skit.testing.loggers import check_logger
from v2skit.testing.losses import check_discriminator, check_extractor, check_loss, check_training_loss
from v2skit.testing.networks import padded, without_dropout
from v2skit.testing.parts import (
    check_audio_frontend,
    check_decoder,
    check_encoder,
    check_head,
    check_speaker,
    check_visual_frontend,
    check_vocoder,
)
from v2skit.testing.plugin import check_plugin
from v2skit.testing.preparation import check_corpus, check_tracker
from v2skit.testing.scores import check_asr, check_metric
from v2skit.testing.targets import check_device_target, check_target, check_tokenizer

__all__ = [
    "check_asr",
    "check_audio_frontend",
    "check_corpus",
    "check_decoder",
    "check_device_target",
    "check_discriminator",
    "check_encoder",
    "check_extractor",
    "check_head",
    "check_logger",
    "check_loss",
    "check_metric",
    "check_plugin",
    "check_speaker",
    "check_target",
    "check_tokenizer",
    "check_tracker",
    "check_training_loss",
    "check_visual_frontend",
    "check_vocoder",
    "padded",
    "without_dropout",
]
