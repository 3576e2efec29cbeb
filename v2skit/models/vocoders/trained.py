"""A vocoder from a finished run of ``trains: vocoder``."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from v2skit.config.features import Clock, Mel, check_same_features, feature_settings
from v2skit.config.limits import Rounds
from v2skit.errors import UserError
from v2skit.models.vocoders.correction import ROUNDS, MelCorrection


class Trained(nn.Module):
    """The vocoder of a finished run, followed by mel correction where its input is the mel.

    Args:
        clock: given by the toolkit.
        mel: given by the toolkit; must have the settings of the vocoder's training.
        run: folder of a run or of a checkpoint, or a pack, relative to the working directory (a recipe's folder); or
            the address of a pack, ``hf://owner/name``.
        corrections: rounds of :class:`v2skit.models.vocoders.correction.MelCorrection` on the vocoder's output; null:
            8 for a vocoder that was trained on mels of ground-truth audio alone, 0 for one tuned on predicted mels.

    Raises:
        UserError: there is no vocoder in it, or its mel settings differ; names the fields that differ.
    """

    def __init__(self, clock: Clock, mel: Mel, run: str, corrections: Rounds | None = None) -> None:
        # Imported here, since these modules build components, and this is one.
        from v2skit.models import checkpoint
        from v2skit.models.build import build_new_vocoder, build_targets
        from v2skit.models.places import open_model

        super().__init__()
        if corrections is not None and corrections < 0:
            raise UserError(f"corrections {corrections} must not be negative")
        made_by = "--config conf/vocoder_istft.yaml, for units conf/units_vocoder.yaml"
        remedy = f"the vocoder recipe's stage 2 makes it ({made_by}); give its path from here"
        saved = open_model(run, "vocoder", remedy)
        self.digest = saved.meta.digest
        if saved.meta.task != "vocoder":
            raise UserError(f"{run} holds no vocoder but a model of task {saved.meta.task}; give the run of a vocoder")
        check_same_features(feature_settings(clock, mel), saved.meta.features, "the model", f"vocoder {run}")
        config = checkpoint.config_of(saved.meta)
        self.vocoder = build_new_vocoder(config, targets=build_targets(config, saved.meta.targets))
        self.input, self.target_states = self.vocoder.input, saved.meta.targets
        checkpoint.restore(self.vocoder, saved.inference_weights, Path(run))
        self.vocoder.requires_grad_(False)
        if corrections is None:  # only the config of a run on predictions has a predictor
            corrections = ROUNDS if config.predictor is None else 0
        self.correction = MelCorrection(clock, mel, corrections) if self.input == "mel" else None
        if self.correction and corrections:
            self.export_obstacle = "torch exports its mel correction for clips of one length only"
        generator, more = self.vocoder.generator, self.correction.context_frames if self.correction else 0
        for name in ("left_context_frames", "look_ahead_frames"):
            context = getattr(generator, name, None)
            setattr(self, name, None if context is None else context + more)

    def forward(self, stream: Tensor) -> Tensor:
        """Log mel (B,F,M) -> waveform (B, F * hop); or the stream of its ``input`` -> waveform (B,N)."""
        waveform = self.vocoder.generate(stream)
        return self.correction(waveform, stream) if self.correction else waveform
