"""VCTK 0.92 (Yamagishi, Veaux, MacDonald 2019): 110 speakers in a studio, 48 kHz."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from v2skit.corpora.archive import Archive
from v2skit.corpora.audio_corpus import AudioCorpus
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.info import CorpusInfo
from v2skit.corpora.transcript import words
from v2skit.errors import UserError
from v2skit.system.text_file import read_text


class Vctk(AudioCorpus):
    """VCTK, from ``wav48_silence_trimmed/p225/p225_001_mic1.flac``, or from ``wav48`` of its older releases.

    Args:
        microphone: 1 or 2; two speakers (p280, p315) have the first only. Older releases have one.

    Raises:
        UserError: unknown microphone.
    """

    title = "VCTK"
    info = CorpusInfo(
        where="download it from datashare.ed.ac.uk/handle/10283/3443 with {download}, or give its "
        "folder with {corpus_dir}",
        hours=44.0,
    )
    folders = ("", "VCTK-Corpus-0.92", "VCTK-Corpus")
    archives = {
        "all": Archive(
            "https://datashare.is.ed.ac.uk/bitstream/handle/10283/3443/VCTK-Corpus-0.92.zip",
            "f96258be9fdc2cbff6559541aae7ea4f59df3fcaf5cf963aae5ca647357e359c",
            folder="VCTK-Corpus-0.92",
        )
    }

    def __init__(
        self, work_dir: Path, corpus_dir: str = "", microphone: int = 1, held_out: int = 200, download: bool = False
    ) -> None:
        super().__init__(work_dir, corpus_dir, held_out=held_out, download=download)
        if microphone not in (1, 2):
            raise UserError(f"microphone {microphone} is neither 1 nor 2")
        self.microphone = microphone

    def has(self, root: Path, part: str) -> bool:
        """Whether a folder contains the corpus."""
        return any((root / name).is_dir() for name in ("wav48_silence_trimmed", "wav48"))

    def utterances(self, root: Path, part: str) -> Iterator[CorpusUtterance]:
        """The utterances whose files exist."""
        new = f"wav48_silence_trimmed/*/*_mic{self.microphone}.flac"
        for path in sorted(root.glob(new)) or sorted(root.glob("wav48/*/*.wav")):
            speaker, number = path.stem.split("_")[:2]
            text = root / "txt" / speaker / f"{speaker}_{number}.txt"
            transcript = words(read_text(text)) if text.is_file() else None
            yield CorpusUtterance(f"{speaker}-{number}", speaker, path, text=transcript)

    def _layout(self) -> str:
        return "wav48_silence_trimmed/ (VCTK 0.92) and no wav48/ (older)"
