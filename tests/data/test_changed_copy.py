import numpy as np
import pytest

from tests.conftest import make_d_vectors, make_data
from v2skit.data.changed_copy import changed_copy
from v2skit.data.data_dir import read_manifest, read_silent
from v2skit.errors import UserError
from v2skit.media.audio import read_audio
from v2skit.models.speakers.stored_vectors import OtherClips


def zeros(utterance, samples, rate):
    return np.zeros(samples, np.float32)


def test_only_the_audio_and_the_vectors_of_the_clip_change(tmp_path):
    make_data(tmp_path / "data/deep/test", 4)
    make_d_vectors(tmp_path / "data/deep/test")
    make_data(tmp_path / "data/deep/train", 2)
    ours = read_manifest(tmp_path / "data/deep/test")
    before = {path: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()}
    key, other = ours[0].id, ours[2].id  # both of speaker s0
    changed_copy(tmp_path / "data", "deep/test", tmp_path / "copy", [key], {key: zeros})
    theirs = {u.id: u for u in read_manifest(tmp_path / "copy/deep/test")}
    assert not read_audio(theirs[key].audio, 24000).any() and theirs[key].audio != ours[0].audio
    assert all(theirs[u.id].audio == u.audio.resolve() for u in ours[1:])
    assert [clip.id for clip in read_silent(tmp_path / "copy/deep/test")] == [key]
    assert len(read_manifest(tmp_path / "copy/deep/train")) == 2
    original, copy = (OtherClips(tmp_path / name / "deep/test", 10) for name in ("data", "copy"))
    assert np.array_equal(original(key, "s0"), copy(key, "s0"))  # the mean of the other clips
    assert not np.allclose(original(other, "s0"), copy(other, "s0"))
    assert before == {path: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()}


def test_a_directory_outside_the_folder_is_refused(tmp_path):
    make_data(tmp_path / "other/test", 1)
    (tmp_path / "data").mkdir()
    with pytest.raises(UserError, match=r"\.\./other/test is not in .*data; move"):
        changed_copy(tmp_path / "data", "../other/test", tmp_path / "copy", [])
