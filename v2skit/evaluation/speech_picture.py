"""Waveform and spectrogram of a sound file of any length, as PNG."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import soundfile
from matplotlib.figure import Figure

from v2skit.errors import UserError

_SIZE_INCHES, _DOTS_PER_INCH = (8.0, 3.4), 100

_COLUMNS, _WAVES = 1600, 4
"""Maximum number of columns of the spectrogram (for longer sounds, means), and columns of the waveform per each."""

_HIGHEST_HERTZ, _RANGE_DECIBEL = 8000, 70


def speech_picture(path: Path, speech: Path) -> None:
    """Waveform and spectrogram, read and reduced piece by piece.

    Args:
        path: .png.
        speech: mono sound file.

    Raises:
        UserError: the file can't be read, or is empty.
    """
    ranges, powers = [], []
    try:
        with soundfile.SoundFile(os.fsencode(speech)) as sound:
            rate, seconds = sound.samplerate, sound.frames / sound.samplerate
            hop = _WAVES * round(0.01 * rate / _WAVES)
            window = np.hanning(4 * hop).astype(np.float32)
            every = max(1, math.ceil(sound.frames / hop / _COLUMNS))
            column = every * hop
            before = np.zeros(len(window) - hop, np.float32)
            while len(piece := sound.read(column * max(1, _COLUMNS // every), "float32")):
                piece = np.pad(piece, (0, -len(piece) % column))
                waves = piece.reshape(-1, column // _WAVES)
                ranges.append(np.stack([waves.min(1), waves.max(1)]))
                joined = np.concatenate([before, piece])
                before = joined[-len(before) :]
                windows = np.lib.stride_tricks.sliding_window_view(joined, len(window))[::hop]
                power = np.square(np.abs(np.fft.rfft(windows * window)))  # (F, K)
                powers.append(power.reshape(-1, every, power.shape[1]).mean(1))
    except soundfile.LibsndfileError as error:
        raise UserError(f"sound file {speech} can't be read: {error}") from error
    if not powers:
        raise UserError.about(speech, "is empty; synthesise it again")
    low, high = np.concatenate(ranges, 1)
    power = np.concatenate(powers)[:, : _HIGHEST_HERTZ * len(window) // rate + 1]  # (columns, bins)
    figure = Figure(_SIZE_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2))
    above.fill_between(np.arange(len(low)) * column / _WAVES / rate, low, high, step="post", lw=0.5, color="#b5367a")
    above.set_ylim(-1, 1)
    above.set_yticks([-1, 0, 1])
    decibel = 10 * np.log10(power.T + 1e-10)
    early = len(before) / 2 / rate  # from a window's middle to that of its last hop, seconds
    below.imshow(
        decibel,
        origin="lower",
        aspect="auto",
        extent=(-early, len(power) * column / rate - early, 0, power.shape[1] * rate / len(window) / 1000),
        vmin=decibel.max() - _RANGE_DECIBEL,
        cmap="magma",
    )
    below.set_facecolor("black")
    below.set_xlim(0, seconds)
    below.set_xlabel("s")
    below.set_ylabel("kHz")
    figure.savefig(path, format="png")
