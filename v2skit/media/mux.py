"""A video with its synthesised speech: the video stream is copied packet by packet, the speech is the only audio."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import soundfile

from v2skit.errors import UserError
from v2skit.media.container import frame_rate, open_container, require_video_stream, time_base
from v2skit.media.faults import readable
from v2skit.media.formats import local_name
from v2skit.media.packet_times import CONVERT_REMEDY, packet_times
from v2skit.system.atomic import atomic_write

CONTAINERS = {".mp4": ("mp4", "aac"), ".mkv": ("matroska", "flac")}
"""File extension -> FFmpeg's names of the container and of the audio codec in it."""

MP4_CODECS = {"h264", "hevc", "av1", "vp9", "mpeg4"}
"""Video codecs that are muxed into MP4; all others go into Matroska."""

SPEECH_SUFFIX = "_speech"
"""End of the stem of a muxed file in the folder of its video."""

AAC_BIT_RATE = 128_000

BLOCK_SAMPLES = 1 << 16
"""Samples that are read and encoded at a time."""


def mux_path(video: Path, speech: Path) -> Path:
    """The file that :func:`mux` is to write for a video.

    It is next to the speech and has its stem, with ``.mp4`` where the video's codec is one of MP4_CODECS and ``.mkv``
    elsewhere; SPEECH_SUFFIX is appended to the stem where the file would replace the video.

    Raises:
        UserError: the video cannot be read, or its codec cannot be copied into the container.
    """
    with open_container(video) as source:
        stream = require_video_stream(source, video)
        suffix = ".mp4" if _codec(stream) in MP4_CODECS else ".mkv"
        with _copyable(stream, video), av.open(os.devnull, "w", format=CONTAINERS[suffix][0]) as trial:
            _add_video(trial, stream)
            trial.start_encoding()
    path = speech.with_suffix(suffix)
    replaces_video = path.with_suffix("").resolve() == video.with_suffix("").resolve()
    return path.with_stem(path.stem + SPEECH_SUFFIX) if replaces_video else path


def mux(video: Path, speech: Path, out: Path, comment: str = "") -> None:
    """Write a video with speech as its only audio, which begins at the first frame.

    Frames, their times, rotation and pixel aspect ratio stay the same. The audio is AAC in MP4 and FLAC in Matroska.

    Args:
        video: any container.
        speech: mono audio file.
        out: ``.mp4`` or ``.mkv``, not the video itself; written atomically.
        comment: of the file, in its metadata.

    Raises:
        UserError: the video or the speech cannot be read, or the container cannot hold the video stream as it is.
    """
    if out.suffix not in CONTAINERS:
        raise UserError(f"{out}: a video with its speech is {' or '.join(CONTAINERS)}; choose such a name", path=out)
    if out.resolve() == video.resolve():
        raise UserError(f"{out} is the video itself; choose another name for the one with the speech", path=out)
    name, codec = CONTAINERS[out.suffix]
    times = packet_times(video, hides=name == "mp4")
    try:
        with (
            open_container(video) as source,
            soundfile.SoundFile(os.fsencode(speech)) as audio,
            atomic_write(out) as part,
        ):
            if audio.channels > 1:
                raise UserError.about(speech, f"has {audio.channels} channels; give mono speech")
            stream = require_video_stream(source, video)
            with _copyable(stream, video), av.open(local_name(part), "w", format=name) as container:
                if comment:
                    container.metadata["comment"] = comment
                video_out, audio_out = _add_video(container, stream), _add_audio(container, codec, audio.samplerate)
                packets = _copy(source, stream, video, times, video_out), _encode(audio, audio_out)
                for packet in heapq.merge(*packets, key=_decoding_time):
                    container.mux_one(packet)
    except soundfile.LibsndfileError as error:
        raise UserError(f"audio file {speech} can't be read: {error}", path=speech) from error


def _decoding_time(packet: av.Packet) -> Fraction:
    """Seconds."""
    assert packet.dts is not None and packet.time_base is not None, "both are set on what is copied and encoded"
    return packet.dts * packet.time_base


def _copy(
    source: av.container.InputContainer,
    stream: av.VideoStream,
    video: Path,
    times: dict[int, tuple[int, int]],
    video_out: av.VideoStream,
) -> Iterator[av.Packet]:
    """The packets that have times, in the order of decoding."""
    with readable(video):
        for index, packet in enumerate(source.demux(stream)):
            if index in times:
                packet.pts, packet.dts = times[index]
                # A last packet without one would be hidden.
                packet.duration = packet.duration or round(1 / (frame_rate(stream) * time_base(stream)))
                packet.stream = video_out
                yield packet


def _encode(audio: soundfile.SoundFile, stream: av.AudioStream) -> Iterator[av.Packet]:
    """The packets of the speech."""
    rate = audio.samplerate
    for number, block in enumerate(audio.blocks(BLOCK_SAMPLES, dtype="int16")):
        frame = av.AudioFrame.from_ndarray(block[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, number * BLOCK_SAMPLES, Fraction(1, rate)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _add_video(container: av.container.OutputContainer, stream: av.VideoStream) -> av.VideoStream:
    copy = container.add_stream_from_template(stream, opaque=True)
    copy.codec_context.framerate = stream.average_rate or Fraction(0)
    if container.format.name == "mp4" and _codec(stream) == "hevc":
        copy.codec_context.codec_tag = "hvc1"  # the only tag that Apple's players accept
    return copy


def _add_audio(container: av.container.OutputContainer, codec: str, sample_rate: int) -> av.AudioStream:
    rates = av.Codec(codec, "w").audio_rates or [sample_rate]
    stream = container.add_stream(codec, rate=sample_rate if sample_rate in rates else 48000, layout="mono")
    assert isinstance(stream, av.AudioStream)
    if codec == "aac":
        stream.bit_rate = AAC_BIT_RATE
    return stream


@contextmanager
def _copyable(stream: av.VideoStream, video: Path) -> Iterator[None]:
    """Errors by which FFmpeg refuses to copy a codec become a UserError with the remedy."""
    try:
        yield
    except (av.PatchWelcomeError, ValueError) as error:
        raise UserError.about(
            video, f"has a video codec ({_codec(stream)}) that can't be copied; {CONVERT_REMEDY}"
        ) from error


def _codec(stream: av.VideoStream) -> str:
    return stream.codec_context.codec.canonical_name
