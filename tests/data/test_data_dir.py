"""Data directories are written, read back, and checked."""

from pathlib import Path

import pytest

from tests.conftest import make_data
from v2skit.data.data_dir import Utterance, read_manifest, read_silent, write_manifest
from v2skit.errors import UserError


def test_round_trip_with_relative_paths(tmp_path):
    made = make_data(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "moved")
    again = read_manifest(tmp_path / "moved")
    assert [u.id for u in again] == sorted(u.id for u in made)
    assert all(u.audio.exists() and u.video.exists() and u.text for u in again)


def test_what_is_absent_stays_absent(tmp_path):
    write_manifest(tmp_path, [Utterance("s-1", "s", 3, Path("/x.flac")), Utterance("s-2", "s", 4)], {})
    first, second = read_manifest(tmp_path)
    assert (first.audio, first.video, first.text) == (Path("/x.flac"), None, None) and second.audio is None
    with pytest.raises(UserError, match="no video.scp"):
        read_silent(tmp_path)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("wav.scp", "stranger x.flac\n", "'stranger' is not in utt2num_frames"),
        ("utt2num_frames", "lonely 5\n", "utt2spk: no line for 'lonely'"),
        ("text", "novalue\n", "text:7: no value"),
    ],
)
def test_inconsistent_directories_are_errors(tmp_path, name, line, message):
    make_data(tmp_path)
    with (tmp_path / name).open("a") as file:
        file.write(line)
    with pytest.raises(UserError, match=message):
        read_manifest(tmp_path)


def test_words_may_hold_any_character_but_a_line_break(tmp_path):
    made = [Utterance("s-1", "s", 3, text="a\u2028b  c\u0085次")]
    write_manifest(tmp_path, made, {})
    assert read_manifest(tmp_path) == made


def test_tables_are_utf8(tmp_path):
    make_data(tmp_path, count=1, video=False)
    (tmp_path / "text").write_bytes(b"s0-0000 caf\xe9\n")
    with pytest.raises(UserError, match="is not UTF-8 text"):
        read_manifest(tmp_path)


def test_an_empty_directory_is_prepared_all_the_same(tmp_path):
    write_manifest(tmp_path, [], {})
    assert read_manifest(tmp_path) == []


def test_missing_directory(tmp_path):
    with pytest.raises(UserError, match="stage 1 makes it"):
        read_manifest(tmp_path / "none")


def test_silent_clips_need_no_audio(tmp_path):
    make_data(tmp_path)
    (tmp_path / "wav.scp").write_text("damaged")
    assert len(read_silent(tmp_path)) == 6
