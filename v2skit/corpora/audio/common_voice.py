"""Common Voice (Ardila et al. 2020): sentences read by volunteers into their own microphones, MP3."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from v2skit.corpora.audio_corpus import AudioCorpus
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.info import CorpusInfo
from v2skit.corpora.transcript import table, words
from v2skit.errors import UserError

SPEAKER_CHARACTERS = 16
"""Of a volunteer's pseudonym, a hash."""


class CommonVoice(AudioCorpus):
    """Common Voice, one language of any release, from ``en/validated.tsv`` and ``en/clips/*.mp3``.

    Volunteers of ``dev`` and ``test`` are excluded from ``validated``.

    Args:
        language: code of the language, which is its folder's name.
    """

    title = "Common Voice"
    info = CorpusInfo(
        where="ask for it at mozilladatacollective.com (an account and its terms), unpack it and give its folder with "
        "{corpus_dir}",
        hours=2319.1,
    )
    training = ("validated",)
    validation = ("dev",)
    testing = ("test",)

    def __init__(
        self,
        work_dir: Path,
        corpus_dir: str = "",
        language: str = "en",
        parts: list[str] | None = None,
        held_out: int = 200,
    ) -> None:
        self.folders = ("", language)
        if language != "en":
            self.info = dataclasses.replace(self.info, hours=None)
        super().__init__(work_dir, corpus_dir, parts, held_out)

    def has(self, root: Path, part: str) -> bool:
        """Whether a folder contains a part."""
        return (root / f"{part}.tsv").is_file() and (root / "clips").is_dir()

    def utterances(self, root: Path, part: str) -> Iterator[CorpusUtterance]:
        """The clips of a part whose files exist."""
        for name, speaker, text in _rows(root / f"{part}.tsv"):
            if name in self._clips and (part != "validated" or speaker not in self._held_out_speakers):
                short = speaker[:SPEAKER_CHARACTERS]
                yield CorpusUtterance(f"{short}-{Path(name).stem}", short, root / "clips" / name, text=words(text))

    @cached_property
    def _clips(self) -> set[str]:
        """Names of the files, from one scan of a folder with millions of them."""
        return {entry.name for entry in os.scandir(self.root / "clips")}

    @cached_property
    def _held_out_speakers(self) -> set[str]:
        tables = (self.root / f"{part}.tsv" for part in ("dev", "test") if self.has(self.root, part))
        return {speaker for path in tables for _, speaker, _ in _rows(path)}

    def _layout(self) -> str:
        return "validated.tsv and clips/ (Common Voice)"


def _rows(path: Path) -> Iterator[tuple[str, str, str]]:
    """File, speaker and sentence of each line. Raises UserError where a column is missing."""
    lines = table(path)
    columns = next(lines, [])
    lacking = {"path", "client_id", "sentence"} - set(columns)
    if lacking:
        raise UserError(f"{path} has no column '{min(lacking)}'; unpack the corpus again")
    places = [columns.index(name) for name in ("path", "client_id", "sentence")]
    for fields in lines:
        if len(fields) > max(places):
            path_at, speaker_at, text_at = places
            yield fields[path_at], fields[speaker_at], fields[text_at]
