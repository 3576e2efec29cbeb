"""Audio of any container: mono, resampled, aligned to the video, and segments by seeking."""

import av
import numpy as np
import pytest
import soundfile

from tests.media_files import every, make_video
from v2skit.errors import UserError
from v2skit.media.audio_stream import decode_audio, decode_audio_segment
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
