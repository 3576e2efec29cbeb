"""A corpus, as published, names its utterances and splits; preparation turns them into data directories."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class CorpusUtterance:
    """One utterance of a corpus as published.

    Args:
        id: unique in the corpus, without white space; it starts with the speaker (``s1-bbaf2n``), as Kaldi sorts.
        speaker: who speaks.
        audio: file with the sound (a video file counts), or None.
        video: file with the picture, or None for audio-only utterances.
        text: words in upper case, or None where there is no transcript.
        start: where the utterance begins in its audio-only file, seconds.
        end: where it ends, seconds; None: with the file.
    """

    id: str
    speaker: str
    audio: Path | None
    video: Path | None = None
    text: str | None = None
    start: float = 0.0
    end: float | None = None


class Corpus(Protocol):
    """A corpus component. Its constructor takes ``work_dir`` (the recipe's folder) from the toolkit, and whatever
    else its config section says."""

    def obtain(self) -> str:
        """Stage 0: generate the corpus, or check that it is there. Idempotent.

        Returns:
            one line for the user: what is there, and where.

        Raises:
            UserError: it is missing or unreadable, with where to get it.
        """

    def splits(self) -> dict[str, list[CorpusUtterance]]:
        """Data directory name -> its utterances. Deterministic, and disjoint between splits."""

    def grammar(self) -> str | None:
        """The JSGF grammar of what is said, for the recogniser; None for open vocabulary."""
