"""``v2skit synth``: which videos are processed, where the speech is written, and how errors are reported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cases.model import untrained_run
from tests.media_files import make_video
from v2skit.cli.main import main
from v2skit.errors import UserError
from v2skit.synthesis.files import find_videos, outputs

TIMES = [n / 25 for n in range(12)]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return untrained_run(tmp_path_factory.mktemp("model"))


def synth(*arguments: object) -> int:
    return main(["synth", *map(str, arguments), "--device", "cpu"])


def test_folders_voices_and_output_folders(run, tmp_path, capsys):
    folder, out = tmp_path / "videos", tmp_path / "out"
    folder.mkdir()
    for name, seconds in (("a", None), ("b", 0.2)):
        make_video(folder / f"{name}.mkv", TIMES, (96, 96), audio_seconds=seconds)
    (folder / "notes.txt").write_text("no video")
    assert synth(folder, "--model", run, "-o", out) == 0
    first, second = (soundfile.read(out / f"{name}.wav")[0] for name in "ab")
    assert len(first) == len(second) == 12 * 960
    assert np.array_equal(first, second)  # the video's own audio is never used
    assert synth(folder / "a.mkv", "--model", run, "-o", tmp_path / "s1.wav", "--voice", "s1") == 0
    assert not np.array_equal(soundfile.read(tmp_path / "s1.wav")[0], first)
    (out / "b.wav").unlink()
    capsys.readouterr()
    assert synth(folder, "--model", run, "-o", out) == 0
    told = capsys.readouterr().out
    assert f"1 of 2 videos already processed, skipped, e.g. {out / 'a.wav'}" in told and f"{out / 'b.wav'}: " in told
    assert synth(tmp_path, "--model", run) == 1
    assert "has no video in it" in capsys.readouterr().err


def test_wrong_options_are_reported_even_where_the_speech_exists(run, tmp_path, capsys):
    video = make_video(tmp_path / "clip.mkv", TIMES, (96, 96))
    (tmp_path / "clip.wav").touch()
    for wrong, message in (
        (["--voice", "s9"], "has no voice 's9'; known: s0, s1"),
        (["--tracker", "eyes"], "unknown tracker 'eyes'"),
        (["--model", str(tmp_path / "nothing")], "nothing does not exist"),
        ([], "clip.wav exists already; --force overwrites it"),
    ):
        assert synth(video, "--model", run, *wrong) == 1
        assert message in capsys.readouterr().err


def test_bad_videos_are_named_and_the_others_processed(run, tmp_path, capsys):
    good = make_video(tmp_path / "good.mkv", TIMES, (96, 96))
    (tmp_path / "text.mp4").write_text("this is no video")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "cut.mkv").write_bytes(good.read_bytes()[: len(good.read_bytes()) // 2])
    assert synth(tmp_path, "--model", run, "-o", tmp_path / "out") == 1
    told = capsys.readouterr().err
    assert "3 of 4 videos could not be processed" in told and "Traceback" not in told
    for name, reason in (("text.mp4", "is no media file"), ("empty.mp4", "is empty"), ("cut.mkv", "")):
        assert f"\n  {tmp_path / name} {reason}" in told  # the name once
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["good.wav"]


def test_a_folder_that_can_not_be_written_is_named(run, tmp_path, capsys):
    video = make_video(tmp_path / "clip.mkv", TIMES, (96, 96))
    (tmp_path / "file").touch()
    for out in (tmp_path / "file" / "speech", tmp_path / "file"):
        assert synth(video, "--model", run, "-o", out) == 1
        error = capsys.readouterr().err
        assert f"{out} can't be written (Not a directory); -o gives another folder" in error and ".part" not in error


def test_videos_are_found_in_folders_and_by_name(tmp_path):
    for name in ("b.mkv", "a.MP4", "c.txt", "d.webm"):
        (tmp_path / name).touch()
    (tmp_path / "e.mp4.d").mkdir()
    (tmp_path / "e.mp4.d" / "f.mp4").touch()  # not in this folder
    found = [tmp_path / name for name in ("a.MP4", "b.mkv", "d.webm")]
    assert find_videos([tmp_path]) == found
    assert find_videos([tmp_path / "c.txt", tmp_path]) == [tmp_path / "c.txt", *found]  # whatever its suffix
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match=r"none has no video in it \(.mp4, "):
        find_videos([tmp_path, tmp_path / "none"])
    with pytest.raises(UserError, match=r"three.mp4 does not exist"):
        find_videos([tmp_path / "three.mp4"])


def test_where_the_speech_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one, two = tmp_path / "one.mp4", tmp_path / "two.mkv"
    for video in (one, two, tmp_path / "one.mkv"):
        video.touch()
    assert outputs([one, two], None, False) == {one: tmp_path / "one.wav", two: tmp_path / "two.wav"}
    assert outputs([one, two], Path("out"), False) == {one: Path("out/one.wav"), two: Path("out/two.wav")}
    for name in ("x.flac", "X.WAV"):
        assert outputs([one], tmp_path / name, False) == {one: tmp_path / name}
    (tmp_path / "folder.mp4").mkdir()
    assert outputs([one], tmp_path / "folder.mp4", False) == {one: tmp_path / "folder.mp4/one.wav"}
    (tmp_path / "two.wav").touch()
    assert outputs([two], None, True) == {two: tmp_path / "two.wav"}
    assert outputs([one, two], None, False) == {one: tmp_path / "one.wav"}
    assert list(outputs([one, two], None, True)) == [one, two]
    for videos, out, message in (
        ([one, two], tmp_path / "x.wav", "2 videos can't be written to one file"),
        ([one], tmp_path / "x.mp3", "speech is written as .wav or .flac"),
        ([one], tmp_path / "out.txt", "speech is written as .wav or .flac, give such a file or a folder"),
        ([one], tmp_path / "x.mp4", "--mux writes the video with its speech"),
        ([one, tmp_path / "one.mkv"], None, "two of the videos would be written to"),
        ([two], None, "exists already; --force overwrites it"),
        ([one], tmp_path / "two.wav", "exists already"),
        ([tmp_path / "two.wav"], None, "is the video itself"),
    ):
        with pytest.raises(UserError, match=message):
            outputs(videos, out, False)
