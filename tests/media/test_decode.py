"""Any container, frame rate and length -> frames and sound on the clock."""

import struct
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
import soundfile

from tests.media_files import every, make_video, real_data, shown_times
from v2skit.errors import UserError
from v2skit.media.audio_stream import decode_audio, decode_audio_segment
from v2skit.media.container import probe
from v2skit.media.timestamps import presentation_times, resample_frames
from v2skit.media.video import read_video


@pytest.mark.parametrize("rate", [10, 23, 25, 30, 50, 60])
def test_another_frame_rate_keeps_length_and_time(tmp_path, rate):
    path = make_video(tmp_path / "clip.mp4", every(rate, 2.0), fps=rate)
    frames = list(read_video(path, 25))
    assert len(frames) == 50 and frames[0].shape == (48, 64, 3) and frames[0].dtype == np.uint8
    assert np.abs(shown_times(frames) - np.arange(50) / 25).max() <= 0.5 / rate + 0.015
    assert probe(path).fps == pytest.approx(rate, rel=0.01)


def test_a_variable_frame_rate_is_resampled_by_time(tmp_path):
    times = np.concatenate([np.arange(20) / 20, 1 + np.arange(40) / 40, 2 + np.arange(10) / 10])
    frames = list(read_video(make_video(tmp_path / "clip.mkv", times), 25))
    assert abs(len(frames) - 75) <= 2
    assert np.abs(shown_times(frames) - np.arange(len(frames)) / 25).max() <= 0.05 + 0.015


@pytest.mark.parametrize("count", [1, 2, 7, 61, 100])
@pytest.mark.parametrize("rate", [12, 25, 30, 50, 120])
def test_length_is_the_duration_rounded(count, rate):
    times = ((Fraction(n, rate) + 3, Fraction(1, rate), n) for n in range(count))
    shown = list(resample_frames(times, 25))
    assert len(shown) == max(1, round(Fraction(count * 25, rate)))
    assert all(abs(Fraction(n, rate) - Fraction(t, 25)) <= Fraction(1, 2 * rate) for t, n in enumerate(shown[:-1]))


def timed(times: list[int | None]) -> list[int]:
    """The times that frames of 40 ms get whose file states ``times``, ms."""
    stream = SimpleNamespace(time_base=Fraction(1, 1000), average_rate=Fraction(25))
    frames = [SimpleNamespace(pts=time, duration=40) for time in times]
    return [round(time * 1000) for time, _, _ in presentation_times(frames, stream)]


def test_wrong_and_missing_times_are_mended():
    right = list(range(500, 1300, 40))
    assert timed(right) == right
    assert timed([None] * 3) == [0, 40, 80]
    assert timed([500, None, 580, None, None, 700]) == [500, 540, 580, 620, 660, 700]
    assert timed([500, 540, 780, None, 660, 700, 740, 780]) == right[:8]  # 780 comes again: the first is wrong
    assert timed([500, 540, 540, None, 660]) == right[:5]
    assert timed([500, 540, 900, 940]) == [500, 540, 900, 940]  # a gap, since nothing contradicts it


def test_real_clips_with_wrong_times_have_every_frame_once():
    for name in ("brag1a", "sban5a", "pbai7a"):
        assert len(list(read_video(real_data("grid/s1") / f"{name}.mpg", 25))) == 75


def test_a_recording_cut_into_starts_with_its_first_picture(tmp_path):
    """Packets before the first whole picture can't be shown; the sound starts with the picture all the same."""
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
    quarter = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)  # shown turned clockwise
    at = data.index(identity, data.index(b"tkhd"))
    path.write_bytes(data[:at] + quarter + data[at + len(identity) :])
    frame = next(iter(read_video(path, 25)))
    assert frame.shape == (64, 48, 3)
    assert frame[:32, 24:].mean() > 200 and frame[:32, :24].mean() < 60 and frame[32:].mean() < 60


def test_sound_is_resampled_and_aligned_to_the_video(tmp_path):
    path = make_video(tmp_path / "clip.mkv", every(25, 1.0), audio_seconds=0.6, audio_start=0.4)
    sound = decode_audio(path, 24000, probe(path).start)
    assert sound.dtype == np.float32 and abs(len(sound) - 24000) < 1200
    assert np.abs(sound[: int(0.37 * 24000)]).max() < 0.01
    middle = sound[int(0.5 * 24000) : int(0.9 * 24000)]
    assert np.abs(middle).max() == pytest.approx(0.3, rel=0.1)
    spectrum = np.abs(np.fft.rfft(middle))
    assert spectrum.argmax() * 24000 / len(middle) == pytest.approx(440, abs=3)


