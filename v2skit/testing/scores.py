"""The contracts of metrics and speech recognisers, which processes of stage 6 have copies of."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from v2skit.evaluation.metrics import MetricError


def check_metric(
    metric: Any, reference: np.ndarray, hypothesis: np.ndarray, rate: int, video: Path | None = None
) -> None:
    """Raises AssertionError where a metric breaks its contract, see :class:`v2skit.evaluation.metrics.Metric`.

    Args:
        metric: the component; where it has ``other_clips``, the reference stands for one.
        video: with the whole face, as long as the speech, for metrics that need it.
        reference: speech (N,), in [-1, 1].
        hypothesis: other or distorted speech (N,), in [-1, 1].
        rate: Hz.
    """
    assert isinstance(metric.protocol, str) and metric.protocol.strip(), "its attribute protocol is no text"
    before = reference.copy(), hypothesis.copy()
    others: dict[str, Any] = {"others": [reference.copy()]} if getattr(metric, "other_clips", 0) else {}
    if getattr(metric, "needs_video", False):
        others["video"] = video
    values = metric(reference, hypothesis, rate, **others)
    assert values.keys() == metric.higher_is_better.keys(), f"{list(values)} are not the names in higher_is_better"
    for name, value in values.items():
        assert isinstance(value, (int, float)) and math.isfinite(value), f"{name} is {value!r}, no finite number"
    assert np.array_equal(reference, before[0]) and np.array_equal(hypothesis, before[1]), "it changes its arguments"
    for what, other in (("a second call", metric), ("a copy for another process", pickle.loads(pickle.dumps(metric)))):
        again = other(reference, hypothesis, rate, **others)
        close = all(math.isclose(again[name], value, rel_tol=1e-4, abs_tol=1e-6) for name, value in values.items())
        assert close, f"{what} gives other values"
    for name, best in metric(reference, reference.copy(), rate, **others).items():
        if not getattr(metric, "intrusive", True):
            break  # what predicts opinions, and does not compare, may be wrong about any two sounds
        worse = values[name] > best if metric.higher_is_better[name] else values[name] < best
        assert not worse, f"{name}: the reference itself scores worse ({best:g}) than the hypothesis ({values[name]:g})"
    _check_silence(metric, reference, rate, others)
    try:
        metric(reference, hypothesis[:-1], rate, **others)
    except MetricError:
        return
    raise AssertionError("a hypothesis of another length raises no MetricError")


def _check_silence(metric: Any, reference: np.ndarray, rate: int, others: dict[str, Any]) -> None:
    """Raises AssertionError where silence has no finite score, or a better one than speech with noise.

    That is quiet, so that it is closer to the reference than silence is by any distance; its noise follows the level of
    the speech, 6 dB above it (MNRU, ITU-T P.810).
    """
    try:
        silent = metric(reference, np.zeros_like(reference), rate, **others)
    except MetricError:
        return
    noisy = 0.1 * reference * (1 + 2 * np.random.default_rng(7).standard_normal(len(reference)))
    values = metric(reference, noisy.astype(reference.dtype), rate, **others)
    for name, value in silent.items():
        assert math.isfinite(value), f"{name} of silence is {value!r}; give it the lowest score, or raise MetricError"
        if getattr(metric, "intrusive", True):
            better = value > values[name] if metric.higher_is_better[name] else value < values[name]
            assert not better, f"{name}: silence scores better ({value:g}) than speech with noise ({values[name]:g})"


def check_asr(asr: Any, waveform: np.ndarray, rate: int) -> None:
    """Raises AssertionError where a speech recogniser breaks its contract, see :class:`v2skit.evaluation.asr.Asr`.

    Args:
        asr: the component.
        waveform: speech (N,), in [-1, 1].
        rate: Hz.
    """
    assert isinstance(asr.protocol, str) and asr.protocol.strip(), "its attribute protocol is no text"
    words = asr(waveform.copy(), rate)
    silence = asr(np.zeros_like(waveform), rate)
    for found in (words, silence):
        assert isinstance(found, list) and all(isinstance(word, str) for word in found), (
            f"{found!r} is no list of words"
        )
        assert all(word and word == word.upper() and not word.isspace() for word in found), f"{found} is not upper case"
    assert not silence, f"it recognises {silence} in silence"
    for what, other in (
        ("after another file", asr),
        ("of a copy for another process", pickle.loads(pickle.dumps(asr))),
    ):
        assert other(waveform.copy(), rate) == words, f"the words {what} are others"
