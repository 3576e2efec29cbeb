"""Plots of mel spectrograms, one below the other, as PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.signal.mel import MelSpectrogram

_WIDTH_INCHES, _ROW_INCHES, _DOTS_PER_INCH = 8.0, 1.6, 100


def spectrogram_picture(path: Path, rows: dict[str, np.ndarray], clock: Clock = Clock(), mel: Mel = Mel()) -> None:
    """Plot log-mel spectrograms of waveforms, for comparing systems by eye.

    Args:
        path: of the .png file.
        rows: title -> waveform (N,), in the order of the plot; all have one colour scale.
        clock: states the sample rate of the waveforms.
        mel: settings of the spectrogram.

    Raises:
        UserError: there are no rows, or a waveform is not mono or shorter than a mel frame.
    """
    for name, waveform in rows.items():
        if waveform.ndim != 1 or len(waveform) < mel.hop:
            raise UserError(f"'{name}' {waveform.shape} can't be drawn: give mono audio of {mel.hop} samples or more")
    spectrogram = MelSpectrogram(clock, mel)
    bins = spectrogram.filters.T.numpy()  # (M, K)
    centres = bins @ np.linspace(0, clock.sample_rate / 2, bins.shape[1]) / bins.sum(1)  # (M,), Hz
    ticks = [hz for hz in (500, 1000, 2000, 4000, 8000) if centres[0] < hz < centres[-1]]
    figure, axes = _draw({n: spectrogram(torch.from_numpy(w)[None])[0].T.numpy() for n, w in rows.items()})
    seconds_per_frame = mel.hop / clock.sample_rate
    for axis in axes:
        axis.set_yticks(np.interp(ticks, centres, np.arange(len(centres))), map(str, ticks))
        axis.set_ylabel("Hz")
        axis.xaxis.set_major_formatter(lambda frame, _: f"{frame * seconds_per_frame:.2f}")
    axes[-1].set_xlabel("s")
    _save(figure, path)


def mel_picture(path: Path, rows: dict[str, np.ndarray]) -> None:
    """Plot log-mel spectrograms by frame and bin: fast enough for every validation.

    Args:
        path: of the .png file.
        rows: title -> log mel (M, F).

    Raises:
        UserError: there are no rows, or one is not two-dimensional.
    """
    figure, axes = _draw(rows)
    for axis in axes:
        axis.set_ylabel("mel bin")
    axes[-1].set_xlabel("mel frame")
    _save(figure, path)


def _draw(rows: dict[str, np.ndarray]) -> tuple[Figure, list[Axes]]:
    """Images of log mels (M, F), one below the other, on one colour scale."""
    if not rows:
        raise UserError("a plot needs at least one row")
    for name, log_mel in rows.items():
        if log_mel.ndim != 2 or not log_mel.size:
            raise UserError(f"'{name}' {log_mel.shape} can't be drawn: give a log mel (mel bins, frames)")
    figure = Figure((_WIDTH_INCHES, 0.5 + _ROW_INCHES * len(rows)), dpi=_DOTS_PER_INCH, layout="constrained")
    axes = list(figure.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0])
    low, high = min(m.min() for m in rows.values()), max(m.max() for m in rows.values())
    for axis, (name, log_mel) in zip(axes, rows.items(), strict=True):
        axis.imshow(log_mel, origin="lower", aspect="auto", interpolation="nearest", vmin=low, vmax=high, cmap="magma")
        axis.set_title(name, loc="left", fontsize="medium")
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png")
