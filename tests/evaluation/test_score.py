"""Scores of a folder of speech: every file is a number or a counted failure."""

import dataclasses
import json

import numpy as np
import pytest

from tests.evaluation.signals import RATE, babble
from v2skit.data.data_dir import Utterance
from v2skit.errors import UserError
from v2skit.evaluation.markdown import to_markdown
from v2skit.evaluation.mcd import Mcd
from v2skit.evaluation.metrics import MetricError
from v2skit.evaluation.report import summarise
from v2skit.evaluation.score import score
from v2skit.media.audio import write_audio
from v2skit.signal.delay import delayed

WORDS = "BIN BLUE AT F TWO NOW"


class Level:
    """Level of the hypothesis less that of the reference, dB; a metric without a package."""

    protocol = "level, dB"
    higher_is_better = {"level": True, "twice": True}

    def __call__(self, reference, hypothesis, rate):
        if len(reference) != len(hypothesis):
            raise MetricError("not equally long")
        with np.errstate(divide="ignore"):
            level = 10 * np.log10(np.mean(hypothesis**2) / np.mean(reference**2))
        return {"level": level, "twice": 2 * level}


class Constant:
    """A recogniser with one and the same answer unless the waveform is silent."""

    protocol = "the same answer always"

    def __call__(self, waveform, rate):
        return [*WORDS.split()[:5], "AGAIN"] if waveform.any() else []


class Broken:
    """A metric and a recogniser with an unexpected error."""

    protocol = "none"
    higher_is_better = {"broken": True}

    def __call__(self, *_):
        raise ZeroDivisionError("division by zero")


@pytest.fixture
def utterances(tmp_path):
    made = []
    for number in range(4):
        audio = tmp_path / "audio" / f"s1-{number}.flac"
        write_audio(audio, babble(1.0, number), RATE)
        made.append(Utterance(f"s1-{number}", "s1", 25, audio, text=WORDS))
    return made


@pytest.fixture
def speech(tmp_path, utterances):
    folder = tmp_path / "pretrained"
    for number, utterance in enumerate(utterances):
        write_audio(folder / f"{utterance.id}.wav", 0.5 * babble(1.0, number), RATE)
    return folder


def test_every_file_has_its_numbers(utterances, speech):
    scores = score(utterances, speech, {"level": Level()}, Constant(), RATE)
    assert [f.id for f in scores.files] == [u.id for u in utterances]
    for file in scores.files:
        assert file.values == pytest.approx({"level": -6.02, "twice": -12.04, "wer": 1 / 6, "cer": 5 / 21}, abs=0.01)
        assert not file.failures and file.hypothesis[-1] == "AGAIN" and file.edits.substitutions == 1
    assert scores.higher_is_better == {"level": True, "twice": True, "wer": False, "cer": False}
    assert scores.protocols["twice"] == Level.protocol and scores.protocols["wer"] == Constant.protocol
    assert Constant.protocol in scores.protocols["cer"]
    lines = [json.loads(line) for line in (speech / "scores.jsonl").read_text().splitlines()]
    assert lines == [{**dataclasses.asdict(file), "protocol": None} for file in scores.files]
    assert [file.speaker for file in scores.files] == [u.speaker for u in utterances]


def test_ground_truth_is_scored_against_itself(utterances):
    scores = score(utterances, None, {"level": Level()}, Constant(), RATE)
    assert all(f.values["level"] == 0 and "wer" in f.values for f in scores.files)


def test_late_speech_is_scored_as_it_is_and_time_aligned(utterances, speech):
    for number, utterance in enumerate(utterances[:3]):
        write_audio(speech / f"{utterance.id}.wav", delayed(babble(1.0, number), 480 * number), RATE)
    (speech / "s1-3.wav").unlink()
    scores = score(utterances, speech, {"mcd": Mcd()}, Constant(), RATE)
    aligned = scores.aligned
    assert [f.values.get("lag_ms") for f in aligned.files] == [0, *(pytest.approx(x, abs=0.5) for x in (20, 40)), None]
    assert aligned.files[0].values["mcd"] == scores.files[0].values["mcd"]
    for plain, better in zip(scores.files[1:3], aligned.files[1:3], strict=True):
        assert better.values["mcd"] < 0.6 * plain.values["mcd"] and better.values.keys() == {"mcd", "lag_ms"}
    assert aligned.files[3].failures == dict.fromkeys(("lag_ms", "mcd"), "missing: not synthesised")
    assert list(aligned.higher_is_better) == list(aligned.protocols) == ["mcd", "lag_ms"]
    truth = score(utterances, None, {"mcd": Mcd()}, None, RATE)
    assert all(f.values == {"lag_ms": 0, "mcd": 0} for f in truth.aligned.files)
    assert score(utterances, speech, {"mcd": Mcd()}, None, RATE, aligned=False).aligned is None


