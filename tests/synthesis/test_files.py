"""``v2skit synth``: speech for several videos, and how errors are reported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cases.model import untrained_run
from tests.media_files import make_video
from v2skit.cli.main import main
from v2skit.errors import UserError
from v2skit.media.synthesised import write_speech

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
    printed = capsys.readouterr().out
    assert (
        f"1 of 2 videos already processed, skipped, e.g. {out / 'a.wav'}" in printed and f"{out / 'b.wav'}: " in printed
    )
    assert synth(tmp_path, "--model", run) == 1
    assert "has no video in it" in capsys.readouterr().err


def test_wrong_options_are_reported_even_where_the_speech_exists(run, tmp_path, capsys):
    video = make_video(tmp_path / "clip.mkv", TIMES, (96, 96))
    write_speech(tmp_path / "speech/clip.wav", [], 24000)
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
    printed = capsys.readouterr().err
    assert "3 of 4 videos could not be processed" in printed and "Traceback" not in printed
    for name, reason in (("text.mp4", "is no media file"), ("empty.mp4", "is empty"), ("cut.mkv", "")):
        assert f"\n  {tmp_path / name} {reason}" in printed  # the name once
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["good.wav"]


def test_a_folder_that_can_not_be_written_is_named(run, tmp_path, capsys):
    video = make_video(tmp_path / "clip.mkv", TIMES, (96, 96))
    (tmp_path / "file").touch()
    for out in (tmp_path / "file" / "speech", tmp_path / "file"):
        assert synth(video, "--model", run, "-o", out) == 1
        error = capsys.readouterr().err
        assert f"{out} can't be written (Not a directory); -o gives another folder" in error and ".part" not in error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), UserError("no disk")])
def test_what_lacks_of_a_video_is_written_when_the_command_is_given_again(run, tmp_path, capsys, monkeypatch, error):
    folder, out = tmp_path / "videos", tmp_path / "out"
    folder.mkdir()
    for name in "ab":
        make_video(folder / f"{name}.mkv", TIMES, (96, 96))
    wanted = (folder, "--model", run, "-o", out, "--report")

    def fails(*arguments):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr("v2skit.evaluation.video_report.write_report", fails)
        assert synth(*wanted) in (1, 130)
    assert (out / "a.wav").exists() and not list(out.glob("*.html"))
    assert synth(*wanted) == 0
    assert sorted(path.name for path in out.iterdir()) == sorted(
        f"{name}{end}" for name in "ab" for end in (".wav", ".mp4", ".html")
    )
    capsys.readouterr()
    assert synth(*wanted) == 0
    assert "2 of 2 videos already processed" in capsys.readouterr().out
