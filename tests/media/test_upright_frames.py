"""Frames of any container, upright and from the first key frame on."""

import struct
from fractions import Fraction

import numpy as np
import pytest

from tests.media_files import every, make_video, real_data
from v2skit.media.container import probe
from v2skit.media.video import read_timed_frames, read_video


def test_a_cut_recording_starts_with_its_first_key_frame(tmp_path):
    """Packets before the first key frame cannot be shown; audio is aligned to the first frame that can."""
    whole, cut = real_data("grid_others") / "swiz3n.mpg", tmp_path / "cut.mpg"
    data = whole.read_bytes()
    cut.write_bytes(data[data.index(b"\x00\x00\x01\xba", len(data) // 3) :])  # from the start of a pack on
    first = next(read_video(cut, 25)).astype(int)
    place = np.argmin([np.abs(frame - first).mean() for frame in read_video(whole, 25)])
    assert place > 10 and probe(cut).start == pytest.approx(probe(whole).start + place / 25, abs=0.001)


def test_a_rotated_recording_is_upright(tmp_path):
    path = make_video(tmp_path / "clip.mp4", every(25, 0.2), corner=True)
    data = path.read_bytes()
    identity = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    quarter = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)  # rotated clockwise for display
    at = data.index(identity, data.index(b"tkhd"))
    path.write_bytes(data[:at] + quarter + data[at + len(identity) :])
    frame = next(iter(read_video(path, 25)))
    assert frame.shape == (64, 48, 3)
    assert frame[:32, 24:].mean() > 200 and frame[:32, :24].mean() < 60 and frame[32:].mean() < 60


def test_a_tiny_frame_is_read(tmp_path):
    frames = list(read_video(make_video(tmp_path / "clip.mp4", every(25, 0.2), size=(16, 16)), 25))
    assert len(frames) == 5 and frames[0].shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("pixels", "width"),
    [
        (Fraction(4, 3), 85),
        (Fraction(1, 2), 32),
        (Fraction(32, 11), 186),
        (Fraction(100), 64),
        (Fraction(1, 100), 64),
        (Fraction(126, 125), 64),
    ],
)
def test_pixels_become_square_unless_the_file_states_nonsense(tmp_path, pixels, width):
    video = make_video(tmp_path / "clip.mp4", every(25, 0.2), corner=True, pixel_aspect=pixels)
    for frame in (next(read_video(video, 25)), next(read_timed_frames(video))[1]):
        assert frame.shape == (48, width, 3)
        assert frame[:24, : width // 2 - 1].mean() > 200 and frame[:24, width // 2 + 2 :].mean() < 60
