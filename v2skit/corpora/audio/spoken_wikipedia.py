"""The Spoken Wikipedia Corpora (Köhn, Stegen, Baumann 2016): whole articles, read by volunteers, with alignments."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import soundfile

from v2skit.corpora.archive import Archive
from v2skit.corpora.audio_corpus import AudioCorpus
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.info import CorpusInfo
from v2skit.corpora.transcript import words

Sentence = tuple[float, float, str]
"""Start and end, seconds in the article's recording; words."""

MARGIN_SECONDS = 0.2
"""Of audio before and after a sentence, at most; half of the pause where that is shorter."""

PIECE_SECONDS = 12.0
SHORTEST_SECONDS = 1.0


class SpokenWikipedia(AudioCorpus):
    """The Spoken Wikipedia, one language, from ``english/<article>/aligned.swc`` and its ``audio.ogg``.

    Articles are an hour long and more. Sentences in which every word is aligned become utterances with text; the audio
    between them is cut into untranscribed pieces of up to 12 s.

    Args:
        language: english, german or dutch: the folder's name.
        unaligned: whether to use the audio between aligned sentences, which is about half of the corpus.
    """

    title = "Spoken Wikipedia"
    info = CorpusInfo(
        where="download the English part from nats.gitlab.io/swc with {download}, or give its folder with {corpus_dir}",
        hours=395.0,
    )
    archives = {"all": Archive("https://www2.informatik.uni-hamburg.de/nats/pub/SWC/SWC_English.tar")}

    def __init__(
        self,
        work_dir: Path,
        corpus_dir: str = "",
        language: str = "english",
        unaligned: bool = True,
        held_out: int = 200,
        download: bool = False,
    ) -> None:
        if download and language != "english":
            raise self.info.error(f"download: only the English part can be downloaded, not '{language}'")
        super().__init__(work_dir, corpus_dir, held_out=held_out, download=download)
        self.folders = ("", language)
        self.unaligned = unaligned
        self.damaged: list[Path] = []

    def obtain(self) -> str:
        """As in the base, with the articles that can't be read."""
        message = super().obtain()
        return f"{message}; can't be read: {len(self.damaged)}, e.g. {self.damaged[0]}" if self.damaged else message

    def has(self, root: Path, part: str) -> bool:
        """Whether a folder contains the corpus."""
        return next(root.glob("*/aligned.swc"), None) is not None

    def utterances(self, root: Path, part: str) -> Iterator[CorpusUtterance]:
        """The pieces of the articles whose files exist."""
        for aligned in sorted(root.glob("*/aligned.swc")):
            try:
                tree = ElementTree.parse(aligned).getroot()
                recordings, sentences = _recordings(aligned.parent), sorted(_sentences(tree))
            except Exception:  # files of another structure raise many types
                self.damaged.append(aligned)
                continue
            reader = _reader(tree, aligned.parent)
            article = hashlib.sha256(os.fsencode(aligned.parent.name)).hexdigest()[:8]
            for path, offset, seconds in recordings:
                shifted = ((start - offset, end - offset, text) for start, end, text in sentences)
                here = [sentence for sentence in shifted if sentence[0] >= 0 and sentence[1] <= seconds]
                for start, end, text in _pieces(here, seconds):
                    if text or self.unaligned:
                        name = f"{reader}-{article}-{round((offset + start) * 1000):08d}"
                        yield CorpusUtterance(name, reader, path, text=words(text), start=start, end=end)

    def _layout(self) -> str:
        return "<article>/aligned.swc (Spoken Wikipedia)"


def _recordings(article: Path) -> list[tuple[Path, float, float]]:
    """Files that exist: path, start in the article's recording and duration, seconds."""
    listed = json.loads((article / "info.json").read_text(encoding="utf-8"))["audio_files"]
    names = ["audio.ogg"] if len(listed) == 1 else [f"audio{number}.ogg" for number in range(1, len(listed) + 1)]
    found = [(article / name, float(entry.get("offset", 0.0))) for name, entry in zip(names, listed, strict=True)]
    if not all(math.isfinite(offset) for _, offset in found):
        raise ValueError("an offset is not finite")
    return [(path, offset, soundfile.info(path).duration) for path, offset in found if path.is_file()]


def _reader(tree: ElementTree.Element, article: Path) -> str:
    """The speaker's name; where it is not given, each article counts as another speaker."""
    names = (prop.get("value", "") for prop in tree.iter("prop") if prop.get("key") == "reader.name")
    name = next((name for name in names if name.strip()), article.name)
    return re.sub(r"[\W_]+", "_", name.strip().lower())[:40].strip("_") or "unknown"


def _sentences(tree: ElementTree.Element) -> Iterator[Sentence]:
    """The sentences and titles in which every spoken word is aligned."""
    for sentence in (element for kind in ("s", "sectiontitle") for element in tree.iter(kind)):
        spoken = [word for token in sentence.iter("t") for word in token.iter("n")]
        starts, ends = ([time for word in spoken if (time := word.get(key)) is not None] for key in ("start", "end"))
        if spoken and len(starts) == len(ends) == len(spoken):
            start, end = int(starts[0]) / 1000, int(ends[-1]) / 1000
            if end - start > 0:
                yield start, end, " ".join(word.get("pronunciation", "") for word in spoken)


def _pieces(sentences: list[Sentence], seconds: float) -> Iterator[Sentence]:
    """Cut a recording of ``seconds`` into its aligned sentences and untranscribed pieces between them."""
    last = 0.0
    for number, (start, end, text) in enumerate(sentences):
        if start < last:  # it overlaps the previous one
            continue
        following = sentences[number + 1][0] if number + 1 < len(sentences) else seconds
        begin = max(last, start - MARGIN_SECONDS)
        stop = min(seconds, end + max(0.0, min(MARGIN_SECONDS, (following - end) / 2)))
        yield from _between(last, begin)
        if stop - begin >= SHORTEST_SECONDS:
            yield begin, stop, text
        last = stop
    yield from _between(last, seconds)


def _between(start: float, end: float) -> Iterator[Sentence]:
    count = max(1, -int(-(end - start) // PIECE_SECONDS))
    length = (end - start) / count
    if length >= SHORTEST_SECONDS:
        yield from ((start + i * length, start + (i + 1) * length, "") for i in range(count))
