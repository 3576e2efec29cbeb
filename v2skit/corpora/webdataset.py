"""WebDataset: tar files, in which the files of an utterance have one name and different suffixes."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

from v2skit.corpora.audio.audio_folder import SUFFIXES as AUDIO
from v2skit.corpora.audiovisual.custom import SUFFIXES as VIDEO
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.unpacked import UnpackedCorpus, named, normalised
from v2skit.errors import UserError
from v2skit.system.atomic import atomic_write

TEXT_BYTES = 1 << 20
"""A text or JSON file that is longer is none of an utterance."""


class WebDataset(UnpackedCorpus):
    """Shards of a WebDataset, as audio or as video.

    A source of ``splits`` is a tar file, a folder of them, or a pattern: ``shards/train-{000..011}.tar``. Of the files
    of an utterance, ``NAME.flac`` and other audio, ``NAME.mp4`` and other videos, ``NAME.txt`` (its text) and
    ``NAME.json`` (with ``speaker`` and ``text``) are used; without a speaker it is the name up to the first ``-`` or
    ``_``. An audio file beside a video replaces its audio track. Stage 0 unpacks the audio and the videos.
    """

    title = "WebDataset shards"

    def files(self, source: Path) -> list[Path]:
        """The tar files of a source."""
        if source.is_dir():
            found = sorted(source.glob("*.tar"))
            if not found:
                raise UserError(f"{source} has no tar files")
            return found
        found = [Path(name) for name in _expanded(str(source))]
        missing = next((path for path in found if not path.is_file()), None)
        if missing:
            raise UserError(
                f"{missing} is missing; give a tar file, a folder of them, or a pattern such as a-{{00..07}}.tar"
            )
        return found

    def read(self, source: Path, files: list[Path], folder: Path) -> Iterator[CorpusUtterance]:
        """See :meth:`UnpackedCorpus.read`."""
        for path in files:
            for shard, key, members in _groups(path):
                yield _utterance(path, shard, key, members, folder)


def _groups(path: Path) -> Iterator[tuple[tarfile.TarFile, str, list[tarfile.TarInfo]]]:
    """The files of each utterance of a shard, which follow one another."""
    with _explained(path), tarfile.open(path) as shard:
        members = (member for member in shard if member.isfile())
        for key, group in groupby(members, lambda member: _split(member.name)[0]):
            yield shard, key, list(group)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Context of reading a shard. Raises UserError where it is damaged."""
    try:
        yield
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"{path} is damaged or no tar file ({error})") from error


def _utterance(
    path: Path, shard: tarfile.TarFile, key: str, members: list[tarfile.TarInfo], folder: Path
) -> CorpusUtterance:
    found = {_split(member.name)[1]: member for member in members}
    if len(found) < len(members):
        raise UserError(f"{path}: '{key}' has two files of one suffix; a name ends at its first dot: rename one")
    about = _json(path, shard, found)
    speaker = str(about.get("speaker") or re.split("[-_]", PurePosixPath(key).name)[0])
    name, speaker = named(key, speaker)
    text = about.get("text")
    if ".txt" in found:
        text = _text(path, shard, found[".txt"])
    media: dict[str, Path] = {}
    for kind, suffixes in (("audio", AUDIO), ("video", VIDEO)):
        suffix = next((suffix for suffix in suffixes if suffix in found), None)
        if suffix:
            media[kind] = folder / f"{name}{suffix}"
            with atomic_write(media[kind]) as part, part.open("wb") as file:
                for block in _blocks(path, shard, found[suffix]):
                    file.write(block)
    if not media:
        raise UserError(f"{path}: '{key}' has neither audio nor video, only {', '.join(found)}")
    video = media.get("video")
    audio = media.get("audio", video)
    return CorpusUtterance(
        name,
        speaker,
        audio.absolute() if audio else None,
        video.absolute() if video else None,
        normalised(text if isinstance(text, str) else None),
    )


def _split(name: str) -> tuple[str, str]:
    """Key and suffix: up to the first dot of the file's name, and from it on."""
    folder, slash, file = name.rpartition("/")
    stem, dot, suffix = file.partition(".")
    return f"{folder}{slash}{stem}", f"{dot}{suffix}".lower()


def _json(path: Path, shard: tarfile.TarFile, found: dict[str, tarfile.TarInfo]) -> dict[str, Any]:
    if ".json" not in found:
        return {}
    try:
        about = json.loads(_text(path, shard, found[".json"]))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: {found['.json'].name} is no JSON ({error})") from error
    return about if isinstance(about, dict) else {}


def _text(path: Path, shard: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    if member.size > TEXT_BYTES:
        raise UserError(f"{path}: {member.name} has {member.size} bytes, too many for a text")
    try:
        return b"".join(_blocks(path, shard, member)).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: {member.name} is not in UTF-8; save it so") from error


def _blocks(path: Path, shard: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    """The content of a file. Raises UserError where it can't be read, and not where it can't be written."""
    with _explained(path):
        content = shard.extractfile(member)
        assert content is not None, "only files are listed"
    while True:
        with _explained(path):
            block = content.read(1 << 20)
        if not block:
            return
        yield block


def _expanded(pattern: str) -> list[str]:
    """``a-{08..11}.tar`` -> its names, with as many digits as the first number has."""
    match = re.search(r"\{(\d+)\.\.(\d+)\}", pattern)
    if not match:
        return [pattern]
    first, last = match.groups()
    if not 0 <= int(last) - int(first) < 1_000_000:
        raise UserError(f"{pattern}: {match[0]} is no range of shards")
    numbers = range(int(first), int(last) + 1)
    names = (f"{pattern[: match.start()]}{number:0{len(first)}}{pattern[match.end() :]}" for number in numbers)
    return [name for expanded in names for name in _expanded(expanded)]
