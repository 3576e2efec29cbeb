"""Text with times: words from the tokens of a decoded path, and the files of Praat and NIST that hold them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from v2skit.errors import UserError
from v2skit.system.text_file import read_lines

GAP_SECONDS = 0.25
"""Longest gap between tokens of a word, s: a path may have single ones far away, at the very start or end of a clip."""


class Span(NamedTuple):
    """A token of a decoded path.

    Args:
        token: its id.
        start: first step.
        end: the step after its last one.
    """

    token: int
    start: int
    end: int


class Timed(NamedTuple):
    """A word or a token with its times.

    Args:
        text: of it.
        start: s.
        end: s.
    """

    text: str
    start: float
    end: float


class Reading(NamedTuple):
    """What a head read in a clip.

    Args:
        text: all words.
        words: with their times, in order; empty where the head gives no times.
        tokens: those of the words, likewise.
    """

    text: str
    words: tuple[Timed, ...] = ()
    tokens: tuple[Timed, ...] = ()


def words_of(tokenizer: Any, spans: Sequence[Span], step_seconds: float) -> tuple[list[Timed], list[Timed]]:
    """The words and tokens of a path with their times: a token is in the word that decoding up to it ends with, and the
    word lasts from the first to the last of its tokens.

    Args:
        tokenizer: its ``decode`` separates words by spaces.
        spans: tokens in order, without blanks.
        step_seconds: of a step, s.

    Returns:
        words and tokens; a token without a text of its own, such as the space, is in neither.
    """
    ids = [span.token for span in spans]
    tokens: list[Timed] = []
    within: dict[int, list[Timed]] = {}  # number of a word -> its tokens
    for place, (token, first, last) in enumerate(spans):
        text = tokenizer.decode([token])
        if text:
            tokens.append(Timed(text, first * step_seconds, last * step_seconds))
            number = len(tokenizer.decode(ids[: place + 1]).split()) - 1
            within.setdefault(number, []).append(tokens[-1])
    words = tokenizer.decode(ids).split()
    together = {number: _together(found) for number, found in within.items()}
    return [Timed(words[number], found[0].start, found[-1].end) for number, found in together.items()], tokens


def _together(tokens: list[Timed]) -> list[Timed]:
    """Most of the tokens of a word, without long gaps between them."""
    groups = [[tokens[0]]]
    for before, token in itertools.pairwise(tokens):
        if token.start - before.end > GAP_SECONDS:
            groups.append([])
        groups[-1].append(token)
    return max(groups, key=len)


def textgrid(tiers: Mapping[str, Iterable[Timed]], seconds: float, comment: str) -> str:
    """A Praat TextGrid in its long format: interval tiers, which cover the whole time with empty intervals between the
    texts.

    Args:
        tiers: by name, each in order and without overlaps.
        seconds: of the recording, s; times beyond are cut.
        comment: in the last line, where no reader looks.
    """
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {seconds:.6g}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, timed) in enumerate(tiers.items(), 1):
        intervals = _tiled(timed, seconds)
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f"        name = {_quoted(name)}"]
        lines += ["        xmin = 0", f"        xmax = {seconds:.6g}", f"        intervals: size = {len(intervals)}"]
        for place, (text, start, end) in enumerate(intervals, 1):
            lines += [f"        intervals [{place}]:", f"            xmin = {start:.6g}"]
            lines += [f"            xmax = {end:.6g}", f"            text = {_quoted(text)}"]
    return "\n".join([*lines, f"! {comment}"]) + "\n"


def ctm(words: Iterable[Timed], name: str, comment: str) -> str:
    """Words in the form of NIST's ``ctm``: recording, channel, start and duration in seconds, word.

    Args:
        words: in order.
        name: of the recording; white space in it becomes an underscore.
        comment: in the first line.
    """
    recording = "_".join(name.split())
    lines = [f"{recording} 1 {word.start:.3f} {word.end - word.start:.3f} {word.text}" for word in words]
    return "\n".join([f";; {comment}", *lines]) + "\n"


def read_ctm(path: Path) -> dict[str, list[Timed]]:
    """The words of a ``ctm`` file by recording, in order of their starts.

    Raises:
        UserError: it can't be read, or a line is not ``recording channel start duration word``.
    """
    words: dict[str, list[Timed]] = {}
    try:
        for number, line in enumerate(read_lines(path), 1):
            fields = line.removeprefix("\ufeff").split()
            if fields and not fields[0].startswith(";;"):
                try:
                    recording, _, start, duration, word, *_ = fields
                    begin, end = float(start), float(start) + float(duration)
                except ValueError as error:
                    form = "'recording channel start duration word', times in seconds"
                    raise UserError(f"{path}:{number} is no line of a ctm file, {form}") from error
                if not 0 <= begin <= end < math.inf:
                    raise UserError(f"{path}:{number}: the word ends before it starts, or its times are no seconds")
                words.setdefault(recording, []).append(Timed(word, begin, end))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} can't be read as a ctm file: {error}; give one with the times of the words") from error
    return {recording: sorted(found, key=lambda word: word.start) for recording, found in words.items()}


def _tiled(timed: Iterable[Timed], seconds: float) -> list[Timed]:
    """The same, with empty intervals in between, from 0 to the end."""
    found, last = [], 0.0
    for text, *times in timed:
        start, end = (min(max(time, last), seconds) for time in times)
        if end <= start:
            continue
        if start > last:
            found.append(Timed("", last, start))
        found.append(Timed(text, start, end))
        last = end
    return [*found, Timed("", last, seconds)] if last < seconds else found


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'
