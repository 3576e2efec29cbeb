"""LJSpeech 1.1 (Ito, Johnson 2017): 24 hours of one reader, 22.05 kHz."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from v2skit.corpora.archive import Archive
from v2skit.corpora.audio_corpus import AudioCorpus
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.info import CorpusInfo
from v2skit.corpora.transcript import table, words


class LjSpeech(AudioCorpus):
    """LJSpeech, from ``LJSpeech-1.1/wavs/LJ001-0001.wav`` and ``metadata.csv``."""

    title = "LJSpeech"
    info = CorpusInfo(
        where="download it from keithito.com/LJ-Speech-Dataset with {download}, or give its folder with {corpus_dir}",
        hours=24.0,
        counts={"all": 13100},
    )
    folders = ("", "LJSpeech-1.1")
    archives = {
        "all": Archive(
            "https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",
            "be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",
        )
    }

    def has(self, root: Path, part: str) -> bool:
        """Whether a folder contains the corpus."""
        return (root / "wavs").is_dir()

    def utterances(self, root: Path, part: str) -> Iterator[CorpusUtterance]:
        """The utterances whose files exist."""
        texts = {name: fields[-1] for name, *fields in table(root / "metadata.csv", "|") if fields}
        for path in sorted(p for suffix in ("wav", "flac") for p in (root / "wavs").glob(f"*.{suffix}")):
            yield CorpusUtterance(f"lj-{path.stem}", "lj", path, text=words(texts.get(path.stem, "")))

    def _layout(self) -> str:
        return "wavs/ (LJSpeech-1.1)"
