"""The report of a prepared data directory: what was prepared, excluded and filtered, and why."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from v2skit.config.features import Clock
from v2skit.config.prepare import Filters
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.errors import UserError, printable
from v2skit.preparation.offsets import Offsets
from v2skit.preparation.offsets_text import describe
from v2skit.preparation.quality import rejects
from v2skit.preparation.records import Outcome, read_outcomes
from v2skit.system.atomic import write_text


@dataclass(frozen=True)
class Summary:
    """The outcomes of a data directory, sorted by id.

    Args:
        folder: the data directory.
        utterances: of the corpus's split, by id.
        kept: those that the data directory contains.
        excluded: those that could not be prepared.
        filtered: reason -> those that the filters leave out.
        clock: rates of audio and video.
    """

    folder: Path
    utterances: dict[str, CorpusUtterance]
    kept: list[Outcome]
    excluded: list[Outcome]
    filtered: dict[str, list[Outcome]]
    clock: Clock

    def hours(self, outcomes: list[Outcome]) -> float:
        """Their length."""
        return round(sum(o.frames for o in outcomes) / self.clock.fps / 3600, 4)

    def as_dict(self) -> dict[str, Any]:
        """The content of ``report.json``."""
        counts = {"sources": len(self.utterances), "prepared": len(self.kept), "excluded": len(self.excluded)}
        filtered = {reason: len(outcomes) for reason, outcomes in self.filtered.items()}
        if filtered:
            counts["filtered"] = sum(filtered.values())
        every = [*self.kept, *self.excluded, *(o for outcomes in self.filtered.values() for o in outcomes)]
        rows = [
            {"id": o.id, "file": str(self._file(o)), "reason": o.reason, "notes": o.notes}
            for o in sorted(every, key=lambda o: o.id)
            if o.reason or o.notes
        ]
        hours = {"kept": self.hours(self.kept), **{why: self.hours(some) for why, some in self.filtered.items()}}
        return {"counts": counts, "hours": hours, "filtered": filtered, "files": rows}

    def _file(self, outcome: Outcome) -> str | None:
        utterance = self.utterances[outcome.id]
        path = utterance.video or utterance.audio
        return None if path is None else printable(str(path))


def summarise(folder: Path, utterances: list[CorpusUtterance], clock: Clock, filters: Filters) -> Summary:
    """Read the records of a data directory, and filter its audio-only utterances."""
    by_id = {u.id: u for u in utterances}
    kept: list[Outcome] = []
    excluded: list[Outcome] = []
    filtered: defaultdict[str, list[Outcome]] = defaultdict(list)
    for o in sorted((o for o in read_outcomes(folder).values() if o.id in by_id), key=lambda o: o.id):
        reason = rejects(filters, o.measures) if by_id[o.id].video is None and not o.reason else None
        (excluded if o.reason else filtered[reason] if reason else kept).append(o)
    return Summary(folder, by_id, kept, excluded, dict(sorted(filtered.items())), clock)


def write_report(summary: Summary, offsets: Offsets | None = None) -> None:
    """Write ``report.json`` and ``report.md``, and print one line.

    Args:
        summary: of the data directory.
        offsets: of the corpus's speakers, where they were measured.
    """
    folder, kept, report = summary.folder, summary.kept, summary.as_dict()
    speakers = sorted({summary.utterances[o.id].speaker for o in kept if o.audio and o.video})
    corrected = {name: offsets.corrections.get(name, 0.0) for name in speakers} if offsets else {}
    if offsets and speakers:
        rows = {name: {**vars(offsets.delays[name]), "corrected": corrected[name]} for name in speakers}
        report["offsets"] = {"reference": offsets.reference, "speakers": rows}
    write_text(folder / "report.json", json.dumps(report, indent=1) + "\n")
    hours, total, excluded = report["hours"], len(summary.utterances), len(summary.excluded)
    title = f"{len(kept)} of {total} prepared, {excluded} excluded; {hours['kept']:.2f} h"
    lines = [f"# {folder.name}: {title}", ""]
    lines += [f"- filtered: {count} ({hours[why]:.2f} h) {why}" for why, count in report["filtered"].items()]
    for file, why in ((row["file"], row["reason"]) for row in report["files"] if row["reason"]):
        lines.append(f"- excluded: {why if file in why else f'{file}: {why}'}")
    used = [*kept, *(o for outcomes in summary.filtered.values() for o in outcomes)]
    notes = Counter(note for o in sorted(used, key=lambda o: o.id) for note in o.notes)
    lines += [f"- {count} x {note}" for note, count in notes.most_common()]
    section = describe(offsets, speakers) if offsets else []
    lines += ["", *section] if section and lines[-1] else section
    write_text(folder / "report.md", "\n".join(lines) + "\n")
    filtered = f", {report['counts']['filtered']} filtered" if summary.filtered else ""
    counts = f"{len(kept)} utterances, {excluded} excluded{filtered}, {hours['kept']:.2f} h"
    shifted = f", audio of {count} speakers shifted" if (count := sum(map(bool, corrected.values()))) else ""
    print(f"{folder}: {counts}{shifted}; {folder}/report.md")


def check_losses(summary: Summary, max_failed_share: float) -> None:
    """Raises UserError where too many utterances are excluded, or the filters leave none."""
    folder, kept, excluded, total = summary.folder, summary.kept, summary.excluded, len(summary.utterances)
    if len(excluded) > max_failed_share * total:
        share = math.ceil(100 * len(excluded) / total) / 100
        without = f"; or do without them: --set prepare.max_failed_share={share:g}"
        raise UserError(
            f"{len(excluded)} of {total} utterances of {folder} can't be used, more than "
            f"prepare.max_failed_share ({max_failed_share:.0%}) allows; {folder}/report.md has the reasons, "
            f"e.g. {excluded[0].id}: {excluded[0].reason}" + (without if kept else "")
        )
    if summary.filtered and not kept:
        reasons = ", ".join(f"{len(outcomes)} {why}" for why, outcomes in summary.filtered.items())
        raise UserError(
            f"prepare.filters leave no utterances of {folder}: {reasons}; relax them, or set them to null, and run "
            "stage 1 again"
        )
