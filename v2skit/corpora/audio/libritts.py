"""LibriTTS (Zen et al. 2019): 585 hours of audio books, 24 kHz, cut at sentences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from v2skit.corpora.archive import Archive
from v2skit.corpora.audio_corpus import AudioCorpus
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.info import CorpusInfo
from v2skit.corpora.transcript import table, words

SHA256 = {
    "train-clean-100": "c5608bf1ef74bb621935382b8399c5cdd51cd3ee47cec51f00f885a64c6c7f6b",
    "train-clean-360": "ce7cff44dcac46009d18379f37ef36551123a1dc4e5c8e4eb73ae57260de4886",
    "train-other-500": "e35f7e34deeb2e2bdfe4403d88c8fdd5fbf64865cae41f027a185a6965f0a5df",
    "dev-clean": "da0864e1bd26debed35da8a869dd5c04dfc27682921936de7cff9c8a254dbe1a",
    "dev-other": "d413eda26f3a152ac7c9cf3658ef85504dfb1b625296e5fa83727f5186cca79c",
    "test-clean": "234ea5b25859102a87024a4b9b86641f5b5aaaf1197335c95090cde04fe9a4f5",
    "test-other": "33a5342094f3bba7ccc2e0500b9e72d558f72eb99328ac8debe1d9080402f10d",
}


class LibriTts(AudioCorpus):
    """LibriTTS, from ``LibriTTS/train-clean-100/19/198/19_198_000000_000000.wav``."""

    title = "LibriTTS"
    info = CorpusInfo(
        where="download it from openslr.org/60 with {download}, or give its folder with {corpus_dir}",
        hours=585.0,
        counts={
            "train-clean-100": 33236,
            "train-clean-360": 116500,
            "train-other-500": 205044,
            "dev-clean": 5736,
            "dev-other": 4613,
            "test-clean": 4837,
            "test-other": 5120,
        },
    )
    folders = ("", "LibriTTS")
    training = ("train-clean-100", "train-clean-360", "train-other-500")
    validation = ("dev-clean", "dev-other")
    testing = ("test-clean", "test-other")
    archives = {
        part: Archive(f"https://www.openslr.org/resources/60/{part}.tar.gz", sha256) for part, sha256 in SHA256.items()
    }
    family = "librivox"
    names_chapters = True

    def utterances(self, root: Path, part: str) -> Iterator[CorpusUtterance]:
        """The utterances of a part whose files exist."""
        for chapter in sorted(p for p in (root / part).glob("*/*") if p.is_dir()):
            speaker = chapter.parent.name
            lines = table(chapter / f"{speaker}_{chapter.name}.trans.tsv")
            texts = {name: fields[-1] for name, *fields in lines if fields}
            for path in sorted(chapter.glob("*.wav")):
                text = words(texts.get(path.stem, ""))
                yield CorpusUtterance(path.stem.replace("_", "-", 2), speaker, path, text=text)
