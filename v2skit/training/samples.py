"""A clip of the validation set, synthesised at each validation: an audio file and a plot of its mel."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from v2skit.config.schema import Config
from v2skit.data.batch import Batch
from v2skit.data.targets import Targets
from v2skit.evaluation.plots import mel_picture
from v2skit.media.synthesised import write_speech
from v2skit.models.build import build_vocoder, needs_vocoder
from v2skit.models.model import Model, Vocoder
from v2skit.signal.mel import MelSpectrogram


class Sample(NamedTuple):
    """A synthesised clip: its waveform (N,), the sample rate, Hz, and the file of its plot."""

    waveform: np.ndarray
    rate: int
    picture: Path


class Sampler:
    """Writes ``step-N.wav`` and ``step-N.png`` (target above, prediction below) of a batch's first clip."""

    def __init__(self, folder: Path, config: Config, model: Model | Vocoder, targets: Targets) -> None:
        self.folder, self.clock = folder, config.clock
        self.vocoder = build_vocoder(config, model.output, targets) if needs_vocoder(model) else None
        self.spectrogram = MelSpectrogram(config.clock, config.mel)

    def write(self, model: Model | Vocoder, batch: Batch, step: int) -> Sample:
        """Synthesise the first clip of a batch."""
        frames = int(batch.mask[0].sum())
        stream = model(batch.inputs(model.inputs).first()).stream(model.output)
        waveform = self.vocoder(stream.cpu()) if self.vocoder else stream
        waveform = waveform[0, : frames * self.clock.samples_per_frame].float().cpu()
        target = batch.waveform[0, : len(waveform)].cpu()
        write_speech(self.folder / f"step-{step:08d}.wav", [waveform.numpy()], self.clock.sample_rate)
        mels = {n: self.spectrogram(w[None])[0].T.numpy() for n, w in (("target", target), ("predicted", waveform))}
        picture = self.folder / f"step-{step:08d}.png"
        mel_picture(picture, mels)
        return Sample(waveform.numpy(), self.clock.sample_rate, picture)
