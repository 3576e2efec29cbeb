"""The recognition loss: what a frozen recogniser of speech makes of the output mel."""

from __future__ import annotations

import torch
from torch import Tensor

from v2skit.config.features import Clock, Mel, check_same_features, feature_settings
from v2skit.config.limits import check_range
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.losses.ctc import Ctc
from v2skit.losses.frozen import FrozenNetwork
from v2skit.models import checkpoint
from v2skit.models.build import build_model, build_targets
from v2skit.models.model import Part
from v2skit.models.output import Output
from v2skit.models.places import digest_in, open_model, place_in


class Recognition(FrozenNetwork):
    """CTC loss of the transcript given the output mel, by a frozen recogniser, and the difference of the recogniser's
    features from those of the target mel (after the ASR losses of Kim et al. 2023, "Lip-to-speech synthesis in the wild
    with multi-task learning").

    The consonant by which two words differ has few frames, so that it has hardly any weight in a loss averaged over
    frames, but decides what a recogniser outputs. Here that is the A2A model of a pre-training with a head ``ctc`` on
    its encoder: it has learned from audio and transcripts alone. It is given the voice that its speaker component has
    for unknown speakers.

    Args:
        clock: given by the toolkit.
        mel: given by the toolkit.
        run: folder of a pre-training run, whose best checkpoint is used, or of one checkpoint; relative to the folder
            that the command runs in.
        stream: name of the target ``tokens``, which is also the output of the recogniser's head.
        ctc_weight: weight of the CTC loss, in nats a token.
        feature_weight: weight of ``sum |f(output) - f(target)| / sum |f(target)|`` over the valid frames, where f are
            the features of the recogniser's encoder.

    Raises:
        UserError: there is no checkpoint, it is not one of pre-training, has other clock or mel settings, other input
            than the mel, no such head, or no voice for unknown speakers.
    """

    _voice: Tensor

    def __init__(
        self,
        clock: Clock,
        mel: Mel,
        run: str,
        stream: str = "tokens",
        ctc_weight: float = 1.0,
        feature_weight: float = 1.0,
    ) -> None:
        folder = place_in(run, "stage 2 (pre-training) makes it, then name it as run", "pretrain")
        saved = open_model(folder, "model", "")
        if saved.meta.task != "a2a":
            raise UserError(f"{run} is of task {saved.meta.task}: no recogniser of audio; name a run of stage 2")
        check_same_features(feature_settings(clock, mel), saved.meta.features, "this config", str(folder))
        config = checkpoint.config_of(saved.meta)
        model = build_model(config, "a2a", saved.meta.speakers, build_targets(config, saved.meta.targets))
        parts: dict[str, Part] = dict(model.heads.items())
        heads = [name for name, on in model.heads_on.items() if on == "encoder" and stream in parts[name].outputs]
        if not heads or model.inputs != ("mel",):
            raise UserError(
                f"{folder} does not recognise '{stream}' from mels: it needs an audio frontend whose input is the mel, "
                f"and a head ctc on its encoder; pre-train with conf/text.yaml among the bases"
            )
        checkpoint.restore(model, saved.inference_weights, folder)
        try:
            voice = torch.as_tensor(model.speaker.voice(None))[None]
        except UserError as error:
            speaker = config.networks.speaker.type
            raise UserError(
                f"{folder}: its speaker component '{speaker}' has no voice for unknown speakers, which the recogniser "
                "needs; name a run with networks.speaker {type: d_vector, dropout: 0.1} or {type: none}"
            ) from error
        super().__init__(model)
        self.ctc_weight, self.feature_weight = ctc_weight, feature_weight
        check_range(self, ctc_weight=(0, 1e6), feature_weight=(0, 1e6))
        self.input, self.reference = "mel", ("mel", stream)
        self.digest = digest_in(folder)
        self._head, self._ctc = heads[0], Ctc(stream)
        self.register_buffer("_voice", voice, persistent=False)

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Mel (B,F,M), tokens (B,L) -> ``{"ctc": scalar, "features": scalar}``, each with its weight."""
        predicted = self._encoded(output.stream("mel").float(), batch.mask)
        with torch.no_grad():
            target = self._encoded(batch.stream("mel"), batch.mask)
        size = target[batch.mask].abs().sum().clamp(min=1e-8)
        difference = (predicted - target)[batch.mask].abs().sum() / size
        logits = Output.of(self.frozen.heads[self._head](predicted, batch.mask))
        ctc = self._ctc(logits, batch)["ctc"]
        return {"ctc": self.ctc_weight * ctc, "features": self.feature_weight * difference}

    def _encoded(self, mel: Tensor, mask: Tensor) -> Tensor:
        """The recogniser's features: mel (B,F,M), mask (B,T) -> (B,T,E)."""
        voice = self._voice.expand(len(mel), *self._voice.shape[1:])
        return self.frozen.encode(self.frozen.frontend(mel, mask), voice, mask).float()
