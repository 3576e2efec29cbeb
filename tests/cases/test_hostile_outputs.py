"""Outputs of hostile inputs: no file of others is deleted, overwritten or trained on, and none ends a batch."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from tests.cases.model import untrained_run
from tests.conftest import make_data
from tests.media_files import every, make_video
from v2skit.cli.main import main
from v2skit.config.features import Clock, Crop
from v2skit.config.schema import Prepare
from v2skit.corpora.audio.audio_folder import AudioFolder
from v2skit.corpora.audiovisual.custom import Custom
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.mini.corpus import INDEX, Mini
from v2skit.data.data_dir import SilentClip, Utterance, read_manifest, read_silent
from v2skit.data.index import open_index
from v2skit.errors import UserError
from v2skit.evaluation.file_scores import Scorer
from v2skit.evaluation.report import write_results
from v2skit.evaluation.score import score
from v2skit.media.audio import write_audio
from v2skit.media.crops import write_crops
from v2skit.media.synthesised import is_synthesised, write_speech
from v2skit.preparation.prepare import prepare
from v2skit.preparation.survey import hash64, survey
from v2skit.registry import plugins
from v2skit.registry.component import Component
from v2skit.registry.registry import Entry
from v2skit.synthesis.written import locked
from v2skit.tracking.tracker import MouthPose

TIMES = [n / 25 for n in range(6)]
NOT_UTF8 = os.fsdecode(b"caf\xe9 \xff")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return untrained_run(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def other_run(tmp_path_factory) -> Path:
    return untrained_run(tmp_path_factory.mktemp("other"), speaker={"type": "table", "dim": 8})


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "test"
    make_data(folder, count=2)
    return folder


def command(name: str, *arguments: object) -> int:
    return main([name, *map(str, arguments), "--device", "cpu"])


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def kept(before: dict[str, bytes], folder: Path) -> bool:
    return before.items() <= content(folder).items()


def others(folder: Path, seed: int) -> dict[str, bytes]:
    """Write files of other people into a folder, also such that look like speech. Returns them."""
    chance, made = random.Random(seed), {}
    for _ in range(chance.randint(1, 6)):
        stem = "".join(chance.choices("abé .-_", k=chance.randint(1, 12))).strip(" .") or "x"
        name = stem + chance.choice([".wav", ".flac", ".txt", ".jsonl", "", ".wav.bak"])
        path = folder / chance.choice([".", "sub", "sub/s0-0000", "s0-0000.d"]) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(20))
        made[str(path.relative_to(folder))] = path.read_bytes()
    return made


# Folders of speech


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("option", [(), ("--force",)], ids=["another model", "force"])
def test_only_listed_speech_is_deleted(run, other_run, data, tmp_path, seed, option):
    out, model = tmp_path / "out", run if option else other_run
    assert command("synth-data", data, "--model", run, "-o", out) == 0
    speech = {name: found for name, found in content(out).items() if name.endswith(".wav")}
    made = others(out, seed)
    write_speech(out / "best.wav", [np.zeros(9)], 24000)  # a copy that somebody has kept
    made["best.wav"] = (out / "best.wav").read_bytes()
    assert command("synth-data", data, "--model", model, "-o", out, *option) == 0
    assert kept(made, out)
    assert speech.keys() <= content(out).keys() and kept(speech, out) == bool(option)


def replace(out: Path) -> None:
    write_audio(min(out.glob("*.wav")), np.zeros(99), 24000)


def unlist(out: Path) -> None:
    (out / "written.txt").write_text("")


def before_lists(out: Path) -> None:
    """As an earlier version wrote it."""
    (out / "written.txt").unlink()
    for path in out.glob("*.wav"):
        write_audio(path, *soundfile.read(path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replace, "does not delete; delete or move them"),
        (before_lists, "does not delete; delete or move them"),
        (unlist, "the list of the speech in this folder; move it away"),
        (lambda out: (out / "source.json").write_text("{"), "source.json is damaged"),
        (lambda out: (out / "source.json").unlink(), "contains other files; give an empty folder"),
    ],
    ids=["replaced", "earlier version", "not in the list", "damaged record", "no record"],
)
def test_a_folder_with_files_of_others_is_refused(run, other_run, data, tmp_path, capsys, change, message):
    out = tmp_path / "out"
    assert command("synth-data", data, "--model", run, "-o", out) == 0
    change(out)
    before = {name: found for name, found in content(out).items() if name.endswith(".wav")}
    assert command("synth-data", data, "--model", other_run, "-o", out) == 1
    assert message in capsys.readouterr().err and kept(before, out)


def test_speech_of_an_earlier_version_is_completed(run, data, tmp_path):
    out = tmp_path / "out"
    assert command("synth-data", data, "--model", run, "-o", out) == 0
    before_lists(out)
    (first, second) = sorted(out.glob("*.wav"))
    second.unlink()
    for _ in range(2):
        before = first.read_bytes()
        assert command("synth-data", data, "--model", run, "-o", out) == 0
        assert first.read_bytes() == before and second.exists()


def test_two_processes_never_write_into_one_folder(run, data, tmp_path, capsys):
    out = tmp_path / "out"
    with locked(out):
        assert command("synth-data", data, "--model", run, "-o", out) == 1
    assert "another process writes speech into" in capsys.readouterr().err and not list(out.iterdir())
    assert command("synth-data", data, "--model", run, "-o", out) == 0


@pytest.mark.parametrize("theirs", ["speech.mp4", "audio/mine.flac", "av/mine.mp4", "a/b/thesis.tex", "index.txt"])
@pytest.mark.parametrize("settings", [None, {"seed": 2}], ids=["no corpus", "another corpus"])
def test_the_mini_corpus_never_replaces_files_of_others(tmp_path, monkeypatch, theirs, settings):
    monkeypatch.setattr(Mini, "_generate", lambda self: None)
    folder = tmp_path / "corpus"
    (folder / theirs).parent.mkdir(parents=True)
    if settings:
        (folder / INDEX).write_text(json.dumps({"settings": settings, "utterances": [{"id": "s-a"}]}))
        (folder / "audio").mkdir(exist_ok=True)
        (folder / "audio/s-a.flac").touch()
    (folder / theirs).touch()
    with pytest.raises(UserError, match="is not of the mini corpus, .*; move it away"):
        Mini(tmp_path).obtain()
    (folder / theirs).unlink()
    with pytest.raises(UserError, match="has no mini corpus"):  # all that is missing is what _generate does
        Mini(tmp_path).obtain()


@pytest.mark.parametrize("entry", ["../victim.wav", "{}/victim.wav", "a/../../victim.wav", ".", "..", "", "\0.wav"])
def test_a_list_never_names_files_of_other_folders(run, data, tmp_path, entry):
    victim, out = tmp_path / "victim.wav", tmp_path / "out"
    write_speech(victim, [np.zeros(9)], 24000)
    assert command("synth-data", data, "--model", run, "-o", out) == 0
    with (out / "written.txt").open("a") as file:
        file.write(entry.format(tmp_path) + "\n")
    assert command("synth-data", data, "--model", run, "-o", out, "--force") == 0
    assert victim.exists()


# Files next to videos


def clip(path: Path, **settings) -> Path:
    return make_video(path, TIMES, (96, 96), **settings)


def test_by_default_speech_is_never_the_sound_of_a_corpus(run, tmp_path):
    for name in "abc":
        clip(tmp_path / f"{name}.mp4", audio_seconds=0.24)
    assert command("synth", tmp_path, "--model", run) == 0
    assert sorted(path.name for path in (tmp_path / "speech").iterdir()) == ["a.wav", "b.wav", "c.wav"]
    found = [u for split in Custom(tmp_path, ".").splits().values() for u in split]
    assert [u.audio for u in sorted(found, key=lambda u: u.id)] == [tmp_path / f"{name}.mp4" for name in "abc"]


def convert(path: Path, suffix: str, codec: str) -> Path:
    out = path.with_suffix(suffix)
    with av.open(str(path)) as source, av.open(str(out), "w") as target:
        target.metadata.update(source.metadata)
        stream = target.add_stream(codec, rate=24000, layout="mono")
        for frame in source.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    path.unlink()
    return out


@pytest.mark.parametrize("form", [".wav", ".flac", "mux mp4", "mux mkv", ".mp3", ".m4a", ".opus"])
def test_preparation_refuses_synthesised_files(run, tmp_path, form):
    video = clip(tmp_path / ("x.mkv" if form == "mux mkv" else "x.mp4"), audio_seconds=0.24)
    if form == "mux mkv":
        clip_of_no_mp4_codec(video)
    sound = tmp_path / "out" / ("x.flac" if form == ".flac" else "x.wav")
    assert command("synth", video, "--model", run, "-o", sound, *(["--mux"] if "mux" in form else [])) == 0
    made = sound.with_suffix(f".{form[-3:]}") if "mux" in form else sound
    if form in (".mp3", ".m4a", ".opus"):
        made = convert(sound, form, {".mp3": "libmp3lame", ".m4a": "aac", ".opus": "libopus"}[form])
    assert is_synthesised(made) and not is_synthesised(video)
    utterance = CorpusUtterance("x", "s", made, made if "mux" in form else video)
    with pytest.raises(UserError, match="was synthesised by a model and is no recording; move it out of the corpus"):
        prepared(tmp_path, [utterance])


def clip_of_no_mp4_codec(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 96, "yuvj420p"
        for number in range(6):
            frame = av.VideoFrame.from_ndarray(np.full((96, 96, 3), 40 * number, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def prepared(folder: Path, utterances: list[CorpusUtterance], tracker: str = "none", share: float = 0.0) -> dict:
    """Prepare utterances. Returns the content of the report."""
    corpus = type("Given", (), {"splits": lambda self: {"train": utterances}})()
    settings = Prepare(jobs=1, max_failed_share=share)
    prepare(corpus, Component(tracker, {}), Clock(), Crop(), folder / "prepared", settings)
    return json.loads((folder / "prepared/train/report.json").read_text())


@pytest.mark.parametrize("name", ["x.wav", "x.mp4", "x.html", "x.mp4 -> dangling", "x.wav pipe"])
@pytest.mark.parametrize("count", [1, 2], ids=["one video", "two videos"])
def test_files_of_others_are_never_overwritten(run, tmp_path, capsys, name, count):
    videos, out = tmp_path / "videos", tmp_path / "out"
    for stem in "xy"[:count]:
        clip(videos / f"{stem}.mp4")
    out.mkdir()
    victim = out / name.split()[0]
    if "pipe" in name:
        os.mkfifo(victim)
    elif "dangling" in name:
        victim.symlink_to(clip(tmp_path / "recording.mp4"))
    else:
        write_audio(victim.with_suffix(".wav"), np.zeros(9), 24000)
        victim.with_suffix(".wav").rename(victim)
    before = b"" if "pipe" in name else victim.read_bytes()
    for option in ((), ("--force",)):
        assert command("synth", videos, "--model", run, "-o", out, "--mux", "--report", *option) == 1
        assert f"{victim} exists already and was not written by this version of v2skit" in capsys.readouterr().err
        assert victim.is_fifo() if "pipe" in name else victim.read_bytes() == before
        assert (out / "y.mp4").exists() == (count == 2)


def test_a_name_that_is_too_long_costs_one_video(run, tmp_path, capsys):
    videos = [clip(tmp_path / "a.mp4"), clip(tmp_path / f"{'x' * 252}.ts"), clip(tmp_path / f"{'y' * 251}.mkv")]
    assert command("synth", *videos, "--model", run, "-o", tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert "2 of 3 videos could not be processed" in error and "Traceback" not in error
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.wav"]


def test_own_files_are_overwritten_with_force(run, tmp_path):
    video, out = clip(tmp_path / "x.mp4"), tmp_path / "out"
    for option in ((), ("--force",)):
        assert command("synth", video, "--model", run, "-o", out, "--mux", "--report", *option) == 0
    assert sorted(path.name for path in out.iterdir()) == ["x.html", "x.mp4", "x.wav"]
    assert all(map(is_synthesised, out.iterdir()))


# Utterance ids

BAD_IDS = ["../../x", "/etc/x", "a/b", "..", ".", "x/", "x\x00", "x\x07", "x\x1b[2J", "é" * 121, "x" * 241]
GOOD_IDS = ["s1-bbaf2n", "é-\u200d-人", "a:b", "-rf", "..x", "$(id)", "a\\b", "x" * 240, "%2e%2e", "'\""]


def climbing(seed: int) -> str:
    chance = random.Random(seed)
    return "".join(chance.choices(["..", "/", "a", "//", "./", "~", "-"], k=chance.randint(1, 8))) + "/x"


@pytest.mark.parametrize("key", [*BAD_IDS, *map(climbing, range(20))])
def test_no_reader_accepts_ids_that_name_other_files(tmp_path, key):
    (tmp_path / "utt2num_frames").write_text(f"{key} 10\n")
    (tmp_path / "utt2spk").write_text(f"{key} s\n")
    (tmp_path / "video.scp").write_text(f"{key} x.mp4\n")
    for read in (read_manifest, read_silent, open_index):
        with pytest.raises(UserError, match="is no such id"):
            read(tmp_path)
    for make in (lambda: Utterance(key, "s", 10), lambda: SilentClip(key, "s", 10, tmp_path)):
        with pytest.raises(UserError, match="is no such id"):
            make()
    with pytest.raises(UserError, match="split 'train': ids .* is no such id; rename its file"):
        prepared(tmp_path, [CorpusUtterance(key, "s", tmp_path / "x.wav")])


@pytest.mark.parametrize("key", GOOD_IDS)
def test_unusual_ids_are_accepted(tmp_path, key):
    (tmp_path / "utt2num_frames").write_text(f"{key} 10\n")
    (tmp_path / "utt2spk").write_text(f"{key} s\n")
    assert read_manifest(tmp_path) == list(open_index(tmp_path)) == [Utterance(key, "s", 10)]


@pytest.mark.parametrize("table", ["utt2num_frames", "utt2spk", "video.scp"])
def test_speech_is_never_written_outside_of_its_folder(run, data, tmp_path, capsys, table):
    hostile, out = tmp_path / "data", tmp_path / "a/b/out"
    hostile.mkdir()
    first = read_silent(data)[0]
    for name, value in (("utt2num_frames", first.frames), ("utt2spk", "s0"), ("video.scp", first.video)):
        (hostile / name).write_text(f"../../x {value}\n" if table in (name, "video.scp") else f"x {value}\n")
    (hostile / "settings.json").write_text((data / "settings.json").read_text())
    assert command("synth-data", hostile, "--model", run, "-o", out) == 1
    assert "is no such id" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.wav"))


# One file of a batch


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
    assert list(scores.failures) == ["wer"] and not scores.values and not scores.hypothesis


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
