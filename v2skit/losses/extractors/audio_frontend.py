"""The audio frontend of a finished pre-training as a feature extractor, without third-party weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from v2skit.config.features import Clock, Mel, check_same_features, feature_settings
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.model import stream_names
from v2skit.models.places import digest_in, open_model, place_in
from v2skit.registry.build import build
from v2skit.signal.mel import MelSpectrogram

PREFIX = "frontend."


class AudioFrontend(nn.Module):
    """Features of a pre-trained A2A model's frontend, at the video frame rate.

    Args:
        clock: given by the toolkit.
        mel: given by the toolkit.
        run: folder of a pre-training run, whose best checkpoint is used, or of one checkpoint; relative to the
            folder that the command runs in.

    Raises:
        UserError: there is no checkpoint, it is not one of pre-training, has other clock or mel settings, or its
            frontend has other inputs than mel and waveform.
    """

    def __init__(self, clock: Clock, mel: Mel, run: str) -> None:
        super().__init__()
        folder = place_in(run, "stage 2 of conf/mel.yaml (pre-training) makes it, then name it as run")
        saved = open_model(folder, "model", "")
        if saved.meta.task != "a2a":
            raise UserError(f"{run} is of task {saved.meta.task}: no audio frontend in it; name a run of stage 2")
        check_same_features(feature_settings(clock, mel), saved.meta.features, "this config", str(folder))
        choice = checkpoint.config_of(saved.meta).networks.audio_frontend
        self.frontend = build("audio_frontend", choice, clock=clock, mel=mel)
        self.inputs = stream_names(self.frontend.input)
        others = [name for name in self.inputs if name not in ("mel", "waveform")]
        if others:
            raise UserError(
                f"{folder}: the input '{others[0]}' of its audio frontend '{choice.type}' is not computed from a "
                "waveform; name a run whose audio frontend has the inputs mel or waveform"
            )
        weights = saved.inference_weights
        theirs = {k.removeprefix(PREFIX): v for k, v in weights.items() if k.startswith(PREFIX)}
        checkpoint.restore(self.frontend, theirs, folder)
        self.digest = digest_in(folder)
        self.samples_per_frame = clock.samples_per_frame
        self.spectrogram = MelSpectrogram(clock, mel)

    def forward(self, waveform: Tensor) -> list[Tensor]:
        """(B, T * samples_per_frame) -> [(B,T,D)]."""
        mask = waveform.new_ones(len(waveform), waveform.shape[1] // self.samples_per_frame, dtype=torch.bool)
        signals = (self.spectrogram(waveform) if name == "mel" else waveform for name in self.inputs)
        return [self.frontend(*signals, mask)]
