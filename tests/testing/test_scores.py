"""Metrics and recognisers: the checks accept good ones and refuse the others."""

import numpy as np
import pytest

from v2skit import testing
from v2skit.evaluation.metrics import MetricError, check_pair

SPEECH = np.random.default_rng(0).normal(0, 0.1, 16000)
NOISY = SPEECH + np.random.default_rng(1).normal(0, 0.1, 16000)


class Distance:
    protocol, higher_is_better = "root of the mean squared difference", {"distance": False}

    def __call__(self, reference, hypothesis, rate):
        first, second = check_pair(reference, hypothesis)
        return {"distance": float(np.sqrt(np.mean((first - second) ** 2)))}


class WrongDirection(Distance):
    higher_is_better = {"distance": True}


class AnyLength(Distance):
    def __call__(self, reference, hypothesis, rate):
        return {"distance": abs(float(np.mean(np.abs(reference)) - np.mean(np.abs(hypothesis))))}


class ChangesItsArguments(Distance):
    def __call__(self, reference, hypothesis, rate):
        values = super().__call__(reference, hypothesis, rate)
        hypothesis *= 0.5
        return values


class Remembers(Distance):
    calls = 0

    def __call__(self, reference, hypothesis, rate):
        self.calls += 1
        return {"distance": super().__call__(reference, hypothesis, rate)["distance"] + self.calls}


class SilenceIsZero(Distance):
    """Scale-invariant signal-to-distortion ratio, dB, which for silence is that of 0 and 0."""

    higher_is_better = {"distance": True}

    def __call__(self, reference, hypothesis, rate):
        first, second = check_pair(reference, hypothesis)
        signal = first * (first @ second) / (first @ first)
        noise = second - signal
        return {"distance": float(10 * np.log10((signal @ signal + 1e-20) / (noise @ noise + 1e-20)))}


class UndefinedForSilence(SilenceIsZero):
    def __call__(self, reference, hypothesis, rate):
        return super().__call__(reference, hypothesis, rate) if hypothesis.any() else {"distance": float("nan")}


class RefusesSilence(SilenceIsZero):
    def __call__(self, reference, hypothesis, rate):
        if not hypothesis.any():
            raise MetricError("the hypothesis is silent")
        return super().__call__(reference, hypothesis, rate)


@pytest.mark.parametrize(
    "bad, message",
    [
        (SilenceIsZero, "distance: silence scores better"),
        (UndefinedForSilence, "distance of silence is nan"),
        (WrongDirection, "the reference itself scores worse"),
        (AnyLength, "another length raises no MetricError"),
        (ChangesItsArguments, "changes its arguments"),
        (Remembers, "a second call gives other values"),
    ],
)
def test_metrics(bad, message):
    for good in (Distance, RefusesSilence):
        testing.check_metric(good(), SPEECH, NOISY.copy(), 16000)
    with pytest.raises(AssertionError, match=message):
        testing.check_metric(bad(), SPEECH, NOISY.copy(), 16000)


class Loud:
    protocol = "one word"

    def __call__(self, waveform, rate):
        return ["LOUD"] if np.abs(waveform).max() > 0.1 else []


class LowerCase(Loud):
    def __call__(self, waveform, rate):
        return [word.lower() for word in super().__call__(waveform, rate)]


class Hallucinates(Loud):
    def __call__(self, waveform, rate):
        return ["YOU"]


class Adapts(Loud):
    calls = 0

    def __call__(self, waveform, rate):
        self.calls += 1
        return super().__call__(waveform, rate) * self.calls


@pytest.mark.parametrize(
    "bad, message", [(LowerCase, "not upper case"), (Hallucinates, "in silence"), (Adapts, "after another file")]
)
def test_recognisers(bad, message):
    testing.check_asr(Loud(), SPEECH, 16000)
    with pytest.raises(AssertionError, match=message):
        testing.check_asr(bad(), SPEECH, 16000)
