"""What is published of a corpus, and how what is here differs from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from v2skit.errors import UserError


@dataclass(frozen=True)
class Passport:
    """What a corpus is, as published.

    Args:
        what: one sentence.
        hours: of speech; 0 where not known.
        speakers: how many; None where not known.
        languages: of the speech.
        licence: its name.
        where: where to ask for it, as the remedy in an error.
        available: whether it can still be had.
        counts: utterances by part, as published.
    """

    what: str
    hours: float
    speakers: int | None
    languages: str
    licence: str
    where: str
    available: str
    counts: dict[str, int] = field(default_factory=dict)

    def check(self, found: dict[str, int]) -> str | None:
        """How the utterances found, by part, differ from the published counts; None where they are the same."""
        differs = [
            f"{part} {count} of {self.counts[part]}"
            for part, count in found.items()
            if part in self.counts and count != self.counts[part]
        ]
        return f"not the published counts: {', '.join(differs)}" if differs else None

    def root(self, directory: Path | None, folders: Iterable[str], has: Callable[[Path], bool], layout: str) -> Path:
        """The folder that holds the corpus.

        Args:
            directory: what the user gave.
            folders: where the corpus may be in it, ``""`` for itself.
            has: whether a folder holds the corpus.
            layout: what the corpus looks like, for the message.

        Raises:
            UserError: nothing was given, it is no folder, or the corpus is not in it; with where to ask for it.
        """
        if directory is None:
            raise UserError(f"no corpus given; {self.where}")
        if not directory.is_dir():
            raise UserError(f"{directory} is not a folder; {self.where}")
        places = [directory / folder for folder in folders]
        for place in places:
            if has(place):
                return place
        raise UserError(f"{directory} has no {layout}; {self.where}")
