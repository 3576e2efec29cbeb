"""Hi-Fi TTS (Bakhturina et al. 2021): 292 hours of ten readers, 44.1 kHz."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePath

from v2skit.corpora.archive import Archive
from v2skit.corpora.audio_corpus import AudioCorpus
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.info import CorpusInfo
from v2skit.corpora.transcript import words
from v2skit.errors import UserError

ARCHIVE = Archive("https://www.openslr.org/resources/109/hi_fi_tts_v0.tar.gz")


class HifiTts(AudioCorpus):
    """Hi-Fi TTS, from ``hi_fi_tts_v0/92_manifest_clean_train.json`` and the files that it names."""

    title = "Hi-Fi TTS"
    info = CorpusInfo(
        where="download it from openslr.org/109 with {download}, or give its folder with {corpus_dir}",
        hours=291.6,
        counts={
            "clean_train": 125989,
            "clean_dev": 150,
            "clean_test": 300,
            "other_train": 196489,
            "other_dev": 350,
            "other_test": 700,
        },
    )
    folders = ("", "hi_fi_tts_v0")
    training = ("clean_train", "other_train")
    validation = ("clean_dev", "other_dev")
    testing = ("clean_test", "other_test")
    archives = dict.fromkeys((*training, *validation, *testing), ARCHIVE)
    family = "librivox"

    def has(self, root: Path, part: str) -> bool:
        """Whether a folder contains a part."""
        return any(root.glob(f"*_manifest_{part}.json"))

    def utterances(self, root: Path, part: str) -> Iterator[CorpusUtterance]:
        """The utterances of a part whose files exist."""
        for manifest in sorted(root.glob(f"*_manifest_{part}.json")):
            reader = manifest.name.partition("_")[0]
            for number, line in enumerate(manifest.read_text(encoding="utf-8").splitlines(), 1):
                try:
                    row = json.loads(line)
                    named = PurePath(row["audio_filepath"])
                    if named.is_absolute() or ".." in named.parts:
                        raise ValueError("the file is elsewhere")
                    path = root / named
                except (ValueError, KeyError, TypeError) as error:
                    raise UserError(f"{manifest}:{number} names no file; unpack the corpus again") from error
                if path.is_file():
                    text = words(row.get("text_normalized") or row.get("text") or "")
                    yield CorpusUtterance(f"{reader}-{path.parent.name}-{path.stem}", reader, path, text=text)
