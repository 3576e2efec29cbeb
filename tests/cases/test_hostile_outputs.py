"""Outputs of hostile inputs: no file of others is deleted, overwritten or trained on, and none ends a batch."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from tests.media_files import make_video
from v2skit.cli.main import main
from v2skit.config.features import Clock, Crop
from v2skit.config.prepare import Prepare
from v2skit.corpora.audiovisual.custom import Custom
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.mini.corpus import INDEX, Mini
from v2skit.data.data_dir import SilentClip, Utterance, read_manifest, read_silent
from v2skit.data.index import open_index
from v2skit.errors import UserError
from v2skit.media.audio import write_audio
from v2skit.media.synthesised import is_synthesised, write_speech
from v2skit.preparation.prepare import prepare
from v2skit.registry.component import Component
from v2skit.synthesis.written import locked

TIMES = [n / 25 for n in range(6)]
NOT_UTF8 = os.fsdecode(b"caf\xe9 \xff")


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
    with pytest.raises(UserError, match=f"is not of the mini corpus, .* generated into {folder}; move it away"):
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
    assert "1 of 3 videos could not be processed" in error and "Traceback" not in error
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.wav", f"{'y' * 251}.wav"]


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


def test_a_link_in_a_circle_is_replaced_as_any_output(run, tmp_path):
    (tmp_path / "speech.wav").symlink_to("speech.wav")
    assert command("synth", clip(tmp_path / "a.mp4"), "--model", run, "-o", tmp_path / "speech.wav") == 0
    assert is_synthesised(tmp_path / "speech.wav") and not (tmp_path / "speech.wav").is_symlink()
