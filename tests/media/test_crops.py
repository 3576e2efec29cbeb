"""Stored mouth crops: small, near the original, read from any frame on."""

import numpy as np
import pytest
from torch.utils.data import DataLoader

from v2skit.errors import UserError
from v2skit.media.crops import read_crops, write_crops


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A blob that moves over a soft background, 60 frames; and its file."""
    rows, columns, time = np.mgrid[:96, :96, :60].astype(float)
    blob = np.exp(-((columns - 48 - 20 * np.sin(time / 5)) ** 2 + (rows - 48) ** 2) / 200)
    frames = np.ascontiguousarray((40 + columns / 3 + 150 * blob).astype(np.uint8).transpose(2, 0, 1))
    path = tmp_path_factory.mktemp("crops") / "clip.mp4"
    write_crops(path, frames, 25)
    return frames, path


def test_what_is_read_is_near_what_was_written(stored):
    frames, path = stored
    read = read_crops(path)
    assert read.shape == (60, 96, 96) and read.dtype == np.uint8
    assert np.abs(read.astype(int) - frames).mean() < 2
    assert path.stat().st_size < 30_000 * 60 / 25


def test_black_and_white_keep_their_range(tmp_path):
    frames = np.zeros((5, 32, 32), np.uint8)
    frames[:, :, 16:] = 255
    write_crops(tmp_path / "clip.mp4", frames, 25)
    assert np.abs(read_crops(tmp_path / "clip.mp4").astype(int) - frames).max() < 8


@pytest.mark.parametrize(("start", "count"), [(0, 1), (7, 20), (12, 12), (59, 1), (30, 30)])
def test_a_segment_is_that_part_of_the_whole(stored, start, count):
    _, path = stored
    assert (read_crops(path, start, count) == read_crops(path)[start : start + count]).all()


@pytest.mark.parametrize("fps", [24, 25, 30])
def test_segments_at_other_rates(tmp_path, fps):
    frames = np.repeat(np.arange(0, 250, 5, dtype=np.uint8), 1024).reshape(50, 32, 32)
    write_crops(tmp_path / "clip.mp4", frames, fps)
    for start in range(0, 50, 7):
        assert abs(int(read_crops(tmp_path / "clip.mp4", start, 1)[0].mean()) - 5 * start) < 3


class Segments:
    def __init__(self, path):
        self.path = path

    def __len__(self):
        return 8

    def __getitem__(self, number):
        return read_crops(self.path, 5 * number, 5)


def test_worker_processes_read_the_same(stored):
    _, path = stored
    batches = list(DataLoader(Segments(path), batch_size=4, num_workers=2))
    assert (np.concatenate([b.numpy().reshape(-1, 96, 96) for b in batches]) == read_crops(path)[:40]).all()


def test_missing_and_damaged_files_are_named(stored, tmp_path):
    _, path = stored
    (tmp_path / "half.mp4").write_bytes(path.read_bytes()[:800])
    for name in ("nowhere.mp4", "half.mp4"):
        with pytest.raises(UserError, match=f"{name}.*stage 1"):
            read_crops(tmp_path / name)
    with pytest.raises(UserError, match="stage 1"):
        read_crops(path, 60, 5)
