"""Quality measures of audio: length, level, clipping and silence; and filters on them."""

from __future__ import annotations

import numpy as np

from v2skit.config.prepare import Filters

FRAME_SECONDS = 0.02
SILENT_BELOW_DB = 40.0
"""Frames this far below the loud ones (95th percentile) are silent; speech has a range of about 30 dB
(ANSI S3.5-1997)."""
SILENT_DBFS = -60.0
"""Frames below this level are always silent."""

FINE_STEP, BAND_STEPS = 0.01, 5
"""The histogram of magnitudes has bins of 1 %, and five of them are a band."""
LOWEST_CEILING = 0.5
"""Lower limit of the clipping level, as a share of the largest sample: resampling of clipped audio overshoots."""


def measure_audio(audio: np.ndarray, sample_rate: int) -> dict[str, float]:
    """Measure audio.

    Args:
        audio: float32 (N,), full scale is 1.
        sample_rate: Hz.

    Returns:
        ``seconds``; ``rms_dbfs``; ``clipped_share`` of the samples, see :func:`clipped_share`; ``silence_share`` of the
        20 ms frames.
    """
    square = np.square(audio, dtype=np.float64)
    size = round(FRAME_SECONDS * sample_rate)
    frames = square[: len(square) // size * size].reshape(-1, size).mean(1) if len(square) >= size else square[:1]
    levels = 10 * np.log10(frames + 1e-20)
    silent = levels < max(np.percentile(levels, 95) - SILENT_BELOW_DB, SILENT_DBFS)
    return {
        "seconds": round(len(audio) / sample_rate, 4),
        "rms_dbfs": round(float(10 * np.log10(square.mean() + 1e-20)), 2),
        "clipped_share": round(clipped_share(audio), 6),
        "silence_share": round(float(silent.mean()), 4),
    }


def clipped_share(audio: np.ndarray) -> float:
    """The share of clipped samples, at any clipping level.

    In speech, large magnitudes are rarer than smaller ones, except at a clipping level (histograms of amplitudes, as in
    Eaton and Naylor, *Detection of clipping in coded speech signals*, EUSIPCO 2013). The measure is the largest excess
    of a band over the one below it. Runs of equal samples, the usual criterion, do not survive the resampling of a
    corpus. Clipped and resampled speech measures about two thirds of the true share (LibriSpeech, LJSpeech), clean
    speech mostly below 0.0005; a steady tone counts as clipped.

    Args:
        audio: float (N,).
    """
    magnitude = np.abs(audio)
    peak = float(magnitude.max(initial=0.0))
    if not peak:
        return 0.0
    steps = round(-np.log(LOWEST_CEILING) / FINE_STEP) + 2 * BAND_STEPS
    edges = peak * np.exp(-FINE_STEP * np.arange(steps, -1, -1))
    edges[-1] = np.inf
    above = np.concatenate([[0], np.cumsum(np.histogram(magnitude, edges)[0])])
    bands = above[BAND_STEPS:] - above[:-BAND_STEPS]
    return max(0, int((bands[BAND_STEPS:] - bands[:-BAND_STEPS]).max())) / len(audio)


def limits(filters: Filters) -> list[tuple[str, float, int, str]]:
    """(measure, limit, 1 for an upper or -1 for a lower limit, description) of each limit."""
    every = (
        ("seconds", filters.min_seconds, -1, "shorter than {:g} s"),
        ("seconds", filters.max_seconds, 1, "longer than {:g} s"),
        ("clipped_share", filters.max_clipped_share, 1, "more than {:.2%} of the samples clipped"),
        ("silence_share", filters.max_silence_share, 1, "more than {:.0%} silence"),
        ("rms_dbfs", filters.min_rms_dbfs, -1, "below {:g} dBFS"),
    )
    return [(name, limit, side, words.format(limit)) for name, limit, side, words in every if limit is not None]


def rejects(filters: Filters, measures: dict[str, float]) -> str | None:
    """Why an utterance is filtered, None where it is not."""
    for name, limit, side, words in limits(filters):
        if name in measures and (measures[name] - limit) * side > 0:
            return words
    return None