def test_the_lag_of_a_file_of_wrong_length_is_a_counted_failure(utterances, speech):
    write_audio(speech / "s1-1.wav", babble(1.0)[:-1], RATE)
    files = score(utterances, speech, {"mcd": Mcd()}, None, RATE).aligned.files
    assert files[1].failures.keys() == {"lag_ms", "mcd"} and "equally long" in files[1].failures["lag_ms"]


def test_bad_files_are_counted_with_the_reason_and_never_a_number(utterances, speech):
    (speech / "s1-0.wav").unlink()
    write_audio(speech / "s1-1.wav", babble(1.0)[:-1], RATE)
    (speech / "s1-2.wav").write_bytes(b"no sound at all")
    write_audio(speech / "s1-3.wav", np.zeros(RATE), RATE)
    files = score(utterances, speech, {"level": Level()}, Constant(), RATE).files
    assert files[0].failures == dict.fromkeys(("level", "twice", "wer", "cer"), "missing: not synthesised")
    assert files[1].failures == dict.fromkeys(("level", "twice"), "not equally long") and "wer" in files[1].values
    assert files[2].failures.keys() == {"level", "twice", "wer", "cer"} and "can't be read" in files[2].failures["wer"]
    assert files[3].failures == dict.fromkeys(("level", "twice"), "not finite: -inf")
    assert files[3].values == {"wer": 1.0, "cer": 1.0} and files[3].hypothesis == []
    assert all(np.isfinite(v) for f in files for v in f.values.values())
    assert all(f.reference == WORDS.split() for f in files)


def test_the_length_and_rate_of_a_hypothesis_must_be_right_for_the_shipped_metrics_too(utterances, speech):
    write_audio(speech / "s1-1.wav", babble(1.0)[:-1], RATE)
    write_audio(speech / "s1-2.wav", babble(1.0), 16000)
    files = score(utterances, speech, {"mcd": Mcd()}, None, RATE).files
    assert "equally long" in files[1].failures["mcd"] and "24000 Hz; synthesise it again" in files[2].failures["mcd"]
    assert [set(f.values) for f in files] == [{"mcd"}, set(), set(), {"mcd"}]


def test_pesq_of_silence_is_its_lowest_score_and_counted(utterances, speech):
    pytest.importorskip("pesq", reason="pesq is not installed")
    from v2skit.evaluation.pesq import PesqWideBand

    write_audio(speech / "s1-0.wav", np.zeros(RATE), RATE)
    scores = score(utterances[:2], speech, {"pesq_wb": PesqWideBand()}, None, RATE)
    silent, other = scores.files
    assert silent.silent and not other.silent and not silent.failures
    assert silent.values["pesq_wb"] == PesqWideBand.lowest and other.values["pesq_wb"] > 4
    results = summarise({"pretrained": scores}, [], bootstrap=10, seed=1)
    assert results["silent"] == {"pretrained": 1}
    assert "Silent files, which have the lowest scores of STOI, ESTOI and PESQ: pre-trained 1." in to_markdown(results)


def test_an_error_in_a_metric_or_recogniser_costs_that_file_that_score_only(utterances, speech):
    files = score(utterances, speech, {"broken": Broken(), "level": Level()}, Broken(), RATE).files
    for file in files:
        assert file.failures == dict.fromkeys(("broken", "wer", "cer"), "ZeroDivisionError: division by zero")
        assert file.values.keys() == {"level", "twice"}


def test_utterances_without_sound_or_words_are_counted(utterances, speech):
    mute = [dataclasses.replace(utterances[0], audio=None), dataclasses.replace(utterances[1], text=None)]
    files = score(mute, speech, {"level": Level()}, Constant(), RATE).files
    assert files[0].failures == dict.fromkeys(("level", "twice"), "no ground-truth audio") and "wer" in files[0].values
    assert files[1].failures == dict.fromkeys(("wer", "cer"), "no transcript")
    truth = score(mute, None, {"level": Level()}, Constant(), RATE).files
    assert truth[0].failures == dict.fromkeys(("level", "twice", "wer", "cer"), "no ground-truth audio")


