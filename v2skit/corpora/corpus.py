"""A corpus, as published, names its utterances and splits; preparation turns them into data directories."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class CorpusUtterance:
    """One utterance of a corpus as published.

    Args:
        id: unique in the corpus, without white space; the speaker is its prefix (``s1-bbaf2n``), as Kaldi sorts.
        speaker: name of the speaker.
        audio: audio file, or video file with an audio track, or None.
        video: video file, or None for audio-only utterances.
        text: words in upper case, or None where it is untranscribed.
        start: of an audio-only utterance in its file, seconds.
        end: likewise; None: the end of the file.
    """

    id: str
    speaker: str
    audio: Path | None
    video: Path | None = None
    text: str | None = None
    start: float = 0.0
    end: float | None = None


class Corpus(Protocol):
    """A corpus component. Its constructor has the arguments ``work_dir`` (the recipe's folder, from the toolkit) and
    those of its config section."""

    def obtain(self) -> str:
        """Stage 0: generate, download or find the corpus. Idempotent.

        Returns:
            one line for the user: what was found, and where.

        Raises:
            UserError: it is missing or unreadable, with where to obtain it.
        """

    def splits(self) -> dict[str, list[CorpusUtterance]]:
        """Data directory name -> its utterances. Deterministic and disjoint."""

    def grammar(self) -> str | None:
        """The JSGF grammar of the sentences, for speech recognition; None for open vocabulary."""
