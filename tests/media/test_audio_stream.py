"""Audio of any container: mono, resampled, aligned to the video, and segments by seeking."""

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from tests.media_files import every, make_video
from v2skit.errors import UserError
from v2skit.media.audio_stream import decode_audio, decode_audio_segment, exceeds
from v2skit.media.container import probe


def test_audio_is_resampled_and_aligned_to_the_video(tmp_path):
    path = make_video(tmp_path / "clip.mkv", every(25, 1.0), audio_seconds=0.6, audio_start=0.4)
    waveform = decode_audio(path, 24000, probe(path).start)
    assert waveform.dtype == np.float32 and abs(len(waveform) - 24000) < 1200
    assert np.abs(waveform[: int(0.37 * 24000)]).max() < 0.01
    middle = waveform[int(0.5 * 24000) : int(0.9 * 24000)]
    assert np.abs(middle).max() == pytest.approx(0.3, rel=0.1)
    spectrum = np.abs(np.fft.rfft(middle))
    assert spectrum.argmax() * 24000 / len(middle) == pytest.approx(440, abs=3)


def test_audio_before_the_video_is_cut_off(tmp_path):
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


def test_errors_of_audio_files(tmp_path):
    with pytest.raises(UserError, match="no audio stream"):
        decode_audio(make_video(tmp_path / "silent.mp4", every(25, 0.4)), 24000)
    soundfile.write(tmp_path / "whole.flac", np.random.default_rng(1).uniform(-0.5, 0.5, 96000), 24000)
    data = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "half.flac").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="cut off|damaged"):
        decode_audio(tmp_path / "half.flac", 24000)


def chirp_with_a_gap(path, rate: int = 24000) -> np.ndarray:
    """An AAC file of 10 s that lacks the packets from 1.0 to 1.3 s; returns what was encoded."""
    time = np.arange(10 * rate) / rate
    chirp = (0.4 * np.sin(2 * np.pi * (200 * time + 40 * time**2))).astype(np.float32)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(chirp[None], "fltp", "mono")
        frame.sample_rate, frame.pts = rate, 0
        packets = [*stream.encode(frame), *stream.encode(None)]
        container.mux([packet for packet in packets if not 1.0 <= packet.pts * packet.time_base < 1.3])
    return chirp


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_a_gap_is_filled_so_that_what_follows_is_in_time(tmp_path, suffix):
    path, rate, notes = tmp_path / f"gap{suffix}", 24000, []
    chirp = chirp_with_a_gap(path)
    whole = decode_audio(path, rate, notes=notes)
    assert len(notes) == 1 and 0.25 < float(notes[0].split()[2]) < 0.35 and "filled with zeros" in notes[0]
    assert abs(len(whole) - len(chirp)) < 2048
    assert np.abs(whole[round(1.1 * rate) : round(1.25 * rate)]).max() < 0.01
    priming = 1024 if suffix == ".ts" else 0  # of the encoder, which this container does not state
    part = slice(3 * rate, 4 * rate)
    segment = decode_audio_segment(path, rate, 0.5, 4.0)
    for later in (whole, np.pad(segment, (rate // 2, 0))):
        lag = np.correlate(later[part], chirp[part], "full").argmax() - (rate - 1)
        assert abs(lag - priming) < 0.003 * rate


def stamped(path: Path, starts, late: int = -1) -> Path:
    """A file of frames of 40 ms at 8 kHz with these times, in seconds, but for one that is stamped a minute late; the
    samples of frame n are n + 1 thousandths."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        for number, start in enumerate(starts, 1):
            samples = np.full((1, 320), round(32.768 * number), np.int16)
            frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
            frame.sample_rate, frame.pts = 8000, round(8000 * start)
            for packet in stream.encode(frame):
                packet.pts += 60 * 8000 if number == late else 0
                container.mux(packet)
    return path


def test_a_gap_of_minutes_is_refused(tmp_path):
    path = stamped(tmp_path / "jump.mkv", [0, *(200 + every(25, 0.4))])
    with pytest.raises(UserError, match=r"jump.mkv has audio times that jump by 200 s at 0.04 s, more than 120 s"):
        decode_audio(path, 24000)


@pytest.mark.parametrize("late", [-1, 50])
def test_wrong_times_of_single_frames_are_no_gaps(tmp_path, late):
    times, notes = every(25, 4.0), []
    times[1:] += np.random.default_rng(0).uniform(0, 0.035, len(times) - 1)  # jitter
    path = stamped(tmp_path / "x.mkv", times, late)
    with av.open(str(path)) as container:
        assert (max(frame.time for frame in container.decode(audio=0)) > 60) == (late > 0)
    waveform = decode_audio(path, 8000, notes=notes)
    assert not notes and np.abs(waveform - np.repeat(np.arange(1, 101) / 1000, 320)).max() < 1e-3


def test_gaps_count_towards_the_length(tmp_path):
    path = stamped(tmp_path / "gaps.mkv", [0, *(100 + every(25, 0.4)), *(200 + every(25, 0.4))])
    assert exceeds(path, 199) and not exceeds(path, 201)
    notes: list[str] = []
    segment = decode_audio_segment(path, 8000, 99.9, 100.1, notes)
    assert len(segment) == 1600 and not segment[:700].any() and segment[-700:].all()
    assert notes == ["gaps of 99.96 s in the audio, filled with zeros"]


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".m4a"])
@pytest.mark.parametrize(("start", "end"), [(0.0, 1.0), (0.5, 2.25), (7.3, 8.0), (9.0, None)])
def test_a_segment_is_that_of_the_whole(tmp_path, suffix, start, end):
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


def test_a_segment_beyond_the_end_is_an_error(tmp_path):
    soundfile.write(tmp_path / "short.wav", np.ones(2400), 24000)
    with pytest.raises(UserError, match="has no audio from 3.0 s on"):
        decode_audio_segment(tmp_path / "short.wav", 24000, 3.0, 4.0)
