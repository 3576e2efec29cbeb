"""Which videos are processed, and where the speech is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from v2skit.errors import UserError
from v2skit.media.synthesised import MARK, write_speech
from v2skit.synthesis.paths import Extras, find_videos, outputs


def test_videos_are_found_in_folders_and_by_name(tmp_path):
    for name in ("b.mkv", "a.MP4", "c.txt", "d.webm"):
        (tmp_path / name).touch()
    (tmp_path / "e.mp4.d").mkdir()
    (tmp_path / "e.mp4.d" / "f.mp4").touch()  # not in this folder
    found = [tmp_path / name for name in ("a.MP4", "b.mkv", "d.webm")]
    assert find_videos([tmp_path]) == found
    assert find_videos([tmp_path / "c.txt", tmp_path]) == [tmp_path / "c.txt", *found]  # whatever its suffix
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match=r"none has no video in it \(.mp4, .*\)$"):
        find_videos([tmp_path, tmp_path / "none"])
    for path in found:
        path.unlink()
    (tmp_path / "._a.MP4").touch()  # of another system, on a stick
    (tmp_path / "g.mp4").mkdir()
    with pytest.raises(UserError, match=r"has no video in it .*; name its subfolders, .*, which are not searched"):
        find_videos([tmp_path])
    with pytest.raises(UserError, match=r"three.mp4 does not exist"):
        find_videos([tmp_path / "three.mp4"])


def test_only_what_v2skit_wrote_is_no_recording(tmp_path):
    (tmp_path / "farewell_speech.mp4").touch()
    (tmp_path / "clip_speech.mp4").write_bytes(MARK.encode())
    assert find_videos([tmp_path]) == [tmp_path / "farewell_speech.mp4"]


def test_where_the_speech_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    speech = tmp_path / "speech"
    one, two = tmp_path / "one.mp4", tmp_path / "two.mkv"
    for video in (one, two, tmp_path / "one.mkv"):
        video.touch()
    assert outputs([one, two], None, Extras()) == {one: speech / "one.wav", two: speech / "two.wav"}
    assert outputs([one, two], Path("out"), Extras()) == {one: Path("out/one.wav"), two: Path("out/two.wav")}
    for name in ("x.flac", "X.WAV"):
        assert outputs([one], tmp_path / name, Extras()) == {one: tmp_path / name}
    (tmp_path / "folder.mp4").mkdir()
    assert outputs([one], tmp_path / "folder.mp4", Extras()) == {one: tmp_path / "folder.mp4/one.wav"}
    write_speech(speech / "two.wav", [], 24000)
    (tmp_path / "two.wav").touch()
    assert outputs([two], None, Extras(force=True)) == {two: speech / "two.wav"}
    assert outputs([one, two], None, Extras()) == {one: speech / "one.wav"}
    assert list(outputs([one, two], tmp_path, Extras())) == [one, two]  # what others wrote is not taken for speech
    assert list(outputs([one, two], None, Extras(force=True))) == [one, two]
    assert outputs([two], None, Extras(align=("ctm",))) == {two: speech / "two.wav"}  # interrupted: a file is missing
    (tmp_path / "link").symlink_to(tmp_path)
    for videos, out, message in (
        ([one, two], tmp_path / "x.wav", "2 videos can't be written to one file"),
        ([one], tmp_path / "x.mp3", "speech is written as .wav or .flac"),
        ([one], tmp_path / "out.txt", "speech is written as .wav or .flac, give such a file or a folder"),
        ([one], tmp_path / "x.mp4", "--mux writes the video with its speech"),
        ([one, tmp_path / "one.mkv"], None, "two of the videos would be written to"),
        ([one, tmp_path / "link/one.mkv"], None, "two of the videos would be written to"),
        ([two], None, "exists already; --force overwrites it"),
        ([one], tmp_path / "two.wav", "exists already and was not written by this version of v2skit; move it away"),
        ([tmp_path / "two.wav"], tmp_path, "is the video itself"),
    ):
        with pytest.raises(UserError, match=message):
            outputs(videos, out, Extras())
