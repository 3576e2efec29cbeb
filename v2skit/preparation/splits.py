"""Leaks between data directories: clips by the digest of their audio and video, sentences, speakers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from v2skit.data.data_dir import read_clock, read_settings
from v2skit.data.index import open_index
from v2skit.errors import UserError
from v2skit.media.ark import open_location
from v2skit.preparation.integrity import check_audio
from v2skit.preparation.survey import hash64
from v2skit.system.progress import ProgressBar

UNSEEN = "unseen"
"""Beginning of the name of a corpus' split whose speakers are in one part only."""


@dataclass
class Contents:
    """What is in a data directory.

    Args:
        name: of the directory.
        unseen: whether its corpus says that the speakers are in no other part.
        speakers: their names.
        digests: ``audio``, ``video``, ``sentence`` -> 64-bit digest -> id of the first utterance that has it. That of
            audio is of its samples, that of video of the file of mouth crops.
    """

    name: str
    unseen: bool
    speakers: set[str]
    digests: dict[str, dict[int, str]] = field(default_factory=lambda: {"audio": {}, "video": {}, "sentence": {}})


def contents(name: str, directory: Path) -> Contents:
    """Read a data directory. Raises UserError where it is incomplete or a file in it can't be read."""
    index, clock, corpus = open_index(directory), read_clock(directory), read_settings(directory).get("corpus")
    settings = corpus.values() if isinstance(corpus, dict) else ()
    unseen = any(isinstance(value, str) and value.startswith(UNSEEN) for value in settings)
    found = Contents(name, unseen, set(index.speakers))
    for number in ProgressBar(range(len(index)), f"reading {name}", unit=" utterances", disable=None):
        u = index[number]
        if u.audio:
            found.digests["audio"].setdefault(check_audio(u, clock), u.id)
        if u.video:
            found.digests["video"].setdefault(_digest(u.video), u.id)
        if u.text:
            found.digests["sentence"].setdefault(hash64(" ".join(u.text.upper().split())), u.id)
    return found


def _digest(location: Path) -> int:
    try:
        source = open_location(location)
        content = Path(source).read_bytes() if isinstance(source, str) else source.read()
    except OSError as error:
        raise UserError.about(location, f"can't be read ({error}); stage 1 with --force makes it") from error
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def shared(held_out: Contents, other: Contents) -> Iterator[tuple[str, str]]:
    """(``audio``, ``video`` or ``sentence``, how many the two have in common, with an example) where it is any."""
    for what, ours in held_out.digests.items():
        both = sorted(ours.keys() & other.digests[what].keys(), key=ours.__getitem__)
        if both:
            pair = f"e.g. of {ours[both[0]]} and {other.digests[what][both[0]]}"
            yield what, f"{len(both)} of {len(ours)} in {held_out.name} ({pair})"
