"""Folders of audio files."""

import pytest

from tests.media_files import real_data
from v2skit.corpora.audio.audio_folder import AudioFolder
from v2skit.errors import UserError


@pytest.fixture
def folder(tmp_path):
    for name in ("a/19-198-0001.flac", "a/19-198-0002.FLAC", "b/c/26-1-0001.mp3", "b/my voice.wav", "a/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def utterances(corpus):
    return [s for part in corpus.splits().values() for s in part]


def test_every_audio_file_is_found_once(folder):
    found = utterances(AudioFolder(folder, ["a", "b"]))
    names = ["19-198-0001.flac", "19-198-0002.FLAC", "26-1-0001.mp3", "my voice.wav"]
    assert sorted(s.audio.name for s in found) == names
    assert all(s.video is None and s.text is None and " " not in s.id and s.id.startswith(s.speaker) for s in found)
    assert {s.speaker for s in found} >= {"19", "26"}
    assert "4 files" in AudioFolder(folder, ["a", "b"]).obtain()


def test_speakers_by_folder(folder):
    assert {s.speaker for s in utterances(AudioFolder(folder, ["a", "b"], speaker="folder"))} == {"a", "b", "c"}


def test_one_name_in_two_folders_makes_two_utterances(folder):
    for name in ("x", "y"):
        (folder / name).mkdir()
        (folder / name / "19-198-0001.flac").touch()
    found = utterances(AudioFolder(folder, ["a", "x", "y"]))
    assert len({s.id for s in found}) == len(found) == 4


def test_a_share_is_held_out_and_stays_so(tmp_path):
    for number in range(400):
        (tmp_path / f"s{number % 7}-{number}.wav").touch()
    splits = AudioFolder(tmp_path, ["."], valid_share=0.1).splits()
    assert list(splits) == ["audio", "audio_valid"] and 20 <= len(splits["audio_valid"]) <= 60
    assert splits == AudioFolder(tmp_path, ["."], valid_share=0.1).splits()


def test_few_files_still_have_one_held_out(folder):
    splits = AudioFolder(folder, ["a", "b"], valid_share=1e-6).splits()
    assert [len(found) for found in splits.values()] == [3, 1]
    assert list(AudioFolder(folder, ["a", "b"], valid_share=0).splits()) == ["audio"]


def test_a_file_that_no_training_is_left_for_is_an_error(folder):
    (folder / "one").mkdir()
    (folder / "one/a-1.wav").touch()
    with pytest.raises(UserError, match="1 audio file in .*one: none is left for training; give more"):
        AudioFolder(folder, ["one"]).obtain()
    assert list(AudioFolder(folder, ["one"], valid_share=0).splits()) == ["audio"]


def test_a_folder_in_another_one_is_not_read_twice(tmp_path):
    (tmp_path / "all/part").mkdir(parents=True)
    for number in range(60):
        (tmp_path / f"all/part/s{number % 7}-{number}.wav").touch()
    found = utterances(AudioFolder(tmp_path, ["all", "all/part"], valid_share=0.1))
    assert len({s.audio.name for s in found}) == len(found) == 60


def test_names_without_a_beginning_have_a_speaker(folder):
    for name in ("_take1.wav", "-x.wav"):
        (folder / "a" / name).touch()
    assert all(s.speaker and s.id.startswith(s.speaker) for s in utterances(AudioFolder(folder, ["a"])))


def test_missing_and_empty_folders_are_named(folder):
    (folder / "empty").mkdir()
    for name in ("nowhere", "empty"):
        with pytest.raises(UserError, match=name):
            AudioFolder(folder, ["a", name]).splits()
    with pytest.raises(UserError, match="speaker"):
        AudioFolder(folder, ["a"], speaker="file")
    with pytest.raises(UserError, match="valid_share"):
        AudioFolder(folder, ["a"], valid_share=1.0)


def test_real_folders():
    data = real_data("librispeech").parent
    found = utterances(AudioFolder(data, ["librispeech", "ljspeech"]))
    assert len(found) == 182 and len({s.speaker for s in found if not s.audio.is_relative_to(data / "ljspeech")}) == 60
