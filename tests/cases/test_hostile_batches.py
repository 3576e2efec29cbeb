"""One file never ends a batch: what fails in one is named, and the other files are processed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import numpy as np
import pytest

from tests.cases.test_hostile_outputs import NOT_UTF8, clip, command, prepared
from tests.conftest import make_data
from tests.media_files import every, make_video
from v2skit.corpora.audio.audio_folder import AudioFolder
from v2skit.corpora.audiovisual.custom import Custom
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.data.data_dir import Utterance
from v2skit.data.index import open_index
from v2skit.evaluation.file_scores import Scorer
from v2skit.evaluation.report import write_results
from v2skit.evaluation.score import score
from v2skit.media.audio import write_audio
from v2skit.media.crops import write_crops
from v2skit.preparation.survey import hash64, survey
from v2skit.registry import plugins
from v2skit.registry.registry import Entry
from v2skit.tracking.tracker import MouthPose


class Odd:
    """A tracker that fails in videos whose name begins with ``bad``."""

    answer: Callable[[], object]

    def start(self, video, fps) -> None:
        self.bad = video is not None and video.name.startswith("bad")

    def update(self, frame: np.ndarray) -> object:
        return Odd.answer() if self.bad else MouthPose(48, 48, side=60)

    def finish(self) -> None:
        pass


def fails(error: BaseException) -> Callable[[], object]:
    def answer() -> object:
        raise error

    return answer


ANSWERS = {
    "nan": lambda: MouthPose(48, 48, side=float("nan")),
    "infinite": lambda: MouthPose(float("inf"), 48, side=60),
    "nan roll": lambda: MouthPose(48, 48, side=60, roll=float("nan")),
    "negative": lambda: MouthPose(48, 48, side=-3),
    "huge": lambda: MouthPose(48, 48, side=1e12),
    "tuple": lambda: (48, 48, 60),
    "text": lambda: MouthPose("x", 48, side=60),
    "key error": fails(KeyError("x")),
    "recursion": fails(RecursionError("too deep")),
    "assertion": fails(AssertionError()),
    "lines": fails(RuntimeError("one\n\ntwo " + NOT_UTF8)),
    "exit": fails(SystemExit(0)),
    "system": fails(OSError(5, "Input/output error")),
}


@pytest.fixture
def odd(request, monkeypatch) -> None:
    monkeypatch.setitem(
        plugins.registry()._entries, ("tracker", "odd"), Entry("tracker", "odd", f"{__name__}:Odd", "-")
    )
    monkeypatch.setattr(Odd, "answer", staticmethod(ANSWERS[request.param]), raising=False)


@pytest.mark.parametrize("odd", ANSWERS, indirect=True)
def test_a_tracker_that_fails_costs_one_video(odd, run, tmp_path, capsys):
    videos = [clip(tmp_path / name, audio_seconds=0.24) for name in ("a.mp4", "bad.mp4", "c.mp4")]
    assert command("synth", *videos, "--model", run, "--tracker", "odd", "-o", tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert f"1 of 3 videos could not be processed:\n  {videos[1]}" in error and "Traceback" not in error
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.wav", "c.wav"]
    report = prepared(tmp_path, [CorpusUtterance(v.stem, "s", v, v) for v in videos], "odd", 0.5)
    assert report["counts"] == {"sources": 3, "prepared": 2, "excluded": 1}
    assert [row["id"] for row in report["files"] if row["reason"]] == ["bad"]


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "-1", "0"])
@pytest.mark.parametrize("key", ["x", "y", "side"])
def test_a_fixed_box_is_finite(run, tmp_path, capsys, key, value):
    numbers = {"x": "48", "y": "48", "side": "60", key: value}
    tracker = "{type: fixed, " + ", ".join(f"{name}: {number}" for name, number in numbers.items()) + "}"
    status = command("synth", clip(tmp_path / "x.mp4"), "--model", run, "--tracker", tracker)
    assert status == (0 if value == "0" and key != "side" else 1)
    assert "Traceback" not in capsys.readouterr().err


def test_names_that_are_not_utf8_are_processed(run, tmp_path, capsys):
    folder = tmp_path / NOT_UTF8
    for name in ("a", NOT_UTF8, os.fsdecode(b"caf\xe8 \xff"), f"d{NOT_UTF8}"):
        clip(folder / f"{name}.mp4", audio_seconds=0.24)
    (folder / f"{NOT_UTF8}z.mp4").write_text("no video")
    assert command("synth", folder, "--model", run, "--mux", "--report") == 1
    assert "1 of 5 videos could not be processed" in capsys.readouterr().err
    assert len(list((folder / "speech").iterdir())) == 12
    utterances = [u for split in Custom(folder, ".").splits().values() for u in split if "speech" not in u.video.parts]
    assert len({u.id for u in utterances}) == 5
    report = prepared(tmp_path, utterances, share=0.5)
    assert report["counts"] == {"sources": 5, "prepared": 4, "excluded": 1}
    for number, u in enumerate(utterances):
        write_audio(tmp_path / "sound" / f"{number}{NOT_UTF8}{u.video.stem}.wav", 0.1 * np.ones(9600), 24000)
    sounds = AudioFolder(tmp_path, ["sound"], valid_share=0.0)
    sounds.obtain()
    report = prepared(tmp_path / "audio", sounds.splits()["audio"])
    assert report["counts"]["prepared"] == 5


@pytest.mark.parametrize("content", [b"", b"no video", None, "cut", "short"])
def test_a_damaged_clip_of_a_data_directory_costs_one_clip(run, tmp_path, capsys, content):
    utterances = make_data(tmp_path / "test", count=3)
    bad = utterances[1].video
    if content is None:
        bad.unlink()
    elif content == "cut":
        bad.write_bytes(bad.read_bytes()[:-400])
    elif content == "short":
        write_crops(bad, np.zeros((2, 96, 96), np.uint8), 25)
    else:
        bad.write_bytes(content)
    for _ in range(2):  # also where the others are there already
        assert command("synth-data", tmp_path / "test", "--model", run, "-o", tmp_path / "out") == 1
        error = capsys.readouterr().err
        assert "clips could not be processed:" in error and f"\n  {utterances[1].id}: " in error
        speech = sorted(path.stem for path in (tmp_path / "out").glob("*.wav"))
        assert speech == [utterances[0].id, utterances[2].id]


def test_folders_whose_names_are_not_utf8(run, tmp_path):
    folder = tmp_path / NOT_UTF8
    made = make_data(folder / "test", count=2)
    assert list(open_index(folder / "test")) == made
    assert not survey(folder / "test").errors.ids and hash64(str(folder))
    assert command("synth-data", folder / "test", "--model", run, "-o", folder / "out") == 0
    found = score(made, folder / "out", {"odd": Metric(dict)}, None, 24000, jobs=1)
    write_results({"x": found}, folder, bootstrap=10)


class Metric:
    protocol, higher_is_better = "odd", {"a": True, "b": True}

    def __init__(self, answer: Callable[[], object]) -> None:
        self.answer = answer

    def __call__(self, reference, hypothesis, rate):
        return self.answer() if hypothesis[0] > 0.4 else {"a": 1.0, "b": 2.0}


SCORES = {
    "nan": lambda: {"a": float("nan"), "b": 1.0},
    "none": lambda: {"a": None, "b": 1.0},
    "text": lambda: {"a": "x", "b": 1.0},
    "array": lambda: {"a": np.ones(3), "b": 1.0},
    "complex": lambda: {"a": 1j, "b": 1.0},
    "error": fails(ValueError(NOT_UTF8)),
}


@pytest.mark.parametrize("answer", SCORES)
def test_one_score_that_fails_is_counted(tmp_path, answer):
    utterances = []
    for number, level in enumerate((0.1, 0.5, 0.1)):
        path = tmp_path / f"{number}.wav"
        write_audio(path, np.full(960, level), 24000)
        utterances.append(Utterance(str(number), "s", 1, path, text="A B"))
    found = score(utterances, None, {"odd": Metric(SCORES[answer])}, None, 24000, jobs=1)
    assert [sorted(file.failures) for file in found.files] == [[], ["a"] if answer != "error" else ["a", "b"], []]
    write_results({"x": found}, tmp_path / NOT_UTF8, bootstrap=10)


@pytest.mark.parametrize("words", [None, "A B", [1, 2], fails(RuntimeError("x"))])
def test_a_recogniser_that_fails_is_counted(tmp_path, words):
    path = tmp_path / "x.wav"
    write_audio(path, np.full(960, 0.1), 24000)
    scorer = Scorer(None, {}, lambda waveform, rate: words() if callable(words) else words, 24000)
    scores = scorer(Utterance("x", "s", 1, path, text="A B"))
    assert list(scores.failures) == ["wer", "cer"] and not scores.values and not scores.hypothesis


def damaged(seed: int) -> bytes:
    chance = random.Random(seed)
    head = chance.choice([b"", b"RIFF", b"RIFF\xff\xff\xff\xffWAVEfmt ", b"fLaC", b"\0" * 50])
    return head + chance.randbytes(7 * seed)


@pytest.mark.parametrize("seed", range(10))
def test_damaged_sound_is_a_counted_failure(tmp_path, seed):
    good, bad, speech = tmp_path / "good.wav", tmp_path / "bad.wav", tmp_path / "speech"
    write_audio(good, np.full(960, 0.1), 24000)
    bad.write_bytes(damaged(seed))
    write_audio(speech / "a.wav", np.full(960, 0.1), 24000)
    (speech / "b.wav").write_bytes(damaged(seed))
    write_audio(speech / "c.wav", np.full(960, 0.1), 24000)
    utterances = [Utterance(name, "s", 1, path) for name, path in (("a", good), ("b", good), ("c", bad))]
    found = score(utterances, speech, {"odd": Metric(dict)}, None, 24000, jobs=1)
    assert [sorted(file.values) for file in found.files] == [["a", "b"], [], []]
    assert prepared(tmp_path, [CorpusUtterance(u.id, "s", u.audio) for u in utterances], share=0.9)["counts"] == {
        "sources": 3, "prepared": 2, "excluded": 1,
    }  # fmt: skip


def test_every_frame_counts(tmp_path):
    """Preparation of a whole video is as before."""
    make_video(tmp_path / "x.mp4", every(25, 1.0), audio_seconds=1.0)
    utterance = CorpusUtterance("x", "s", tmp_path / "x.mp4", tmp_path / "x.mp4")
    assert prepared(tmp_path, [utterance])["counts"]["prepared"] == 1
