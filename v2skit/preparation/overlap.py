"""What data directories have in common: audio, texts, source files and speakers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from v2skit.config.schema import Data
from v2skit.corpora.corpus import Corpus
from v2skit.errors import UserError
from v2skit.preparation.survey import Survey, hash64

SHARED = {"speaker": "speakers", "audio": "recordings", "source": "source files", "text": "texts", "id": "ids"}


def hash_source_files(corpora: Iterable[Corpus]) -> dict[str, np.ndarray]:
    """Data directory -> hashes of its utterances' source files; without those of missing corpora."""
    found: dict[str, np.ndarray] = {}
    for corpus in corpora:
        try:
            splits = corpus.splits()
        except UserError as error:
            print(f"note: source files are not compared: {error}")
            continue
        for name, utterances in splits.items():
            found[name] = np.unique(np.array([hash64(str(u.audio or u.video)) for u in utterances], np.uint64))
    return found


def count_shared(surveys: dict[str, Survey], sources: dict[str, np.ndarray], a: str, b: str) -> dict[str, Any]:
    """What two directories have in common: how many of each, None where unknown, and an example."""
    first, second = surveys[a], surveys[b]
    counts: dict[str, Any] = {"speaker": len({*first.index.speakers} & {*second.index.speakers})}
    for kind in ("audio", "text", "id"):
        both = np.intersect1d(first.hashes[kind], second.hashes[kind])
        both = both[both > 0]
        counts[kind] = len(both)
        if kind == "audio" and len(both):
            pair = (s.index[int(np.argmax(s.hashes[kind] == both[0]))].id for s in (first, second))
            counts["example"] = " and ".join(pair)
    known = a in sources and b in sources
    counts["source"] = len(np.intersect1d(sources[a], sources[b])) if known else None
    return counts


def find_leaks(pairs: dict[str, dict[str, Any]], data: Data) -> list[str]:
    """Recordings and files that are both trained on and held out."""
    training, warnings = {data.train, *data.pretrain}, []
    for pair, counts in pairs.items():
        if {*pair.split(", ")} <= training:
            continue
        for kind in ("audio", "source"):
            if counts[kind]:
                example = f", e.g. {counts['example']}" if kind == "audio" else ""
                warnings.append(f"{pair}: {counts[kind]} {SHARED[kind]} are in both{example}")
    return warnings


def compare_speakers(surveys: dict[str, Survey], data: Data) -> tuple[list[str], list[str]]:
    """For each held-out directory, whether its speakers are in the training data; and those of which only some are."""
    lines, warnings = [], []
    trained = {"pretrain_valid": data.pretrain, "valid": [data.train], "test": [data.train]}
    roles = [(getattr(data, role), names) for role, names in trained.items()] + [(data.test, data.pretrain)]
    for held_out, names in dict.fromkeys((held_out, tuple(names)) for held_out, names in roles):
        training = [name for name in names if name in surveys and name != held_out]
        if held_out not in surveys or not training:
            continue
        speakers = {*surveys[held_out].index.speakers}
        common = len(speakers & {s for name in training for s in surveys[name].index.speakers})
        word = "unseen" if not common else "seen" if common == len(speakers) else "partly seen"
        lines.append(f"{held_out}: {word}, {common} of its {len(speakers)} speakers are in {', '.join(training)}")
        if word == "partly seen":
            warnings.append(lines[-1])
    return lines, warnings
