"""What is published of a corpus, and how what is here differs from it."""

from __future__ import annotations

from dataclasses import dataclass, field


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
