"""``v2skit data check``: properties of prepared data directories and what they have in common, before training."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from v2skit.config.prepare import Filters
from v2skit.config.schema import Data
from v2skit.corpora.corpus import Corpus
from v2skit.data.data_dir import is_prepared
from v2skit.errors import UserError
from v2skit.preparation.inspect_text import DELAY, describe
from v2skit.preparation.overlap import compare_speakers, count_shared, find_leaks, hash_source_files
from v2skit.preparation.quality import limits
from v2skit.preparation.survey import Survey, survey
from v2skit.system.atomic import write_text

LIMITS = Filters(min_seconds=0.5, max_seconds=40.0, max_clipped_share=0.003, max_silence_share=0.8, min_rms_dbfs=-50.0)
"""Limits for warnings, where the config has none; the same as in ``egs/conf/audio.yaml``."""

MAX_LOST_SHARE, MAX_DIFFERENCE_SECONDS, MAX_DELAY_SECONDS = 0.1, 0.1, 0.08
"""Limits for warnings: frames without a face, difference of the lengths of audio and video, delay of the audio."""

MEASURES = {
    "length_difference": "audio minus video, s",
    "lost_share": "share of frames without a face",
    "rms_dbfs": "level, dBFS",
    "silence_share": "share of silence",
    "clipped_share": "share of clipped samples",
}


def check(
    directories: dict[str, Path],
    data: Data,
    filters: Filters,
    output: Path,
    corpora: Iterable[Corpus] = (),
    seed: int = 0,
) -> str:
    """Report on data directories, in ``output/check.md`` and ``check.json``.

    Args:
        directories: by name; unprepared ones are listed.
        data: which of them are trained on, and which are held out.
        filters: of the config; their limits replace LIMITS.
        output: folder for the report.
        corpora: of the directories, to compare source files; they may be missing.
        seed: of the choice of clips for the audio delay, and of its bootstrap.

    Returns:
        the report, Markdown.

    Raises:
        UserError: no directory is prepared; or, after the report is written, utterances can't be read or are not of
            the stated length.
    """
    prepared = {name: directory for name, directory in directories.items() if is_prepared(directory)}
    if not prepared:
        raise UserError(f"{output} has none of {', '.join(directories)}; stage 1 (v2skit stage prepare) makes them")
    surveys = {name: survey(directory, seed) for name, directory in prepared.items()}
    sources = hash_source_files(corpora)
    missing = [n for n in directories if n not in prepared and (n in sources or directories[n].exists())]
    facts, warnings = {}, [f"{name}: not prepared; stage 1 prepares it, or reports why it can't" for name in missing]
    known = _limits(filters)
    for name, found in surveys.items():
        facts[name], more = _properties(found, known)
        warnings += [f"{name}: {text}" for text in more]
    pairs = {f"{a}, {b}": count_shared(surveys, sources, a, b) for a, b in combinations(surveys, 2)}
    speakers, more = compare_speakers(surveys, data)
    warnings += more + find_leaks(pairs, data)
    bad = {name: found.errors for name, found in surveys.items() if found.errors.ids}
    errors = {name: {"utterances": len(found.ids), "examples": found.examples} for name, found in bad.items()}
    report = {"directories": facts, "shared": pairs, "speakers": speakers, "warnings": warnings, "errors": errors}
    write_text(output / "check.json", json.dumps(report, indent=1) + "\n")
    text = describe(report)
    write_text(output / "check.md", text)
    if errors:
        count, first = sum(len(found.ids) for found in bad.values()), next(iter(bad.values())).examples[0]
        raise UserError(f"{count} utterances can't be used, see {output / 'check.md'}; the first: {first}")
    return text


def _limits(filters: Filters) -> Filters:
    """A config's limits, and those of LIMITS that do not contradict them."""
    known = {name: value for name, value in vars(filters).items() if value is not None}
    for name, value in vars(LIMITS).items():
        with suppress(UserError):
            Filters(**(more := {name: value, **known}))
            known = more
    return Filters(**known)


def _properties(found: Survey, filters: Filters) -> tuple[dict[str, Any], list[str]]:
    """The properties of a directory, and warnings."""
    index, clock, warnings = found.index, found.clock, []
    seconds = index.frames / clock.fps
    facts: dict[str, Any] = {
        "utterances": len(index),
        "hours": round(float(seconds.sum()) / 3600, 3),
        "speakers": len(index.speakers),
        "fps": clock.fps,
        "length, s": _range(seconds),
    }
    if not len(index):
        warnings.append("it has no utterances; its report.md has the reasons")
    measures = {**found.measures, "seconds": seconds}
    rates, counts = np.unique(np.round(_finite(measures, "source_fps"), 2), return_counts=True)
    if len(rates):
        facts["frames/s of the sources"] = {f"{r:g}": int(c) for r, c in zip(rates, counts, strict=True)}
        others = int(counts[np.abs(rates - clock.fps) > 0.01].sum())
        if others:
            warnings.append(f"{others} videos do not have {clock.fps} frames/s: frames are repeated or dropped")
    for name, label in MEASURES.items():
        if len(_finite(measures, name)):
            facts[label] = _range(_finite(measures, name))
    warnings += _beyond_limits(found, measures, filters)
    if found.offset is not None:
        facts[DELAY], delay = vars(found.offset), found.offset.frames
        if delay is not None and abs(delay) / clock.fps > MAX_DELAY_SECONDS:
            warnings.append(f"the audio is {abs(delay) / clock.fps * 1000:.0f} ms {'late' if delay > 0 else 'early'}")
    hashes = found.hashes["audio"]
    order = np.argsort(hashes, kind="stable")
    again = np.flatnonzero((np.diff(hashes[order]) == 0) & (hashes[order][1:] > 0))
    facts["utterances with the audio of another"] = len(again)
    if len(again):
        first, second = (index[int(order[again[0] + step])].id for step in (0, 1))
        warnings.append(f"{len(again)} utterances have the audio of another, e.g. {first} and {second}")
    return facts, warnings


def _beyond_limits(found: Survey, measures: dict[str, np.ndarray], filters: Filters) -> list[str]:
    """How many utterances are beyond each limit, and the worst of them."""
    difference, lines = MAX_DIFFERENCE_SECONDS, []
    for name, limit, side, words in [
        ("lost_share", MAX_LOST_SHARE, 1, f"no face in more than {MAX_LOST_SHARE:.0%} of the frames"),
        ("length_difference", difference, 1, f"audio over {difference} s longer than video"),
        ("length_difference", -difference, -1, f"audio over {difference} s shorter than video"),
        *limits(filters),
    ]:
        column = measures.get(name, np.zeros(0))
        count = int(((column - limit) * side > 0).sum())
        if count:
            worst = int(np.nanargmax(column * side))
            example = f"the worst is {found.index[worst].id} ({column[worst]:.4g})"
            lines.append(f"{count} utterances ({count / len(found.index):.1%}) {words}; {example}")
    return lines


def _finite(measures: dict[str, np.ndarray], name: str) -> np.ndarray:
    column = measures.get(name, np.zeros(0))
    return column[np.isfinite(column)]


def _range(values: np.ndarray) -> list[float]:
    """Minimum, median and maximum."""
    return [float(f"{value:.4g}") for value in np.percentile(values, [0, 50, 100])] if len(values) else []
