"""The section on audio-video offsets in the report of a data directory."""

from __future__ import annotations

from collections.abc import Collection

from v2skit.preparation.offsets import FEWEST_SPEAKERS, SMALLEST, SYNCHRONOUS, TOLERANCE, Offsets

LISTED = 50
"""Speakers that a report lists."""

NOTE = (
    "In video frames; audio with a positive delay is late. The delay includes the natural lead of the mouth: the "
    "offset of a speaker is the delay less {reference:+.2f}, the median of the corpus's speakers, or "
    f"{SYNCHRONOUS} where there are fewer than {FEWEST_SPEAKERS} or the median is farther than {TOLERANCE} from that. "
    f"The audio is shifted where the offset is larger than {SMALLEST} frames by more than half of the interval's width."
)


def describe(offsets: Offsets, speakers: Collection[str]) -> list[str]:
    """The Markdown lines; none where no speaker could be measured.

    Args:
        offsets: of the corpus.
        speakers: those of the data directory.
    """
    reference, corrections = offsets.reference, offsets.corrections
    rows = {}
    for name in speakers:
        delay = offsets.delays.get(name)
        if reference is not None and delay is not None and delay.frames is not None:
            offset, shift = delay.frames - reference, f"{-corrections[name]:+.2f}" if name in corrections else "-"
            cells = (
                f"{delay.clips} | {delay.frames:+.2f} [{delay.low:+.2f}, {delay.high:+.2f}] | {offset:+.2f} | {shift}"
            )
            rows[name not in corrections, -abs(offset), name] = f"| {name} | {cells} |"
    if reference is None or not rows:
        return []
    listed = [rows[key] for key in sorted(rows)][:LISTED]
    lines = ["## Audio-video offset by speaker", "", NOTE.format(reference=reference), ""]
    lines += ["| speaker | clips | delay | offset | audio shifted by |", "| --- |" + " --- |" * 4, *listed, ""]
    more, unknown = len(rows) - len(listed), len(speakers) - len(rows)
    return [*lines, f"With smaller offsets: {more} more. Not measurable and not shifted: {unknown}."]
