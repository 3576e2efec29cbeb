"""The other clips of a talker, with which a clip's voice is compared."""

from __future__ import annotations

from collections.abc import Iterable

from v2skit.data.data_dir import Utterance

RULE = "the first {count} other clips of the talker in the test set, by id"


def other_clips(utterances: Iterable[Utterance], count: int) -> dict[str, list[Utterance]]:
    """Utterance id -> up to ``count`` other utterances of the same speaker with ground-truth audio: the first ones by
    id, never the utterance itself. Empty where there is none."""
    by_speaker: dict[str, list[Utterance]] = {}
    for utterance in sorted(utterances, key=lambda u: u.id):
        by_speaker.setdefault(utterance.speaker, []).append(utterance)
    found: dict[str, list[Utterance]] = {}
    for clips in by_speaker.values():
        candidates = [u for u in clips if u.audio][: count + 1]
        found |= {u.id: [other for other in candidates if other.id != u.id][:count] for u in clips}
    return found
