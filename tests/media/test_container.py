"""Truncated and damaged files, and files of other kinds, are errors that name the file."""

import pytest

from tests.media_files import every, make_video, real_data
from v2skit.errors import UserError
from v2skit.media.audio_stream import decode_audio
from v2skit.media.container import probe
from v2skit.media.video import read_video


def test_errors_of_video_files(tmp_path):
    whole = make_video(tmp_path / "whole.mp4", every(25, 2.5), audio_seconds=2.5).read_bytes()
    (tmp_path / "text.mp4").write_text("this is no video\n" * 50)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])
    make_video(tmp_path / "sound.mp4", audio_seconds=0.5)
    wrong = {
        "text.mp4": "no media file",
        "empty.mp4": "is empty",
        "half.mp4": "no media file|damaged|cut off",
        "sound.mp4": "no video stream",
        "nowhere.mp4": "does not exist",
        ".": "no file",
    }
    for name, message in wrong.items():
        with pytest.raises(UserError, match=message):
            list(read_video(tmp_path / name, 25))


@pytest.mark.parametrize("container", ["mkv", "mov"])
def test_half_a_file_is_truncated_though_a_shorter_stream_is_whole(tmp_path, container):
    for video, sound in ((2.4, 1.0), (1.0, 2.4), (2.4, None)):
        path = make_video(tmp_path / f"whole.{container}", every(25, video), audio_seconds=sound)
        assert len(list(read_video(path, 25))) == round(25 * video)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(UserError, match="cut off|damaged"):
            list(read_video(path, 25))


@pytest.mark.parametrize("kind", ["mkv", "webm", "mp4", "ts", "flv"])
def test_the_length_of_a_clip_does_not_depend_on_when_it_starts(tmp_path, kind):
    if kind == "webm":
        video = make_video(tmp_path / "clip.mkv", 1.5 + every(25, 1.0)).rename(tmp_path / "clip.webm")
    else:
        video = make_video(tmp_path / f"clip.{kind}", 1.5 + every(25, 1.0))
    assert probe(video).seconds == pytest.approx(1.0, abs=0.1)


def test_real_grid_clips():
    for path in sorted(real_data("grid_others").glob("*.mpg"))[:2]:
        info = probe(path)
        assert info.fps == 25 and info.has_audio
        assert len(list(read_video(path, 25))) == 75
        assert len(decode_audio(path, 24000, info.start)) == pytest.approx(2.978 * 24000, abs=24)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_a_truncated_real_clip_is_an_error(tmp_path, share):
    for name in ("grid_others", "grid/s1"):
        data = next(iter(sorted(real_data(name).glob("*.mpg")))).read_bytes()
        path = tmp_path / f"{share}.mpg"
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(UserError, match="cut off|damaged"):
            list(read_video(path, 25))
