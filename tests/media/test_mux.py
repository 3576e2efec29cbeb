"""A video with its speech: each frame as it was, when it was; the speech begins with the first one."""

import struct
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile

from tests.media_files import every, make_video, real_data
from v2skit.errors import UserError
from v2skit.media.audio_stream import decode_audio
from v2skit.media.container import decode_stream, find_video_stream, open_container, probe
from v2skit.media.mux import mux, mux_path
from v2skit.media.timestamps import presentation_times
from v2skit.media.video import read_video

VARIABLE = np.concatenate([np.arange(10) / 20, 0.5 + np.arange(20) / 40, 1 + np.arange(5) / 10])


def read_timed_frames(path):
    """Presentation times, seconds from the first frame on, and the frames as stored."""
    with open_container(path) as container:
        stream = find_video_stream(container)
        frames = [
            (time, f.to_ndarray()) for time, _, f in presentation_times(decode_stream(container, stream, path), stream)
        ]
    return [float(time - frames[0][0]) for time, _ in frames], [picture for _, picture in frames]


def make_speech(path, seconds, rate=24000):
    """White noise below a quarter of the sample rate, whose offset is measurable to a sample."""
    noise = np.random.default_rng(1).normal(0, 0.1, round(seconds * rate))
    soundfile.write(path, np.convolve(noise, np.ones(4) / 4, "same"), rate, subtype="PCM_16")
    return path


def check(video, out, speech):
    """The frames and their times are the same, and the speech is the only audio and starts at the first frame."""
    (times, frames), (kept_times, kept) = read_timed_frames(video), read_timed_frames(out)
    assert len(kept) == len(frames) and all((a == b).all() for a, b in zip(kept, frames))
    assert np.abs(np.subtract(kept_times, times)).max() < 0.0011  # Matroska's times are whole milliseconds
    sound, rate = soundfile.read(speech)
    decoded = decode_audio(out, rate, probe(out).start)
    assert 0 <= len(decoded) - len(sound) <= 1100  # AAC ends with a whole frame
    size = 2 * len(decoded)
    products = np.fft.irfft(np.fft.rfft(decoded, size) * np.conj(np.fft.rfft(sound, size)))
    assert products.argmax() < 0.002 * rate
    assert products.max() > 0.9 * np.sqrt((decoded**2).sum() * (sound**2).sum())
    with open_container(out) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]


