"""A clip of the validation set, synthesised at each validation: an audio file and a plot of its mel."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from v2skit.config.schema import Config
from v2skit.data.batch import Batch, Inputs
from v2skit.evaluation.plots import mel_picture
from v2skit.media.synthesised import write_speech
from v2skit.models.build import build_vocoder
from v2skit.models.model import Model, Vocoder
from v2skit.signal.mel import MelSpectrogram


class Sample(NamedTuple):
    """A synthesised clip: its waveform (N,), the sample rate, Hz, and the file of its plot."""

    waveform: np.ndarray
    rate: int
    picture: Path


class Sampler:
    """Writes ``step-N.wav`` and ``step-N.png`` (target above, prediction below) of a batch's first clip."""

    def __init__(self, folder: Path, config: Config, output: str) -> None:
        self.folder, self.clock = folder, config.clock
        self.vocoder = build_vocoder(config) if output == "mel" else None
        self.spectrogram = MelSpectrogram(config.clock, config.mel)

    def write(self, model: Model | Vocoder, batch: Batch, step: int) -> Sample:
        """Synthesise the first clip of a batch."""
        inputs = batch.inputs(model.input)
        frames = int(batch.mask[0].sum())
        output = model(Inputs(inputs.signal[:1], inputs.mask[:1], inputs.speaker[:1]))
        waveform = self.vocoder(output.mel.cpu()) if self.vocoder else output.waveform
        waveform = waveform[0, : frames * self.clock.samples_per_frame].float().cpu()
        target = batch.waveform[0, : len(waveform)].cpu()
        write_speech(self.folder / f"step-{step:08d}.wav", [waveform.numpy()], self.clock.sample_rate)
        mels = {n: self.spectrogram(w[None])[0].T.numpy() for n, w in (("target", target), ("predicted", waveform))}
        picture = self.folder / f"step-{step:08d}.png"
        mel_picture(picture, mels)
        return Sample(waveform.numpy(), self.clock.sample_rate, picture)
