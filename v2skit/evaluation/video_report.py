"""An HTML page about one synthesis: the video with its speech, pictures of the speech and of the mouth."""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av
import numpy as np
from matplotlib.image import imsave

from v2skit.errors import UserError
from v2skit.evaluation.pages.render import render
from v2skit.evaluation.speech_picture import speech_picture
from v2skit.evaluation.track_picture import track_picture
from v2skit.media.formats import open_input
from v2skit.media.synthesised import MARK
from v2skit.system.atomic import write_text
from v2skit.system.temporary import private_folder
from v2skit.tracking.crop import Track

CROPS = 12

SPANS = 20
"""Silent spans that are listed one by one."""

SHOWN_BY_BROWSERS = {".mp4": {"h264", "av1", "vp9"}, ".webm": {"vp8", "vp9", "av1"}}
"""File extension -> video codecs."""


def write_report(
    path: Path, video: Path, speech: Path, track: Track, crops: np.ndarray | None, facts: dict[str, str]
) -> None:
    """Write the page; it contains everything except the video, to which it links, and needs no script and no network.

    Args:
        path: .html.
        video: with the speech as its sound, see :mod:`v2skit.media.mux`.
        speech: mono sound file, of any length: it is read in pieces.
        track: position of the mouth.
        crops: gray uint8 (n,S,S), of every 1st, 2nd, 4th, 8th... frame, as many as that gives; None: not shown.
        facts: further facts, name -> value.

    Raises:
        UserError: the video or the speech can't be read.
    """
    codec = _codec(video)
    page = render(
        "video_report.html",
        title=speech.stem,
        mark=MARK,
        video={
            "name": video.name,
            "suffix": video.suffix,
            "codec": codec,
            "link": _link(path, video),
            "shown_by_browsers": codec in SHOWN_BY_BROWSERS.get(video.suffix, ()),
        },
        speech_link=_link(path, speech),
        speech_picture=_png(partial(speech_picture, speech=speech)),
        track_picture=_png(partial(track_picture, track=track)),
        track_summary=_summary(track),
        crops=[] if crops is None else list(_crops(crops, track)),
        facts=facts,
    )
    write_text(path, page)


def _link(page: Path, file: Path) -> str:
    """The address of a file, relative to the page's folder."""
    return quote(os.fsencode(Path(os.path.relpath(file, page.parent)).as_posix()))


def _codec(video: Path) -> str:
    try:
        with open_input(video) as container:
            return container.streams.video[0].codec_context.codec.canonical_name
    except (av.FFmpegError, OSError, IndexError) as error:
        raise UserError.about(video, f"can't be read ({error}); give the video that holds the speech") from error


def _summary(track: Track) -> str:
    """The share of frames without a face, and the spans in which the speech is therefore silent."""
    lost, silent = track.lost.mean(), track.silent.sum() / track.fps
    text = f"No face in {lost:.1%} of {len(track.lost)} frames." if lost else "A face in every frame."
    if silent:
        edges = np.flatnonzero(np.diff(track.silent.astype(np.int8), prepend=0, append=0)).reshape(-1, 2) / track.fps
        spans = [f"{_clock(start)}–{_clock(end)}" for start, end in edges[:SPANS]]
        more = f" and {len(edges) - SPANS} more" if len(edges) > SPANS else ""
        text += f" The speech is silent there for {silent:.1f} s: {', '.join(spans)}{more}."
    return text


def _clock(seconds: float) -> str:
    """65.4 -> 1:05.4"""
    minutes, tenths = divmod(round(seconds * 10), 600)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}:{minutes:02d}" if hours else f"{minutes}") + f":{tenths / 10:04.1f}"


def _crops(crops: np.ndarray, track: Track) -> Iterator[dict[str, Any]]:
    """Evenly spaced crops as pictures, with their times and whether a face was found."""
    every = 1
    while math.ceil(len(track.lost) / every) > len(crops):
        every *= 2
    for number in np.linspace(0, len(crops) - 1, min(CROPS, len(crops))).round().astype(int):
        frame = min(number * every, len(track.lost) - 1)
        picture = _png(partial(imsave, arr=crops[number][..., None].repeat(3, -1)))
        yield {"png": picture, "time": _clock(frame / track.fps), "lost": bool(track.lost[frame])}


def _png(draw: Callable[[Path], None]) -> str:
    """The PNG that ``draw`` writes to a file, in base64."""
    with private_folder("report") as folder:
        file = folder / "picture.png"
        draw(file)
        return base64.b64encode(file.read_bytes()).decode()
