"""Kaldi-style data directories, written by preparation and read by training."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from v2skit.config.features import Clock
from v2skit.errors import UserError
from v2skit.system.atomic import write_text
from v2skit.system.state_file import read_state
from v2skit.system.text_file import read_lines

_NO_ID = re.compile(r"[\s/\x00-\x1f\x7f-\x9f\ud800-\udfff]")

MAX_ID_BYTES = 240
"""An id with a suffix is the name of a file."""


def check_id(key: str, where: object, remedy: str = "rename it in every table of its data directory") -> None:
    """Raises UserError where a text can't be an utterance id, the key of tables and the name of a file.

    Args:
        key: the text.
        where: its origin, the beginning of the message.
        remedy: end of the message.
    """
    if not key or _NO_ID.search(key) or key in (".", ".."):
        rule = "must not be empty or a folder's, and have no white space, no '/' and no control characters"
    elif len(key) > MAX_ID_BYTES // 4 and len(key.encode()) > MAX_ID_BYTES:
        rule = f"must not be longer than {MAX_ID_BYTES} bytes"
    else:
        return
    raise UserError(f"{where}: ids {rule}, {key[:MAX_ID_BYTES]!a} is no such id; {remedy}", id=key)


@dataclass(frozen=True)
class Utterance:
    """One line of a data directory.

    Args:
        id: utterance id.
        speaker: name of the speaker.
        frames: length of audio and video in video frames.
        audio: mono audio at the clock's sample rate, ``frames * samples_per_frame`` samples, or None.
        video: mouth crops, ``frames`` frames, or None.
        text: words, or None where it is untranscribed.
    """

    id: str
    speaker: str
    frames: int
    audio: Path | None = None
    video: Path | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        check_id(self.id, "utterance")


@dataclass(frozen=True)
class SilentClip:
    """An utterance as synthesis sees it: without audio and text."""

    id: str
    speaker: str
    frames: int
    video: Path

    def __post_init__(self) -> None:
        check_id(self.id, "utterance")


TABLES = ("wav.scp", "video.scp", "text", "utt2spk", "utt2num_frames")
SETTINGS = "settings.json"
PREPARED_WITH = "prepared_with.json"
"""A file of the directories that stage 1 wrote."""


def read_table(path: Path) -> dict[str, str]:
    """Read ``id value`` lines. Raises UserError for a line without a value, an invalid or duplicate id, or no UTF-8."""
    table: dict[str, str] = {}
    try:
        for number, line in enumerate(read_lines(path), 1):
            key, value = [*line.split(None, 1), "", ""][:2]
            check_id(key, f"{path}:{number}")
            if not value or key in table:
                problem = f"'{key}' is a duplicate" if key in table else "no value"
                raise UserError(f"{path}:{number}: {problem}; each line is 'utterance-id value', ids unique")
            table[key] = value.strip()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text ({error}); convert it") from error
    return table


def write_manifest(directory: Path, utterances: list[Utterance], settings: dict, source: Path | None = None) -> None:
    """Write a data directory: its tables, sorted by id, and ``settings.json``. Paths under it are stored relative, and
    those under ``source``, the data directory that its utterances are from, if that is another one."""
    directory.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[str]] = {name: [] for name in TABLES}
    for u in sorted(utterances, key=lambda u: u.id):
        audio, video = (_stored(directory, path, source) for path in (u.audio, u.video))
        values = (audio, video, u.text, u.speaker, str(u.frames))
        for name, value in zip(TABLES, values, strict=True):
            if value:
                rows[name].append(f"{u.id} {value}\n")
    for name, lines in rows.items():
        if lines or name in ("utt2spk", "utt2num_frames"):  # these mark the directory as prepared, even if empty
            write_text(directory / name, "".join(lines))
        else:
            (directory / name).unlink(missing_ok=True)
    write_text(directory / SETTINGS, json.dumps(settings, indent=1) + "\n")


def read_manifest(directory: Path) -> list[Utterance]:
    """The utterances of a data directory. Raises UserError where it is missing, incomplete or inconsistent."""
    tables = read_tables(directory)
    return [
        Utterance(
            id=key,
            speaker=tables["utt2spk"][key],
            frames=int(count),
            audio=resolved(directory, tables["wav.scp"].get(key)),
            video=resolved(directory, tables["video.scp"].get(key)),
            text=tables["text"].get(key),
        )
        for key, count in tables["utt2num_frames"].items()
    ]


def read_tables(directory: Path) -> dict[str, dict[str, str]]:
    """The tables of a data directory, empty where one is missing. Raises as :func:`read_manifest` does."""
    check_there(directory, "utt2num_frames")
    tables = {n: read_table(directory / n) if (directory / n).exists() else {} for n in TABLES}
    frames = tables["utt2num_frames"]
    for name, table in tables.items():
        stray = sorted(table.keys() - frames.keys())
        if stray:
            raise UserError(f"{directory / name}: '{stray[0]}' is not in utt2num_frames ({len(stray)} such lines)")
    _check_whole(directory, frames, tables["utt2spk"], frames)
    return tables


def read_silent(directory: Path) -> list[SilentClip]:
    """The videos of a data directory, for synthesis; reads only ``video.scp``, ``utt2spk`` and ``utt2num_frames``.

    Raises:
        UserError: a table is missing or incomplete.
    """
    check_there(directory, "utt2num_frames", "utt2spk", "video.scp")
    speakers, frames = read_table(directory / "utt2spk"), read_table(directory / "utt2num_frames")
    videos = read_table(directory / "video.scp")
    _check_whole(directory, frames, speakers, videos)
    return [SilentClip(key, speakers[key], int(frames[key]), directory / path) for key, path in videos.items()]


def is_prepared(directory: Path) -> bool:
    """Whether preparation of a data directory is complete."""
    return (directory / "utt2num_frames").exists()


def check_there(directory: Path, *names: str) -> None:
    """Raises UserError where a table is missing."""
    for name in names:
        if not (directory / name).is_file():
            raise UserError(f"{directory} is not a prepared data directory (no {name}); stage 1 makes it")


def _check_whole(directory: Path, frames: dict[str, str], speakers: dict[str, str], ids: Iterable[str]) -> None:
    """Raises UserError where an utterance has no speaker or no length."""
    for name, table in (("utt2num_frames", frames), ("utt2spk", speakers)):
        missing = sorted(set(ids) - table.keys())
        if missing:
            raise UserError(f"{directory / name}: no line for '{missing[0]}' ({len(missing)} such utterances)")
    wrong = [key for key, count in frames.items() if not is_length(count)]
    if wrong:
        raise UserError(f"{directory / 'utt2num_frames'}: '{frames[wrong[0]]}' of '{wrong[0]}' is no number of frames")


def is_length(count: str) -> bool:
    """Whether a value of ``utt2num_frames`` is a valid number of frames."""
    return count.isdecimal() and 1 <= int(count) < 2**31


def read_settings(directory: Path) -> dict:
    """The settings that a directory was prepared with. Raises UserError where they are unknown."""
    check_there(directory, "utt2num_frames")
    settings = read_state(directory / SETTINGS, "stage 1 makes it")
    if settings is None:
        raise UserError(f"{directory / SETTINGS} does not exist; stage 1 makes it")
    return settings


def read_clock(directory: Path) -> Clock:
    """The clock that a directory was prepared with. Raises UserError where it is unknown."""
    try:
        return Clock(**read_settings(directory)["clock"])
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{directory / SETTINGS} has no clock, e.g. "
            f'{{"clock": {json.dumps(dataclasses.asdict(Clock()))}}}; stage 1 writes it'
        ) from error


def _stored(directory: Path, path: Path | None, source: Path | None) -> str | None:
    if path is None:
        return None
    if path.is_relative_to(directory):
        return str(path.relative_to(directory))
    if source is not None and path.is_relative_to(source):
        within = path.relative_to(source)
        # A link to a folder stays one in the path, since it moves with the recipe; but ".." leads out of its target.
        return os.path.relpath((source.resolve() if os.pardir in within.parts else source) / within, directory)
    return str(path.resolve())


def resolved(directory: Path, stored: str | None) -> Path | None:
    """The path that a table stores, relative to its directory; None for None."""
    return None if stored is None else directory / stored