def test_two_processes_give_the_same_scores(utterances, speech, monkeypatch):
    monkeypatch.setattr("v2skit.evaluation.score._FILES_PER_PROCESS", 2)
    (speech / "s1-2.wav").unlink()
    alone = score(utterances, speech, {"mcd": Mcd()}, None, RATE, jobs=1)
    assert score(utterances, speech, {"mcd": Mcd()}, None, RATE, jobs=2) == alone
    assert "mcd" in alone.files[2].failures


def test_wrong_calls_are_refused(utterances, speech, tmp_path):
    with pytest.raises(UserError, match="no utterances to score; stage 1"):
        score([], speech, {}, None, RATE)
    with pytest.raises(UserError, match="nowhere is not a folder of synthesised speech; stage 5"):
        score(utterances, tmp_path / "nowhere", {}, None, RATE)
    with pytest.raises(UserError, match="jobs -1"):
        score(utterances, speech, {}, None, RATE, jobs=-1)
    with pytest.raises(UserError, match="metric 'b' outputs 'level', as another metric does"):
        score(utterances, speech, {"a": Level(), "b": Level()}, None, RATE)


def test_a_metric_must_give_what_it_promises(utterances, speech, monkeypatch):
    monkeypatch.setattr(Level, "higher_is_better", {"loudness": True})
    with pytest.raises(UserError, match="metric 'level' outputs level, twice, its higher_is_better says loudness"):
        score(utterances, speech, {"level": Level()}, None, RATE)


def test_what_has_not_changed_is_not_scored_again(utterances, speech, tmp_path, monkeypatch):
    def score_all(metrics):
        calls.clear()
        return score(utterances, speech, metrics, Constant(), RATE, cache=cache)

    calls, cache = [], tmp_path / "cache" / "row.jsonl"
    for kind in (Mcd, Level, Constant):
        plain = kind.__call__
        monkeypatch.setattr(
            kind, "__call__", lambda self, *a, f=plain: calls.append(type(self).__name__) or f(self, *a)
        )
    (speech / "s1-2.wav").unlink()
    write_audio(speech / "s1-1.wav", babble(1.0)[:-1], RATE)
    first = score_all({"mcd": Mcd()})
    assert calls.count("Mcd") == 3 and calls.count("Constant") == 3
    cache.write_text(cache.read_text() + '\n["cut off', encoding="utf-8")
    assert score_all({"mcd": Mcd()}) == first and not calls
    assert "equally long" in first.files[1].failures["mcd"] and "mcd" in first.files[2].failures
    more = score_all({"mcd": Mcd(), "level": Level()})  # a metric is added, and the one that was there is not computed
    assert set(calls) == {"Level"} and more.files[0].values["mcd"] == first.files[0].values["mcd"]
    score_all({"mcd": Mcd(order=12)})
    assert calls.count("Mcd") == 3
    write_audio(speech / "s1-0.wav", 0.4 * babble(1.0, 7), RATE)
    assert score_all({"mcd": Mcd()}).files[0].values["mcd"] != first.files[0].values["mcd"]
    assert calls.count("Mcd") <= 2 and calls.count("Constant") == 1
    assert score_all({"mcd": Mcd()}) == score(utterances, speech, {"mcd": Mcd()}, Constant(), RATE)


def test_two_processes_fill_and_use_the_cache(utterances, speech, tmp_path, monkeypatch):
    monkeypatch.setattr("v2skit.evaluation.score._FILES_PER_PROCESS", 2)
    arguments = (utterances, speech, {"mcd": Mcd()}, None, RATE)
    scores = score(*arguments, jobs=2, cache=tmp_path / "cache.jsonl")
    filled = (tmp_path / "cache.jsonl").read_text()
    assert score(*arguments, jobs=1, cache=tmp_path / "cache.jsonl") == scores
    assert (tmp_path / "cache.jsonl").read_text() == filled and filled.count("\n") == 8  # MCD and lag of each


def test_errors_of_a_moment_are_not_remembered(utterances, speech, tmp_path):
    cache = tmp_path / "cache.jsonl"
    score(utterances, speech, {"broken": Broken(), "level": Level()}, Broken(), RATE, aligned=False, cache=cache)
    assert cache.read_text().count("\n") == 4  # those of Level