def test_sound_before_the_video_is_cut_off(tmp_path):
    path = make_video(tmp_path / "clip.mkv", 0.5 + every(25, 1.0), audio_seconds=1.5)
    start = probe(path).start
    assert start == pytest.approx(0.5, abs=0.05)
    whole, cut = decode_audio(path, 24000), decode_audio(path, 24000, start)
    assert len(whole) - len(cut) == pytest.approx(start * 24000, abs=1200)


def test_channels_are_averaged_without_a_change_of_level(tmp_path):
    left = 0.5 * np.sin(np.arange(8000) / 5)
    soundfile.write(tmp_path / "stereo.wav", np.stack([left, left], 1), 8000, subtype="FLOAT")
    soundfile.write(tmp_path / "left.wav", np.stack([left, 0 * left], 1), 8000, subtype="FLOAT")
    assert np.abs(decode_audio(tmp_path / "stereo.wav", 8000) - left).max() < 1e-4
    assert np.abs(decode_audio(tmp_path / "left.wav", 8000) - left / 2).max() < 1e-4


def test_bad_video_files_say_what_is_wrong(tmp_path):
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


def test_bad_sound_files_say_what_is_wrong(tmp_path):
    with pytest.raises(UserError, match="no audio stream"):
        decode_audio(make_video(tmp_path / "silent.mp4", every(25, 0.4)), 24000)
    soundfile.write(tmp_path / "whole.flac", np.random.default_rng(1).uniform(-0.5, 0.5, 96000), 24000)
    data = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "half.flac").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="cut off|damaged"):
        decode_audio(tmp_path / "half.flac", 24000)


@pytest.mark.parametrize("container", ["mkv", "mov"])
def test_half_a_file_is_cut_off_though_a_shorter_stream_is_not(tmp_path, container):
    for video, sound in ((2.4, 1.0), (1.0, 2.4), (2.4, None)):
        path = make_video(tmp_path / f"whole.{container}", every(25, video), audio_seconds=sound)
        assert len(list(read_video(path, 25))) == round(25 * video)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(UserError, match="cut off|damaged"):
            list(read_video(path, 25))


def test_a_tiny_picture_is_read(tmp_path):
    frames = list(read_video(make_video(tmp_path / "clip.mp4", every(25, 0.2), size=(16, 16)), 25))
    assert len(frames) == 5 and frames[0].shape == (16, 16, 3)


def test_real_grid_clips():
    for path in sorted(real_data("grid_others").glob("*.mpg"))[:2]:
        info = probe(path)
        assert info.fps == 25 and info.has_audio
        assert len(list(read_video(path, 25))) == 75
        assert len(decode_audio(path, 24000, info.start)) == pytest.approx(2.978 * 24000, abs=24)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_a_real_clip_that_was_cut_off_is_no_short_clip(tmp_path, share):
    for name in ("grid_others", "grid/s1"):
        data = next(iter(sorted(real_data(name).glob("*.mpg")))).read_bytes()
        path = tmp_path / f"{share}.mpg"
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(UserError, match="cut off|damaged"):
            list(read_video(path, 25))


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".m4a"])
@pytest.mark.parametrize(("start", "end"), [(0.0, 1.0), (0.5, 2.25), (7.3, 8.0), (9.0, None)])
def test_a_part_of_a_sound_file_is_that_of_the_whole(tmp_path, suffix, start, end):
    path, rate = tmp_path / f"long{suffix}", 24000
    time = np.arange(10 * rate) / rate
    chirp = (0.4 * np.sin(2 * np.pi * (200 * time + 40 * time**2))).astype(np.float32)
    if suffix == ".m4a":
        with av.open(str(path), "w", format="mp4") as container:
            stream = container.add_stream("aac", rate=rate, layout="mono")
            frame = av.AudioFrame.from_ndarray(chirp[None], "fltp", "mono")
            frame.sample_rate, frame.pts = rate, 0
            container.mux([*stream.encode(frame), *stream.encode(None)])
    else:
        soundfile.write(path, chirp, rate)
    whole = decode_audio(path, rate)
    part = decode_audio_segment(path, rate, start, end)
    wanted = whole[round(start * rate) : None if end is None else round(end * rate)]
    assert len(part) == len(wanted) or (end is None and abs(len(part) - len(wanted)) <= 1024)
    count = min(len(part), len(wanted))
    assert np.abs(part[:count] - wanted[:count]).mean() < 0.01


def test_a_part_that_is_not_there_is_an_error(tmp_path):
    soundfile.write(tmp_path / "short.wav", np.ones(2400), 24000)
    with pytest.raises(UserError, match="has no audio from 3.0 s on"):
        decode_audio_segment(tmp_path / "short.wav", 24000, 3.0, 4.0)
