"""Presentation and decoding times of a video's packets, so that they can be copied into another container."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from v2skit.errors import UserError
from v2skit.media.container import open_container, probe, require_video_stream, time_base
from v2skit.media.faults import readable
from v2skit.media.timestamps import presentation_times

RELIABLE_FORMATS = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
"""Formats whose packets state when each frame is shown; elsewhere only decoding says, as in reading a video."""

CONVERT_REMEDY = "convert it to H.264 in MP4 first: ffmpeg -i VIDEO -c:v libx264 CONVERTED.mp4"


@dataclass(frozen=True)
class _Packets:
    """The packets of a video stream, by their index in the order of decoding.

    Args:
        shown: index -> presentation time, in units of the stream's time base from the first frame on; negative for
            packets that are not shown, but that others may depend on.
        keyframes: indices of the packets that depend on no other.
    """

    shown: dict[int, int]
    keyframes: list[int]


def packet_times(video: Path, hides: bool) -> dict[int, tuple[int, int]]:
    """Times of the packets that a copy of the video stream needs.

    Args:
        video: any container.
        hides: whether the copy's container can hold packets that are not shown.

    Returns:
        index of the packet -> (presentation time, decoding time), in units of the stream's time base from the first
        frame on.

    Raises:
        UserError: the video cannot be read, or cannot be copied without decoding.
    """
    packets = _stated(video) or _decoded(video)
    first = next(index for index, time in packets.shown.items() if time >= 0)
    begin = max((index for index in packets.keyframes if index <= first), default=first)
    if begin < first and not hides:
        raise UserError.about(video, f"begins between two key frames; {CONVERT_REMEDY}")
    shown = {index: time for index, time in packets.shown.items() if index >= begin and (hides or time >= 0)}
    in_order = sorted(shown.values())
    # No packet may be decoded after it is shown: decoding is ahead by as much as the two orders differ.
    ahead = max(due - time for due, time in zip(in_order, shown.values()))
    return {index: (time, due - ahead) for (index, time), due in zip(shown.items(), in_order)}


def _stated(video: Path) -> _Packets | None:
    """The times that the container states, which need no decoding; None where it lacks some or states one twice."""
    start = probe(video).start
    with open_container(video) as container, readable(video):
        stream = require_video_stream(container, video)
        if container.format.name not in RELIABLE_FORMATS:
            return None
        first = round(start / time_base(stream))
        with_data = [(index, packet) for index, packet in enumerate(container.demux(stream)) if packet.size]
        packets = {i: (p.pts, p.is_discard, p.is_keyframe) for i, p in with_data if p.pts is not None}
    if len(packets) < len(with_data) or len({pts for pts, *_ in packets.values()}) < len(packets):
        return None
    visible = {index: pts for index, (pts, hidden, _) in packets.items() if pts >= first and not hidden}
    if not visible:
        return None
    last, end = max(visible), max(visible.values())
    if any(hidden and first <= pts < end for pts, hidden, _ in packets.values()):
        raise UserError.about(video, f"has parts cut out by its edit list; {CONVERT_REMEDY}")
    shown = {index: pts - first for index, (pts, *_) in packets.items() if index <= last}
    return _Packets(shown, [index for index, (*_, is_keyframe) in packets.items() if is_keyframe])


def _decoded(video: Path) -> _Packets:
    """The times at which :func:`v2skit.media.video.read_video` shows the frames, which it takes decoding to know."""
    stated: dict[int, int | None] = {}
    shown: dict[int, int] = {}
    keyframes: list[int] = []
    first: Fraction | None = None

    def frames() -> Iterator[av.VideoFrame]:
        for index, packet in enumerate(container.demux(stream)):
            packet.opaque = index
            if packet.size:
                stated[index] = packet.pts
            if packet.is_keyframe:
                keyframes.append(index)
            try:
                yield from packet.decode()
            except av.InvalidDataError:
                continue

    with open_container(video) as container, readable(video):
        stream = require_video_stream(container, video)
        stream.codec_context.copy_opaque = True
        unit = time_base(stream)
        for time, _, frame in presentation_times(frames(), stream):
            first = time if first is None else first
            index: Any = frame.opaque
            shown.setdefault(index, round((time - first) / unit))
    if first is None:
        raise UserError.about(video, "has a video stream without frames; fetch or record it again")
    return _Packets(_with_frameless_packets(shown, stated, round(first / unit)), keyframes)


def _with_frameless_packets(shown: dict[int, int], stated: dict[int, int | None], first: int) -> dict[int, int]:
    """Adds times of the packets that no frame was decoded from.

    A packet that states a time before the first frame keeps it; any other, such as the second field of an interlaced
    frame or a damaged packet, is placed right after the packet before it.

    Args:
        shown: index -> presentation time of packets with a frame, from the first frame on.
        stated: index -> presentation time of every packet with data as the container states it; None: not stated.
        first: that of the first frame.
    """
    times: dict[int, int] = {}
    used, previous = set(shown.values()), None
    for index, pts in stated.items():
        time = shown.get(index)
        if time is None:
            if pts is not None and pts < first:
                time = pts - first
            elif previous is not None:
                time = previous + 1
            else:
                continue
            while time in used:
                time += 1
            used.add(time)
        else:
            previous = time
        times[index] = time
    return times
