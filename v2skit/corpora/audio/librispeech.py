"""LibriSpeech (Panayotov et al. 2015): 982 hours of audio books, 16 kHz."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from v2skit.corpora.archive import Archive
from v2skit.corpora.audio_corpus import AudioCorpus
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.info import CorpusInfo
from v2skit.corpora.transcript import table, words

SHA256 = {
    "train-clean-100": "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
    "train-clean-360": "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf",
    "train-other-500": "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2",
    "dev-clean": "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
    "dev-other": "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
    "test-clean": "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
    "test-other": "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
}


class LibriSpeech(AudioCorpus):
    """LibriSpeech, from ``LibriSpeech/train-clean-100/19/198/19-198-0000.flac``."""

    title = "LibriSpeech"
    info = CorpusInfo(
        where="download it from openslr.org/12 with {download}, or give its folder with {corpus_dir}",
        hours=982.1,
        counts={
            "train-clean-100": 28539,
            "train-clean-360": 104014,
            "train-other-500": 148688,
            "dev-clean": 2703,
            "dev-other": 2864,
            "test-clean": 2620,
            "test-other": 2939,
        },
    )
    folders = ("", "LibriSpeech")
    training = ("train-clean-100", "train-clean-360", "train-other-500")
    validation = ("dev-clean", "dev-other")
    testing = ("test-clean", "test-other")
    archives = {
        part: Archive(f"https://www.openslr.org/resources/12/{part}.tar.gz", sha256) for part, sha256 in SHA256.items()
    }
    family = "librivox"
    names_chapters = True

    def utterances(self, root: Path, part: str) -> Iterator[CorpusUtterance]:
        """The utterances of a part whose files exist."""
        for chapter in sorted(p for p in (root / part).glob("*/*") if p.is_dir()):
            speaker = chapter.parent.name
            lines = table(chapter / f"{speaker}-{chapter.name}.trans.txt", " ")
            texts = {name: " ".join(rest) for name, *rest in lines}
            for path in sorted(chapter.glob("*.flac")):
                yield CorpusUtterance(path.stem, speaker, path, text=words(texts.get(path.stem, "")))