@pytest.mark.parametrize(
    ("name", "times", "fps"),
    [
        ("clip.mp4", every(24, 1.0), 24),
        ("clip.mp4", every(60, 1.0), 60),
        ("clip.mkv", every(30000 / 1001, 1.0), 30),
        ("variable.mkv", VARIABLE, 25),
        ("variable.mp4", VARIABLE, 25),
        ("late.mp4", 0.5 + every(25, 1.0), 25),
        ("one.mp4", [0.0], 25),
        ("variable.ts", VARIABLE, 25),
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_frames_and_times_stay_and_the_speech_starts_with_them(tmp_path, name, times, fps, suffix):
    video = make_video(tmp_path / name, times, fps=fps, audio_seconds=1.5)
    speech, out = make_speech(tmp_path / "speech.wav", len(times) / fps), tmp_path / f"out{suffix}"
    mux(video, speech, out)
    check(video, out, speech)


@pytest.mark.parametrize("rate", [8000, 20000, 44100])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_speech_of_any_rate(tmp_path, rate, suffix):
    video = make_video(tmp_path / "clip.mp4", every(10, 2.8), fps=10)
    speech, out = make_speech(tmp_path / "speech.flac", 2.8, rate), tmp_path / f"out{suffix}"
    mux(video, speech, out)
    check(video, out, speech)


def make_reordered(path, codec="libx264", pixels=Fraction(4, 3)):
    """Write a moving edge with B-frames; ``pixels``: pixel aspect ratio."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"bf": "2", "g": "20", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = pixels
        for number in range(50):
            picture = np.full((48, 64, 3), 40, np.uint8)
            picture[:, : number + 5] = 200
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts", "mpg", "h264"])
def test_reordered_frames_with_and_without_stated_times(tmp_path, kind):
    video, speech = make_reordered(tmp_path / f"clip.{kind}"), make_speech(tmp_path / "speech.wav", 2.0)
    out = mux_path(video, speech)
    mux(video, speech, out)
    assert out == tmp_path / "speech.mp4"
    check(video, out, speech)
    with open_container(out) as container:
        assert find_video_stream(container).sample_aspect_ratio == Fraction(4, 3)


def test_stated_times_need_no_decoding(tmp_path, monkeypatch):
    video, speech = make_reordered(tmp_path / "clip.mp4"), make_speech(tmp_path / "speech.wav", 2.0)
    monkeypatch.setattr("v2skit.media.packet_times._decoded", None)
    mux(video, speech, tmp_path / "out.mp4")
    check(video, tmp_path / "out.mp4", speech)


def test_frames_that_depend_on_missing_ones_are_left_out(tmp_path):
    whole, cut = make_reordered(tmp_path / "whole.ts", "mpeg2video"), tmp_path / "cut.ts"
    with av.open(str(whole)) as container:
        start = [packet.pos for packet in container.demux() if packet.is_keyframe][1]
    data = whole.read_bytes()
    cut.write_bytes(data[: 3 * 188] + data[start:])  # program tables, and all from the second key frame on
    speech, out = make_speech(tmp_path / "speech.wav", 1.2), tmp_path / "out.mkv"
    mux(cut, speech, out)
    check(cut, out, speech)
    with open_container(out) as container:
        assert sum(packet.size > 0 for packet in container.demux(video=0)) == len(read_timed_frames(out)[0])


def test_frames_hidden_by_an_edit_list_stay_hidden(tmp_path):
    video, speech = make_reordered(tmp_path / "clip.mp4"), make_speech(tmp_path / "speech.wav", 1.4)
    data = bytearray(video.read_bytes())
    at = data.index(b"elst") + 12  # of its duration and start time
    length, start = struct.unpack(">Ii", data[at : at + 8])
    with open_container(video) as container:
        ticks = round(0.6 / find_video_stream(container).time_base)
    data[at : at + 8] = struct.pack(">Ii", round(length * 0.7), start + ticks)
    video.write_bytes(data)
    assert len(read_timed_frames(video)[0]) == 35
    mux(video, speech, tmp_path / "out.mp4")
    check(video, tmp_path / "out.mp4", speech)
    with pytest.raises(UserError, match="begins between two key frames"):
        mux(video, speech, tmp_path / "out.mkv")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_rotated_recording_stays_so(tmp_path, suffix):
    video = make_video(tmp_path / "clip.mp4", every(25, 0.2), corner=True)
    data = video.read_bytes()
    identity = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    quarter = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    at = data.index(identity, data.index(b"tkhd"))
    video.write_bytes(data[:at] + quarter + data[at + len(identity) :])
    mux(video, make_speech(tmp_path / "speech.wav", 0.2), tmp_path / f"out{suffix}")
    upright, kept = next(read_video(video, 25)), next(read_video(tmp_path / f"out{suffix}", 25))
    assert kept.shape == (64, 48, 3) and (kept == upright).all()


@pytest.mark.parametrize("name", ["grid_others/swiz3n", "grid/s1/brag1a", "grid/s1/pbai7a"])
def test_real_clips(tmp_path, name):
    """MPEG-1, and H.264 with wrong and missing times, in MPEG-PS."""
    folder, clip = name.rsplit("/", 1)
    video, speech = real_data(folder) / f"{clip}.mpg", make_speech(tmp_path / "speech.wav", 3.0)
    out = mux_path(video, speech)
    assert out.suffix == (".mkv" if folder == "grid_others" else ".mp4")
    mux(video, speech, out)
    check(video, out, speech)


def test_packets_before_the_first_key_frame_are_left_out(tmp_path):
    whole, cut = real_data("grid_others") / "swiz3n.mpg", tmp_path / "cut.mpg"
    data = whole.read_bytes()
    cut.write_bytes(data[data.index(b"\x00\x00\x01\xba", len(data) // 3) :])  # from the start of a pack on
    mux(cut, make_speech(tmp_path / "speech.wav", 1.0), tmp_path / "out.mkv")
    check(cut, tmp_path / "out.mkv", tmp_path / "speech.wav")


def test_the_video_itself_is_never_overwritten(tmp_path):
    video = make_video(tmp_path / "clip.mp4", every(25, 0.2))
    out = mux_path(video, make_speech(tmp_path / "clip.wav", 0.2))
    assert out == tmp_path / "clip_speech.mp4"
    with pytest.raises(UserError, match="is the video itself"):
        mux(video, tmp_path / "clip.wav", video)


def test_errors_leave_no_file(tmp_path):
    video, speech = make_video(tmp_path / "clip.mp4", every(25, 0.2)), make_speech(tmp_path / "speech.wav", 0.2)
    (tmp_path / "text.wav").write_text("this is no sound")
    soundfile.write(tmp_path / "stereo.wav", np.zeros((100, 2)), 24000)
    make_video(tmp_path / "sound.mp4", audio_seconds=0.2)
    before = {path.name for path in tmp_path.iterdir()}
    wrong = [
        (video, "speech.wav", "out.avi", "choose such a name"),
        (video, "text.wav", "out.mp4", "can't be read"),
        (video, "nowhere.wav", "out.mp4", "can't be read"),
        (video, "stereo.wav", "out.mp4", "give mono"),
        (tmp_path / "sound.mp4", "speech.wav", "out.mp4", "no video stream"),
        (speech, "speech.wav", "out.mp4", "no video stream"),
    ]
    for source, sound, name, message in wrong:
        with pytest.raises(UserError, match=message):
            mux(source, tmp_path / sound, tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_codec_that_cannot_be_copied_is_refused_before_work(tmp_path):
    with av.open(str(tmp_path / "clip.wmv"), "w") as container:
        stream = container.add_stream("wmv2", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    with pytest.raises(UserError, match="wmv2.*convert it to H.264"):
        mux_path(tmp_path / "clip.wmv", tmp_path / "speech.wav")


def test_a_video_without_a_stated_rate_is_read_by_its_timestamps(tmp_path):
    video, unstated = make_video(tmp_path / "clip.mp4", every(25, 0.2)), tmp_path / "unstated.mkv"
    with av.open(str(video)) as source, av.open(str(unstated), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream, opaque=True)
        copy.codec_context.framerate = Fraction(0)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream, packet.duration = copy, 0
                target.mux(packet)
    with av.open(str(unstated)) as container:
        assert not container.streams.video[0].average_rate
    assert len(list(read_video(unstated, 25))) == 5
