"""A video's picture as it is, with its speech as the only sound: packets are copied, their times put right."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import soundfile

from v2skit.errors import UserError
from v2skit.media.decode import opened, probe, tick_of, timed, video_in
from v2skit.system.atomic import beside

CONTAINERS = {".mp4": ("mp4", "aac"), ".mkv": ("matroska", "flac")}
"""File extension -> container, and codec of the sound in it."""

IN_MP4 = {"h264", "hevc", "av1", "vp9", "mpeg4"}
"""Video codecs that belong in MP4."""

TIMED = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
"""Formats that state when each picture is shown; elsewhere decoding tells, as in reading a video."""

SPOKEN = "_speech"
"""At the end of a name: a video that has its speech."""

AAC_BIT_RATE = 128_000

REMEDY = "convert it to H.264 in MP4 first: ffmpeg -i VIDEO -c:v libx264 CONVERTED.mp4"

BLOCK = 1 << 16
"""Samples that are read and encoded together."""


def mux_path(video: Path, speech: Path) -> Path:
    """Where :func:`mux` is to write: beside the speech, under its name, as ``.mp4`` where the video's codec belongs
    there, else as ``.mkv``; with ``_speech`` in its name where that is beside the video. Raises UserError where neither
    can hold the picture as it is."""
    with opened(video) as source:
        stream = video_in(source, video)
        suffix = ".mp4" if _codec(stream) in IN_MP4 else ".mkv"
        with _copyable(stream, video), av.open(os.devnull, "w", format=CONTAINERS[suffix][0]) as trial:
            _add_picture(trial, stream)
            trial.start_encoding()
    path = speech.with_suffix(suffix)
    beside_it = path.with_suffix("").resolve() == video.with_suffix("").resolve()
    return path.with_stem(path.stem + SPOKEN) if beside_it else path


def mux(video: Path, speech: Path, out: Path) -> None:
    """Write the video's picture with the speech as its only sound, which begins with the first frame.

    Rotation, the shape of the pixels and the times between frames stay. The sound is AAC in MP4, FLAC in Matroska.

    Args:
        video: any container.
        speech: mono sound file.
        out: ``.mp4`` or ``.mkv``, not the video itself.

    Raises:
        UserError: one of them can't be read, or the container can't hold the picture as it is.
    """
    if out.suffix not in CONTAINERS:
        raise UserError(f"{out}: a video with its speech is {' or '.join(CONTAINERS)}; choose such a name")
    if out.resolve() == video.resolve():
        raise UserError(f"{out} is the video itself; choose another name for the one with the speech")
    name, codec = CONTAINERS[out.suffix]
    places = _places(video, hides=name == "mp4")
    try:
        with opened(video) as source, soundfile.SoundFile(speech) as sound, beside(out) as part:
            if sound.channels > 1:
                raise UserError(f"{speech} has {sound.channels} channels; give mono speech")
            stream = video_in(source, video)
            with _copyable(stream, video), av.open(str(part), "w", format=name) as container:
                copy, spoken = _add_picture(container, stream), _add_sound(container, codec, sound.samplerate)
                packets = _copied(source, stream, places, copy), _encoded(sound, spoken)
                for packet in heapq.merge(*packets, key=_due):
                    container.mux_one(packet)
    except soundfile.LibsndfileError as error:
        raise UserError(f"sound file {speech} can't be read: {error}") from error


@dataclass(frozen=True)
class Times:
    """When packets are shown.

    Args:
        shown: number of a packet -> ticks of its stream from the first frame on, in the order of decoding; below 0 for
            what is not shown, but others may build on.
        whole: numbers of packets that build on no other.
    """

    shown: dict[int, int]
    whole: list[int]


def _places(video: Path, hides: bool) -> dict[int, tuple[int, int]]:
    """Number of a packet -> when it is shown and when decoded, ticks from the first frame on; for those to be copied.

    Args:
        video: any container.
        hides: the copy can hold packets that are not shown.
    """
    times = _stated(video) or _decoded(video)
    first = next(number for number, ticks in times.shown.items() if ticks >= 0)
    begin = max((number for number in times.whole if number <= first), default=first)
    if begin < first and not hides:
        raise UserError.about(video, f"begins between two whole pictures; {REMEDY}")
    shown = {number: ticks for number, ticks in times.shown.items() if number >= begin and (hides or ticks >= 0)}
    in_order = sorted(shown.values())
    # Decoding must not come after showing: it is ahead by as much as their orders differ.
    ahead = max(due - ticks for due, ticks in zip(in_order, shown.values()))
    return {number: (ticks, due - ahead) for (number, ticks), due in zip(shown.items(), in_order)}


def _stated(video: Path) -> Times | None:
    """Times as the file states them, which is quick; None where it does not, or states one twice."""
    start = probe(video).start
    with opened(video) as container:
        stream = video_in(container, video)
        if container.format.name not in TIMED:
            return None
        first = round(start / tick_of(stream))
        with_size = [(number, packet) for number, packet in enumerate(container.demux(stream)) if packet.size]
        packets = {n: (p.pts, p.is_discard, p.is_keyframe) for n, p in with_size if p.pts is not None}
    if len(packets) < len(with_size) or len({pts for pts, *_ in packets.values()}) < len(packets):
        return None
    seen = {number: pts for number, (pts, hidden, _) in packets.items() if pts >= first and not hidden}
    if not seen:
        return None
    last, end = max(seen), max(seen.values())
    if any(hidden and first <= pts < end for pts, hidden, _ in packets.values()):
        raise UserError.about(video, f"has parts cut out by its edit list; {REMEDY}")
    shown = {number: pts - first for number, (pts, *_) in packets.items() if number <= last}
    return Times(shown, [number for number, (*_, whole) in packets.items() if whole])


def _decoded(video: Path) -> Times:
    """Times as :func:`v2skit.media.decode.read_video` sees them, which decodes the frames."""
    stated: dict[int, int | None] = {}
    shown: dict[int, int] = {}
    whole: list[int] = []
    first: Fraction | None = None

    def frames() -> Iterator[av.VideoFrame]:
        for number, packet in enumerate(container.demux(stream)):
            packet.opaque = number
            if packet.size:
                stated[number] = packet.pts
            if packet.is_keyframe:
                whole.append(number)
            try:
                yield from packet.decode()
            except av.InvalidDataError:
                continue

    with opened(video) as container:
        stream = video_in(container, video)
        stream.codec_context.copy_opaque = True
        tick = tick_of(stream)
        for time, _, frame in timed(frames(), stream):
            first = time if first is None else first
            number: Any = frame.opaque
            shown.setdefault(number, round((time - first) / tick))
    if first is None:
        raise UserError.about(video, "has a video stream without frames; fetch or record it again")
    return Times(_with_others(shown, stated, round(first / tick)), whole)


def _with_others(shown: dict[int, int], stated: dict[int, int | None], first: int) -> dict[int, int]:
    """Adds packets that gave no frame: before the first frame where they are stated so, else right after the one before
    them (the other half of an interlaced picture, or damaged)."""
    times: dict[int, int] = {}
    taken, before = set(shown.values()), None
    for number, pts in stated.items():
        ticks = shown.get(number)
        if ticks is None:
            if pts is not None and pts < first:
                ticks = pts - first
            elif before is not None:
                ticks = before + 1
            else:
                continue
            while ticks in taken:
                ticks += 1
            taken.add(ticks)
        else:
            before = ticks
        times[number] = ticks
    return times


def _due(packet: av.Packet) -> Fraction:
    """When a packet is decoded, seconds."""
    assert packet.dts is not None and packet.time_base is not None, "both are set on what is copied and encoded"
    return packet.dts * packet.time_base


def _copied(
    source: av.container.InputContainer,
    stream: av.VideoStream,
    places: dict[int, tuple[int, int]],
    copy: av.VideoStream,
) -> Iterator[av.Packet]:
    for number, packet in enumerate(source.demux(stream)):
        if number in places:
            packet.pts, packet.dts = places[number]
            packet.stream = copy
            yield packet


def _encoded(sound: soundfile.SoundFile, stream: av.AudioStream) -> Iterator[av.Packet]:
    for number, block in enumerate(sound.blocks(BLOCK, dtype="int16")):
        frame = av.AudioFrame.from_ndarray(block[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = sound.samplerate, number * BLOCK, Fraction(1, sound.samplerate)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _add_picture(container: av.container.OutputContainer, stream: av.VideoStream) -> av.VideoStream:
    copy = container.add_stream_from_template(stream, opaque=True)
    copy.codec_context.framerate = stream.average_rate or Fraction(0)
    if container.format.name == "mp4" and _codec(stream) == "hevc":
        copy.codec_context.codec_tag = "hvc1"  # Apple's players know no other
    return copy


def _add_sound(container: av.container.OutputContainer, codec: str, sample_rate: int) -> av.AudioStream:
    rates = av.Codec(codec, "w").audio_rates or [sample_rate]
    stream = container.add_stream(codec, rate=sample_rate if sample_rate in rates else 48000, layout="mono")
    assert isinstance(stream, av.AudioStream)
    if codec == "aac":
        stream.bit_rate = AAC_BIT_RATE
    return stream


@contextmanager
def _copyable(stream: av.VideoStream, video: Path) -> Iterator[None]:
    """What FFmpeg refuses to copy is the user's to convert."""
    try:
        yield
    except (av.PatchWelcomeError, ValueError) as error:
        raise UserError.about(
            video, f"has a picture ({_codec(stream)}) that can't be copied as it is; {REMEDY}"
        ) from error


def _codec(stream: av.VideoStream) -> str:
    return stream.codec_context.codec.canonical_name
