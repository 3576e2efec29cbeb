"""Multilingual LibriSpeech (Pratap et al. 2020): audio books in eight languages, 16 kHz."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path

from v2skit.corpora.audio_corpus import AudioCorpus
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.info import CorpusInfo
from v2skit.corpora.transcript import table, words
from v2skit.errors import UserError, suggestion

HOURS = {
    "english": 44659.74,
    "german": 1966.51,
    "dutch": 1554.24,
    "french": 1076.58,
    "spanish": 917.68,
    "italian": 247.38,
    "portuguese": 160.96,
    "polish": 103.65,
}
"""Of the training parts."""


class Mls(AudioCorpus):
    """Multilingual LibriSpeech, one language, from ``mls_english/train/audio/10148/10119/10148_10119_000000.flac``.

    Args:
        language: english, german, dutch, french, spanish, italian, portuguese or polish.
        hours: of the training part to use, about, drawn by a hash of the ids; null: all.

    Raises:
        UserError: unknown language, or ``hours`` is not positive.
    """

    title = "MLS"
    info = CorpusInfo(
        where="download it from openslr.org/94 (English: 2.4 TB as FLAC, 651 GB as Opus), unpack it and give its "
        "folder with {corpus_dir}",
        hours=44691.0,
        counts={"train": 10808037, "dev": 3807, "test": 3769},
    )
    training, validation, testing = ("train",), ("dev",), ("test",)
    family = "librivox"

    def __init__(
        self,
        work_dir: Path,
        corpus_dir: str = "",
        language: str = "english",
        hours: float | None = 1000.0,
        parts: list[str] | None = None,
        held_out: int = 200,
    ) -> None:
        if language not in HOURS:
            raise UserError(f"language: MLS has no '{language}'{suggestion(language, HOURS)}")
        if hours is not None and hours <= 0:
            raise UserError(f"hours {hours} must be positive, or null for all")
        self.folders = ("", f"mls_{language}", f"mls_{language}_opus")
        self.share = 1.0 if hours is None else hours / HOURS[language]
        if language != "english":
            self.info = dataclasses.replace(self.info, hours=HOURS[language], counts={})
        super().__init__(work_dir, corpus_dir, parts, held_out)

    def has(self, root: Path, part: str) -> bool:
        """Whether a folder contains a part."""
        return (root / part / "transcripts.txt").is_file()

    def utterances(self, root: Path, part: str) -> Iterator[CorpusUtterance]:
        """The utterances of a part whose files exist; of the training part ``hours``."""
        share = self.share if part == "train" else 1.0
        suffix = "opus" if next((root / part).glob("audio/*/*/*.opus"), None) else "flac"
        for name, *fields in table(root / part / "transcripts.txt"):
            if share < 1 and int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") >= share * 2**32:
                continue
            speaker, book = name.split("_")[:2]
            path = root / part / "audio" / speaker / book / f"{name}.{suffix}"
            if path.is_file():
                yield CorpusUtterance(name.replace("_", "-"), speaker, path, text=words(" ".join(fields)))

    def _layout(self) -> str:
        return f"{self.parts[0]}/transcripts.txt (MLS)"
