"""Metrics at signals whose scores are known, and at files that can't be scored."""

import math
import pickle
import sys

import numpy as np
import pytest

from tests.evaluation.signals import RATE, babble, white
from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.evaluation.metrics import MetricError, resample
from v2skit.registry.plugins import registry
from v2skit.signal.mel import MelSpectrogram

NEEDS = {"stoi": "pystoi", "estoi": "pystoi", "pesq_wb": "pesq", "pesq_nb": "pesq", "mcd": "numpy"}
NEEDS |= {"mcd_dtw": "numpy", "global_variance": "numpy"}
NEEDS |= {"f0_rmse": "parselmouth", "voicing_error": "parselmouth"}
EXTRAS = {"pesq": "pesq", "parselmouth": "f0"}
PERFECT = {
    "stoi": 1.0,
    "estoi": 1.0,
    "pesq_wb": 4.644,
    "pesq_nb": 4.549,
    "mcd": 0.0,
    "mcd_dtw": 0.0,
    "global_variance": 0.0,
    "f0_rmse": 0.0,
    "voicing_error": 0.0,
}
"""The two of PESQ: the raw score 4.5 through the mappings of P.862.2 and P.862.1."""


OF_THEIR_OWN = {"lsd", "dnsmos", "distillmos", "lse", "speaker_similarity"}
"""Metrics that are tested in files of their own."""
MEL_METRICS = ("mcd", "mcd_dtw", "global_variance")


def metric(name, **arguments):
    pytest.importorskip(NEEDS[name], reason=f"{NEEDS[name]} is not installed")
    return registry().entry("metric", name).load()(**arguments)


def value(name, reference, hypothesis):
    scores = metric(name)(reference, hypothesis, RATE)
    assert list(scores) == [name]
    return scores[name]


def test_every_metric_is_tested():
    assert {e.name for e in registry().entries("metric") if e.origin == "v2skit"} == set(PERFECT) | OF_THEIR_OWN


@pytest.mark.parametrize("name", PERFECT)
def test_the_reference_itself_is_perfect_whatever_its_level(name):
    sound = babble() if name not in MEL_METRICS else white(babble())  # speech has bins at the floor of the mel
    assert value(name, sound, sound) == pytest.approx(PERFECT[name], abs=1e-3)
    assert value(name, sound, 0.5 * sound) == pytest.approx(PERFECT[name], abs=0.01)


WORST = {"stoi": 0.5, "estoi": 0.2, "pesq_wb": 1.3, "pesq_nb": 1.8, "mcd": 8, "f0_rmse": 600, "voicing_error": 0.3}
WORST |= {"mcd_dtw": 8, "global_variance": 5}
MUCH = {"voicing_error": 1.0}
"""Share of the noise that is much for a metric, where that is not 0.01."""


@pytest.mark.parametrize(("name", "worst"), WORST.items())
def test_scores_fall_with_noise_and_noise_alone_is_bad(name, worst):
    sound, noise = babble(), white(babble())
    direction = 1 if metric(name).higher_is_better[name] else -1
    hypotheses = sound + noise / 1000, sound + MUCH.get(name, 0.01) * noise, noise
    little, much, alone = (direction * value(name, sound, h) for h in hypotheses)
    assert little > much > alone
    assert alone < direction * worst


@pytest.mark.parametrize("name", PERFECT)
def test_a_metric_pickles_and_names_its_protocol(name):
    one = metric(name)
    again = pickle.loads(pickle.dumps(one))
    sounds = babble(), babble() + white(babble())
    assert again(*sounds, RATE) == pytest.approx(one(*sounds, RATE))
    assert again.protocol == one.protocol and len(one.protocol) > 20


@pytest.mark.parametrize("name", PERFECT)
def test_what_can_not_be_compared_is_refused(name):
    score, sound = metric(name), babble()
    with pytest.raises(MetricError, match="equally long.*stage 5"):
        score(sound, sound[:-1], RATE)
    with pytest.raises(MetricError, match="mono"):
        score(np.stack([sound, sound]), np.stack([sound, sound]), RATE)
    with pytest.raises(MetricError, match="reference is silent"):
        score(0 * sound, sound, RATE)
    with pytest.raises(MetricError, match="not finite"):
        score(sound, np.where(np.arange(len(sound)) == 7, np.nan, sound), RATE)


@pytest.mark.parametrize("name", PERFECT)
@pytest.mark.parametrize("samples", [1, 100, 2400, 8000])
def test_a_short_clip_has_a_score_or_a_reason(name, samples):
    sound = babble()[:samples]
    try:
        (score,) = metric(name)(sound, sound, RATE).values()
        assert math.isfinite(score)
    except MetricError as error:
        assert str(error)


def test_silence_has_the_lowest_score():
    sound = babble()
    assert value("stoi", sound, 0 * sound) == value("estoi", sound, 0 * sound) == 0
    for name in ("pesq_wb", "pesq_nb"):
        assert value(name, sound, 0 * sound) == 0.999
        noise = np.random.default_rng(0).normal(0, 0.3, len(sound))
        assert value(name, sound, noise) > value(name, sound, 0 * sound)
    for name in MEL_METRICS:
        assert 15 < value(name, sound, 0 * sound) < math.inf


