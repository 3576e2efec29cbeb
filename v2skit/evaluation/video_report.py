"""One page that tells about one synthesis: the video with its speech, pictures of the sound and of the mouth."""

from __future__ import annotations

import base64
import math
import os
import tempfile
from collections.abc import Callable
from functools import partial
from html import escape
from pathlib import Path
from urllib.parse import quote

import av
import numpy as np
import soundfile
from matplotlib.figure import Figure
from matplotlib.image import imsave

from v2skit.errors import UserError
from v2skit.system.atomic import write_text
from v2skit.tracking.crop import Track

CROPS = 12

SPANS = 20
"""Silent spans that are listed one by one."""

SHOWN_BY_BROWSERS = {".mp4": {"h264", "av1", "vp9"}, ".webm": {"vp8", "vp9", "av1"}}
"""File extension -> video codecs."""

_SIZE_INCHES, _DOTS_PER_INCH = (8.0, 3.4), 100

_COLUMNS, _WAVES = 1600, 4
"""Of the spectrogram at most: those of longer sounds are means; and columns of the waveform for each of them."""

_HIGHEST_HERTZ, _RANGE_DECIBEL = 8000, 70

_STYLE = """
:root { --accent: #b5367a; --ink: #26212b; --soft: #6c6573; --line: #ddd7e0; --back: #f6f4f7; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 56rem; padding: 1rem; background: var(--back); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { margin: .5rem 0 1rem; font-size: 1.5rem; }
h2 { margin: 0; font-size: 1.1rem; }
section { display: grid; gap: .7rem; margin-bottom: 1rem; padding: 1rem; background: #fff;
  border: 1px solid var(--line); border-radius: 12px; }
p { margin: 0; }
a { color: var(--accent); }
video { width: 100%; max-height: 32rem; background: #000; border-radius: 8px; }
audio { width: 100%; }
.wide { overflow-x: auto; }
.wide img { display: block; width: 100%; min-width: 36rem; }
.crops { display: grid; grid-template-columns: repeat(6, 1fr); gap: .5rem; margin: 0; padding: 0; list-style: none;
  font-size: .8rem; color: var(--soft); text-align: center; }
@media (max-width: 36rem) { .crops { grid-template-columns: repeat(4, 1fr); } }
.crops img { display: block; width: 100%; border-radius: 6px; }
.note { color: var(--soft); }
table { justify-self: start; border-collapse: collapse; }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { color: var(--soft); font-weight: normal; white-space: nowrap; }
tr:last-child > * { border-bottom: 0; }
"""


def write_report(
    path: Path, video: Path, speech: Path, track: Track, crops: np.ndarray | None, facts: dict[str, str]
) -> None:
    """Write the page; it holds all but the video, to which it links, and needs no script and no network.

    Args:
        path: .html.
        video: with the speech as its sound, see :mod:`v2skit.media.mux`.
        speech: mono sound file, of any length: it is read in pieces.
        track: where the mouth was.
        crops: gray uint8 (n,S,S), of every 1st, 2nd, 4th, 8th... frame, as many as that gives; None: not shown.
        facts: what else is to be told, name -> value.

    Raises:
        UserError: the video or the speech can't be read.
    """
    from v2skit.evaluation.track_picture import track_picture

    title = escape(speech.stem)
    sections = [
        _section("Video", _video(path, video, speech)),
        _section("Speech", _wide(_sound_picture(speech), "Waveform and spectrogram of the speech")),
        _section(
            "Mouth",
            f"<p>{escape(_found(track))}</p>",
            _wide(_picture(lambda file: track_picture(file, track)), "Where the mouth was, over time"),
            "" if crops is None else _crops(crops, track),
        ),
        _section("Facts", _table(facts)) if facts else "",
    ]
    write_text(
        path,
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        + "".join(sections)
        + "</body>\n</html>\n",
    )


def _section(title: str, *parts: str) -> str:
    return "\n".join(["<section>", f"<h2>{title}</h2>", *filter(None, parts), "</section>\n"])


def _table(facts: dict[str, str]) -> str:
    rows = (f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts.items())
    return "\n".join(["<table>", *rows, "</table>"])


def _video(path: Path, video: Path, speech: Path) -> str:
    link = _link(path, video)
    lines = [
        f'<video controls playsinline preload="metadata" src="{link}"></video>',
        f'<p class="note"><a href="{link}">{escape(video.name)}</a></p>',
    ]
    codec = _codec(video)
    if codec not in SHOWN_BY_BROWSERS.get(video.suffix, ()):
        lines = [
            f'<audio controls preload="metadata" src="{_link(path, speech)}"></audio>',
            f"<p>Not every browser can show this video ({escape(codec)} in {escape(video.suffix)}): "
            f'open <a href="{link}">{escape(video.name)}</a> in a player. Above is its speech alone.</p>',
        ]
    return "\n".join(lines)


