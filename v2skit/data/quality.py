"""How good a recording is: length, level, clipping, silence; and what is left out for it."""

from __future__ import annotations

import numpy as np

from v2skit.settings import Filters

FRAME_SECONDS = 0.02
SILENT_BELOW_DB = 40.0
"""Frames this far below a clip's loud ones (95th percentile) are silent; speech has a range of about 30 dB
(ANSI S3.5-1997)."""
SILENT_DBFS = -60.0
"""So are frames below this level, whatever the others are like."""
FLAT_RUN, FLAT_WITHIN, LOUD = 3, 0.0002, 0.5
"""Clipped: at least so many samples in a row within so much of the clip's largest one, where that is loud. Resampling
rounds flat tops off: what was clipped before it goes unseen."""


def measure_sound(sound: np.ndarray, sample_rate: int) -> dict[str, float]:
    """Measure a recording.

    Args:
        sound: float32 (N,), full scale is 1.
        sample_rate: Hz.

    Returns:
        ``seconds``; ``rms_dbfs``; ``clipped_share`` of the samples; ``silence_share`` of the 20 ms frames.
    """
    square = np.square(sound, dtype=np.float64)
    size = round(FRAME_SECONDS * sample_rate)
    frames = square[: len(square) // size * size].reshape(-1, size).mean(1) if len(square) >= size else square[:1]
    levels = 10 * np.log10(frames + 1e-20)
    silent = levels < max(np.percentile(levels, 95) - SILENT_BELOW_DB, SILENT_DBFS)
    return {
        "seconds": round(len(sound) / sample_rate, 4),
        "rms_dbfs": round(float(10 * np.log10(square.mean() + 1e-20)), 2),
        "clipped_share": round(_clipped(np.abs(sound)), 6),
        "silence_share": round(float(silent.mean()), 4),
    }


def _clipped(magnitude: np.ndarray) -> float:
    peak = float(magnitude.max())
    if peak < LOUD:
        return 0.0
    flat = np.concatenate([[0], magnitude >= peak * (1 - FLAT_WITHIN), [0]])
    starts, ends = (np.flatnonzero(np.diff(flat.astype(np.int8)) == step) for step in (1, -1))
    runs = ends - starts
    return float(runs[runs >= FLAT_RUN].sum()) / len(magnitude)


def rejects(filters: Filters, measures: dict[str, float]) -> str | None:
    """Why an utterance is left out, None where it is not."""
    limits = (
        ("seconds", filters.min_seconds, -1, "shorter than {:g} s"),
        ("seconds", filters.max_seconds, 1, "longer than {:g} s"),
        ("clipped_share", filters.max_clipped_share, 1, "more than {:.2%} of the samples clipped"),
        ("silence_share", filters.max_silence_share, 1, "more than {:.0%} silence"),
        ("rms_dbfs", filters.min_rms_dbfs, -1, "below {:g} dBFS"),
    )
    for name, limit, side, reason in limits:
        if limit is not None and name in measures and (measures[name] - limit) * side > 0:
            return reason.format(limit)
    return None
