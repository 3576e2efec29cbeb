"""Any video in, speech of exactly its length out."""

from fractions import Fraction

import numpy as np
import pytest
import soundfile

from v2skit.cli import main

from .media_files import make_video

RATES = [Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(50), Fraction(60)]


def speak(*arguments: str) -> int:
    return main(["synth", *arguments, "--device", "cpu"])


@pytest.mark.parametrize("rate", RATES, ids=lambda rate: f"{float(rate):.2f} fps")
def test_length_is_that_of_the_video_at_every_frame_rate(mel_run, tmp_path, rate):
    frames = 31
    times = [float(n / rate) for n in range(frames)]
    video = make_video(tmp_path / "clip.mp4", times, (96, 96), fps=rate)
    assert speak(str(video), "--model", str(mel_run), "-o", str(tmp_path / "speech.wav")) == 0
    info = soundfile.info(tmp_path / "speech.wav")
    assert info.samplerate == 24000 and abs(info.frames - frames / float(rate) * 24000) <= 4


def test_folders_voices_and_places(mel_run, tmp_path, capsys):
    folder, out = tmp_path / "videos", tmp_path / "out"
    folder.mkdir()
    times = [n / 25 for n in range(12)]
    for name, seconds in (("a", None), ("b", 0.2)):
        make_video(folder / f"{name}.mkv", times, (96, 96), audio_seconds=seconds)
    (folder / "notes.txt").write_text("no video")
    assert speak(str(folder), "--model", str(mel_run), "-o", str(out)) == 0
    first, second = (soundfile.read(out / f"{name}.wav")[0] for name in "ab")
    assert len(first) == len(second) == 12 * 960
    assert np.array_equal(first, second)  # the video's own sound, here or not, is never heard
    assert speak(str(folder / "a.mkv"), "--model", str(mel_run), "-o", str(tmp_path / "s1.wav"), "--voice", "s1") == 0
    assert not np.array_equal(soundfile.read(tmp_path / "s1.wav")[0], first)
    capsys.readouterr()
    for wrong, message in (
        (["--voice", "s9"], "has no voice 's9'; known: s0, s1"),
        (["-o", str(tmp_path / "one.wav")], "2 videos can't go into one file"),
        (["-o", str(out)], "is there already; --force overwrites it"),
        (["--set", "seed=2"], "--set and --data_dir have no effect"),
        (["--tracker", "eyes"], "unknown tracker 'eyes'"),
    ):
        assert (
            speak(
                str(folder),
                "--model",
                str(mel_run),
                *(wrong if "-o" in wrong else [*wrong, "-o", str(tmp_path / "new")]),
            )
            == 1
        )
        assert message in capsys.readouterr().err
    assert speak(str(folder)) == 1
    assert "--model RUN_OR_FILE" in capsys.readouterr().err
    assert speak(str(tmp_path), "--model", str(mel_run)) == 1
    assert "has no video in it" in capsys.readouterr().err


def test_bad_videos_are_named_and_the_others_spoken(mel_run, tmp_path, capsys):
    good = make_video(tmp_path / "good.mkv", [n / 25 for n in range(12)], (96, 96))
    (tmp_path / "text.mp4").write_text("this is no video")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "cut.mkv").write_bytes(good.read_bytes()[: len(good.read_bytes()) // 2])
    assert speak(str(tmp_path), "--model", str(mel_run), "-o", str(tmp_path / "out")) == 1
    told = capsys.readouterr().err
    assert "3 of 4 videos could not be spoken" in told and "Traceback" not in told
    for name, why in (("text.mp4", "is no media file"), ("empty.mp4", "is empty"), ("cut.mkv", "")):
        assert name in told and why in told
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["good.wav"]