def _link(path: Path, file: Path) -> str:
    """A file's address, relative to the page's folder."""
    return escape(quote(Path(os.path.relpath(file, path.parent)).as_posix()))


def _codec(video: Path) -> str:
    try:
        with av.open(str(video)) as container:
            return container.streams.video[0].codec_context.codec.canonical_name
    except (av.FFmpegError, OSError, IndexError) as error:
        raise UserError(f"{video} can't be read ({error}); give the video that holds the speech") from error


def _found(track: Track) -> str:
    """In how much of the video there was a face, and where the speech is silent for want of one."""
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


def _crops(crops: np.ndarray, track: Track) -> str:
    every = 1
    while math.ceil(len(track.lost) / every) > len(crops):
        every *= 2
    lines = ['<ol class="crops">']
    for number in np.linspace(0, len(crops) - 1, min(CROPS, len(crops))).round().astype(int):
        frame = min(number * every, len(track.lost) - 1)
        found = "<br>no face" if track.lost[frame] else ""
        picture = _picture(partial(imsave, arr=crops[number][..., None].repeat(3, -1)))
        lines.append(f"<li>{_image(picture, 'Mouth')}{_clock(frame / track.fps)}{found}</li>")
    return "\n".join([*lines, "</ol>"])


def _sound_picture(speech: Path) -> bytes:
    """Waveform and spectrogram, read and reduced piece by piece."""
    ranges, powers = [], []
    try:
        with soundfile.SoundFile(speech) as sound:
            rate, seconds = sound.samplerate, sound.frames / sound.samplerate
            hop = _WAVES * round(0.01 * rate / _WAVES)
            window = np.hanning(4 * hop).astype(np.float32)
            every = max(1, math.ceil(sound.frames / hop / _COLUMNS))
            column = every * hop
            before = np.zeros(len(window) - hop, np.float32)
            while len(piece := sound.read(column * max(1, _COLUMNS // every), "float32")):
                piece = np.pad(piece, (0, -len(piece) % column))
                waves = piece.reshape(-1, column // _WAVES)
                ranges.append(np.stack([waves.min(1), waves.max(1)]))
                joined = np.concatenate([before, piece])
                before = joined[-len(before) :]
                windows = np.lib.stride_tricks.sliding_window_view(joined, len(window))[::hop]
                power = np.square(np.abs(np.fft.rfft(windows * window)))  # (F, K)
                powers.append(power.reshape(-1, every, power.shape[1]).mean(1))
    except soundfile.LibsndfileError as error:
        raise UserError(f"sound file {speech} can't be read: {error}") from error
    if not powers:
        raise UserError(f"{speech} is empty; synthesise it again")
    low, high = np.concatenate(ranges, 1)
    power = np.concatenate(powers)[:, : _HIGHEST_HERTZ * len(window) // rate + 1]  # (columns, bins)
    figure = Figure(_SIZE_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2))
    above.fill_between(np.arange(len(low)) * column / _WAVES / rate, low, high, step="post", lw=0.5, color="#b5367a")
    above.set_ylim(-1, 1)
    above.set_yticks([-1, 0, 1])
    decibel = 10 * np.log10(power.T + 1e-10)
    early = len(before) / 2 / rate  # from a window's middle to that of its last hop, seconds
    below.imshow(
        decibel,
        origin="lower",
        aspect="auto",
        extent=(-early, len(power) * column / rate - early, 0, power.shape[1] * rate / len(window) / 1000),
        vmin=decibel.max() - _RANGE_DECIBEL,
        cmap="magma",
    )
    below.set_facecolor("black")
    below.set_xlim(0, seconds)
    below.set_xlabel("s")
    below.set_ylabel("kHz")
    return _picture(lambda file: figure.savefig(file, format="png"))


def _picture(draw: Callable[[Path], None]) -> bytes:
    """The PNG that ``draw`` writes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "picture.png"
        draw(file)
        return file.read_bytes()


def _image(png: bytes, what: str) -> str:
    return f'<img alt="{what}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def _wide(png: bytes, what: str) -> str:
    """A picture that is scrolled sideways on a narrow screen, where its letters would be too small."""
    return f'<div class="wide">{_image(png, what)}</div>'