def test_stoi_wants_enough_speech_in_the_reference():
    sound = babble()
    blip = np.where(np.arange(len(sound)) < 0.2 * RATE, sound, 0)
    for reference in (blip, sound[: RATE // 4]):
        with pytest.raises(MetricError, match="less than 0.4 s of speech"):
            value("stoi", reference, reference)


def shaped(noise, cepstrum, ripple):
    """Noise through a filter of log magnitude ``ripple * cos(pi * cepstrum * (k + 1/2) / M)`` over mel bins k."""
    filters = MelSpectrogram(Clock(), Mel()).filters.T.numpy()  # (M, K)
    hz = np.linspace(0, RATE / 2, filters.shape[1])
    centres = filters @ hz / filters.sum(1)
    spectrum = np.fft.rfft(noise)
    bins = np.interp(np.linspace(0, RATE / 2, len(spectrum)), centres, np.arange(len(centres)))
    return np.fft.irfft(spectrum * np.exp(ripple * np.cos(np.pi * cepstrum * (bins + 0.5) / len(centres))), len(noise))


@pytest.mark.parametrize("cepstrum, ripple", [(1, 0.5), (4, 0.5), (8, 0.25), (20, 0.5)])
def test_mcd_of_one_cepstrum_has_a_closed_form(cepstrum, ripple):
    noise = white(np.empty(RATE))
    expected = 10 / math.log(10) * math.sqrt(2) * ripple if cepstrum <= 13 else 0.0
    assert value("mcd", noise, shaped(noise, cepstrum, ripple)) == pytest.approx(expected, rel=0.05, abs=0.25)


def test_mcd_of_two_cepstra_adds_their_squares_and_order_cuts():
    noise = white(np.empty(RATE))
    hypothesis = shaped(shaped(noise, 2, 0.3), 6, 0.4)
    decibels = 10 / math.log(10) * math.sqrt(2)
    assert value("mcd", noise, hypothesis) == pytest.approx(decibels * 0.5, rel=0.05)
    assert metric("mcd", order=4)(noise, hypothesis, RATE)["mcd"] == pytest.approx(decibels * 0.3, rel=0.05)


def test_mcd_leaves_out_the_silence_of_the_reference():
    noise, other = white(np.empty(2 * RATE)), white(np.empty(2 * RATE), seed=2)
    loud = np.arange(len(noise)) < RATE
    hypothesis = np.where(loud, noise, other)
    assert value("mcd", np.where(loud, noise, 1e-3 * noise), hypothesis) < 0.1
    assert value("mcd", noise, hypothesis) > 0.5


@pytest.mark.parametrize("arguments", [{"order": 0}, {"order": 80}, {"range_db": 0}, {"max_hz": 100.0}])
def test_mcd_refuses_arguments_out_of_range(arguments):
    with pytest.raises(UserError, match="must be 1 to 79|must be more than 0, and max_hz above"):
        metric("mcd", **arguments)


def test_dynamic_time_warping_forgives_what_is_late_and_plain_mcd_does_not():
    sound = babble(1.0)
    late = np.concatenate([np.zeros(RATE // 10), sound])[: len(sound)]
    assert value("mcd_dtw", sound, late) < 0.4 * value("mcd", sound, late)
    other = babble(1.0, seed=3)
    assert value("mcd_dtw", sound, other) <= value("mcd", sound, other)


def test_global_variance_of_half_the_changes_is_6_db_less():
    noise = white(np.empty(2 * RATE))
    loud = 10 ** (np.sin(np.arange(len(noise)) * 2 * np.pi * 3 / RATE))  # modulated by +-20 dB, much more than noise
    assert value("global_variance", loud * noise, np.sqrt(loud) * noise) == pytest.approx(6.0, abs=0.7)
    assert value("global_variance", np.sqrt(loud) * noise, loud * noise) == pytest.approx(6.0, abs=0.7)


def test_resampling_keeps_a_tone_and_the_length():
    tone = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    expected = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert np.abs(resample(tone, RATE, 16000) - expected)[200:-200].max() < 1e-2
    assert len(resample(tone[:7], RATE, 16000)) == 5 and resample(tone, RATE, RATE) is tone


@pytest.mark.parametrize(
    "kind, name", [("metric", n) for n in PERFECT if n not in MEL_METRICS] + [("asr", "pocketsphinx")]
)
def test_a_missing_package_is_named_with_its_extra(kind, name, monkeypatch):
    component = registry().entry(kind, name).load()
    package = NEEDS.get(name, name)
    monkeypatch.setitem(sys.modules, package, None)
    extra = EXTRAS.get(package, "evaluate")
    message = rf"can't be imported .*{package}.*pip install 'v2skit\[{extra}\]'.*, or drop it"
    with pytest.raises(UserError, match=message):
        component()
