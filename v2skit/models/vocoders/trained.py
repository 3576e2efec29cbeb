"""A vocoder that ``trains: vocoder`` made."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from v2skit.config.features import Clock, Mel, check_same_features, feature_settings
from v2skit.errors import UserError
from v2skit.models.vocoders.correction import MelCorrection


class Trained(nn.Module):
    """The vocoder of a finished run.

    Args:
        clock: given by the toolkit.
        mel: given by the toolkit; must be what the vocoder was trained on.
        run: folder of the run, or of one checkpoint, or a pack; from where the command is given, a recipe's folder.
        corrections: rounds of :class:`v2skit.models.vocoders.correction.MelCorrection` on what the vocoder gives.

    Raises:
        UserError: there is no vocoder in it, or its mel settings differ; the fields that do are named.
    """

    def __init__(self, clock: Clock, mel: Mel, run: str, corrections: int = 8) -> None:
        # Imported here: these build components, of which this is one.
        from v2skit.models import checkpoint
        from v2skit.models.build import build_new_vocoder
        from v2skit.models.package import open_model

        super().__init__()
        if corrections < 0:
            raise UserError(f"corrections {corrections} must not be negative")
        remedy = "the vocoder recipe's stage 2 makes it (--config conf/vocoder_istft.yaml); give its path from here"
        saved, self.digest = open_model(Path(run), "vocoder", remedy)
        if saved.meta.task != "vocoder":
            raise UserError(f"{run} holds no vocoder but a model of task {saved.meta.task}; give the run of a vocoder")
        check_same_features(feature_settings(clock, mel), saved.meta.features, "the model", f"vocoder {run}")
        self.vocoder = build_new_vocoder(checkpoint.config_of(saved.meta))
        checkpoint.restore(self.vocoder, saved.averaged or saved.weights, Path(run))
        self.vocoder.requires_grad_(False)
        self.correction = MelCorrection(clock, mel, corrections)
        generator = self.vocoder.generator
        for name in ("left_context_frames", "look_ahead_frames"):
            known = getattr(generator, name, None)
            setattr(self, name, None if known is None else known + self.correction.reach_frames)

    def forward(self, mel: Tensor) -> Tensor:
        """Log mel (B,F,M) -> waveform (B, F * hop)."""
        return self.correction(self.vocoder.generate(mel), mel)
