"""Breakdowns of scores: by talker, by slot of the sentence, by sound."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from v2skit.evaluation.file_scores import WER, FileScores
from v2skit.evaluation.sounds import Pronounce, sound_breakdown
from v2skit.evaluation.wer import PERCENT
from v2skit.evaluation.word_alignment import Pair, word_pairs

ALL = "all"
"""Name of the entry of all talkers."""
CONFUSIONS = 10
"""Most frequent confusions that are kept for each slot."""


def break_down(
    rows: Mapping[str, Sequence[FileScores]],
    speakers: Mapping[str, str],
    pronounce: Pronounce | None = None,
    confusions: int = CONFUSIONS,
) -> dict[str, Any]:
    """The breakdowns of results rows.

    Args:
        rows: name of each row -> scores of its files.
        speakers: utterance id -> talker, of all files.
        pronounce: words -> their sounds; None: no breakdown by sound.
        confusions: most frequent ones that are kept for each slot.

    Returns:
        ``talkers``: row -> talker, and ``all`` where there are several -> ``n`` files, the mean of each metric, and
        the word error rate in %, pooled over words. ``slots``, where all recognised sentences have as many words:
        ``errors``, row -> for each slot the share of its words, in %, that were substituted or deleted, and
        ``confusions``, row -> for each slot (word, recognised word or None, count, occurrences of the word).
        ``sounds``: see :func:`v2skit.evaluation.sounds.sound_breakdown`. What there is none of is left out.
    """
    found: dict[str, Any] = {"talkers": {row: _talkers(files, speakers) for row, files in rows.items()}}
    sentences = {row: pairs for row, files in rows.items() if (pairs := word_pairs(files))}
    lengths = {len(sentence) for pairs in sentences.values() for sentence in pairs}
    if len(lengths) == 1 and (slots := lengths.pop()):
        by_slot = {row: [[s[k] for s in pairs] for k in range(slots)] for row, pairs in sentences.items()}
        found["slots"] = {
            "errors": {row: [_share_wrong(said) for said in slot_pairs] for row, slot_pairs in by_slot.items()},
            "confusions": {
                row: [_confusions(said, confusions) for said in slot_pairs] for row, slot_pairs in by_slot.items()
            },
        }
    if pronounce and sentences:
        sounds = sound_breakdown(sentences, pronounce)
        if sounds:
            found["sounds"] = sounds
    return found


def _talkers(files: Sequence[FileScores], speakers: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    by_talker: dict[str, list[FileScores]] = defaultdict(list)
    for file in files:
        by_talker[speakers[file.id]].append(file)
    found = {talker: _means(theirs) for talker, theirs in sorted(by_talker.items())}
    return found if len(found) == 1 else {**found, ALL: _means(files)}


def _means(files: Sequence[FileScores]) -> dict[str, Any]:
    """Number of files, the mean of each metric over those that have it, and the word error rate."""
    names = dict.fromkeys(name for file in files for name in file.values if name != WER)
    values = {name: [file.values[name] for file in files if name in file.values] for name in names}
    means: dict[str, Any] = {name: round(sum(column) / len(column), 6) for name, column in values.items()}
    edits = [file.edits for file in files if file.edits]
    words = sum(e.words for e in edits)
    wer = {WER: round(PERCENT * sum(e.errors for e in edits) / words, 3)} if words else {}
    return {"n": len(files), **means, **wer}


def _share_wrong(said: list[Pair]) -> float:
    return round(PERCENT * sum(word != heard for word, heard in said) / len(said), 3)


def _confusions(said: list[Pair], most: int) -> list[tuple[str, str | None, int, int]]:
    occurrences = Counter(word for word, _ in said)
    counts = Counter(pair for pair in said if pair[0] != pair[1])
    return [(word, heard, count, occurrences[word]) for (word, heard), count in counts.most_common(most)]
