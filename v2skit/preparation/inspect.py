"""What prepared data directories are like, and what they have in common: a report before training."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from v2skit.config.schema import Data, Filters
from v2skit.corpora.corpus import Corpus
from v2skit.errors import UserError
from v2skit.preparation.quality import limits
from v2skit.preparation.shards import finished
from v2skit.preparation.survey import Survey, digest, survey
from v2skit.system.atomic import write_text

LIMITS = Filters(min_seconds=0.5, max_seconds=40.0, max_clipped_share=0.003, max_silence_share=0.8, min_rms_dbfs=-50.0)
"""What is told as beyond them, where a config's filters have no limit; the same as in ``egs/conf/audio.yaml``."""

MAX_LOST_SHARE, MAX_DIFFERENCE_SECONDS, MAX_OFFSET_SECONDS = 0.1, 0.1, 0.08
"""Frames without a face, sound against picture in length, and in time: beyond it, a directory is to be looked at."""

OFFSET_NOTE = (
    "Sound late by: what is compared are changes in the mouth's contrast and in the sound's level, and the former need "
    "not come at the same time: clips whose sound is in its place have about -0.2 frames (GRID) to -0.6 (the mini "
    "corpus). Compare corpora that are trained on together; a difference between them is real."
)

SHARED = {"speaker": "speakers", "sound": "sounds", "source": "source files", "text": "texts", "id": "ids"}


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
        directories: by name; those that are not prepared are named.
        data: which of them are trained on, and which are held out.
        filters: their limits take the place of LIMITS.
        output: folder for the report.
        corpora: that they were made of, for a look at the source files they share; may no longer be there.
        seed: of the clips that the offset is measured on, and of its bootstrap.

    Returns:
        the report, Markdown.

    Raises:
        UserError: no directory is prepared; or, once the report is written, entries can't be read or are not of
            the stated length.
    """
    there = {name: directory for name, directory in directories.items() if finished(directory)}
    if not there:
        raise UserError(f"{output} has none of {', '.join(directories)}; stage 1 (v2skit stage prepare) makes them")
    surveys = {name: survey(directory, seed) for name, directory in there.items()}
    sources = _sources(corpora)
    missing = [name for name in directories if name not in there and (name in sources or directories[name].exists())]
    facts, look_at = {}, [f"{name}: not prepared; stage 1 makes it, or says why it can't" for name in missing]
    known = _limits(filters)
    for name, found in surveys.items():
        facts[name], odd = _describe(found, known)
        look_at += [f"{name}: {text}" for text in odd]
    pairs = {f"{a}, {b}": _shared(surveys, sources, a, b) for a, b in combinations(surveys, 2)}
    speakers, odd = _speakers(surveys, data)
    look_at += odd + _across(pairs, data)
    bad = {name: found.errors for name, found in surveys.items() if found.errors.ids}
    errors = {name: {"utterances": len(found.ids), "examples": found.examples} for name, found in bad.items()}
    report = {"directories": facts, "shared": pairs, "speakers": speakers, "look_at": look_at, "errors": errors}
    write_text(output / "check.json", json.dumps(report, indent=1) + "\n")
    text = _markdown(report)
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


def _describe(found: Survey, filters: Filters) -> tuple[dict[str, Any], list[str]]:
    """What one directory is like, and what in it is to be looked at."""
    index, clock, look_at = found.index, found.clock, []
    seconds = index.frames / clock.fps
    facts: dict[str, Any] = {
        "utterances": len(index),
        "hours": round(float(seconds.sum()) / 3600, 3),
        "speakers": len(index.speakers),
        "fps": clock.fps,
        "length, s": _spread(seconds),
    }
    if not len(index):
        look_at.append("it has no utterances; its report.md says why")
    measures = {**found.measures, "seconds": seconds}
    rates, counts = np.unique(np.round(_known(measures, "source_fps"), 2), return_counts=True)
    if len(rates):
        facts["frames/s of the sources"] = {f"{r:g}": int(c) for r, c in zip(rates, counts, strict=True)}
        others = int(counts[np.abs(rates - clock.fps) > 0.01].sum())
        if others:
            look_at.append(f"{others} videos do not have {clock.fps} frames/s: their frames are repeated or left out")
    for name, label in (
        ("length_difference", "sound minus picture, s"),
        ("lost_share", "share of frames without a face"),
        ("rms_dbfs", "level, dBFS"),
        ("silence_share", "share of silence"),
        ("clipped_share", "share of clipped samples"),
    ):
        if len(_known(measures, name)):
            facts[label] = _spread(_known(measures, name))
    beyond = [
        ("lost_share", MAX_LOST_SHARE, 1, f"no face in more than {MAX_LOST_SHARE:.0%} of the frames"),
        ("length_difference", MAX_DIFFERENCE_SECONDS, 1, f"sound over {MAX_DIFFERENCE_SECONDS} s longer than picture"),
        ("length_difference", -MAX_DIFFERENCE_SECONDS, -1, f"sound over {MAX_DIFFERENCE_SECONDS} s shorter"),
        *limits(filters),
    ]
    for name, limit, side, words in beyond:
        column = measures.get(name, np.zeros(0))
        count = int(((column - limit) * side > 0).sum())
        if count:
            worst = int(np.nanargmax(column * side))
            example = f"the worst is {index[worst].id} ({column[worst]:.4g})"
            look_at.append(f"{count} utterances ({count / len(index):.1%}) {words}; {example}")
    offset = found.offset
    if offset is not None:
        facts["sound late by, frames"] = vars(offset)
        if offset.frames is not None and abs(offset.frames) / clock.fps > MAX_OFFSET_SECONDS:
            how = "late" if offset.frames > 0 else "early"
            look_at.append(f"the sound is {abs(offset.frames) / clock.fps * 1000:.0f} ms {how}")
    sounds = found.digests["sound"]
    order = np.argsort(sounds, kind="stable")
    again = np.flatnonzero((np.diff(sounds[order]) == 0) & (sounds[order][1:] > 0))
    facts["utterances with the sound of another"] = len(again)
    if len(again):
        first, second = (index[int(order[again[0] + step])].id for step in (0, 1))
        look_at.append(f"{len(again)} utterances have the sound of another, e.g. {first} and {second}")
    return facts, look_at


def _known(measures: dict[str, np.ndarray], name: str) -> np.ndarray:
    column = measures.get(name, np.zeros(0))
    return column[np.isfinite(column)]


def _spread(values: np.ndarray) -> list[float]:
    """Least, median and most."""
    return [float(f"{value:.4g}") for value in np.percentile(values, [0, 50, 100])] if len(values) else []


def _sources(corpora: Iterable[Corpus]) -> dict[str, np.ndarray]:
    """Data directory -> digests of the files that its sources come from; without those of corpora that are gone."""
    found: dict[str, np.ndarray] = {}
    for corpus in corpora:
        try:
            splits = corpus.splits()
        except UserError as error:
            print(f"note: source files are not compared: {error}")
            continue
        for name, sources in splits.items():
            found[name] = np.unique(np.array([digest(str(s.audio or s.video)) for s in sources], np.uint64))
    return found


def _shared(surveys: dict[str, Survey], sources: dict[str, np.ndarray], a: str, b: str) -> dict[str, Any]:
    """What two directories have in common: how many of each, None where that is not known, and an example."""
    first, second = surveys[a], surveys[b]
    counts: dict[str, Any] = {"speaker": len({*first.index.speakers} & {*second.index.speakers})}
    for kind in ("sound", "text", "id"):
        both = np.intersect1d(first.digests[kind], second.digests[kind])
        both = both[both > 0]
        counts[kind] = len(both)
        if kind == "sound" and len(both):
            pair = (s.index[int(np.argmax(s.digests[kind] == both[0]))].id for s in (first, second))
            counts["example"] = " and ".join(pair)
    known = a in sources and b in sources
    counts["source"] = len(np.intersect1d(sources[a], sources[b])) if known else None
    return counts


def _speakers(surveys: dict[str, Survey], data: Data) -> tuple[list[str], list[str]]:
    """For each held-out directory, whether its speakers are trained on; and what is neither one nor the other."""
    lines, look_at = [], []
    trained = {"pretrain_valid": data.pretrain, "valid": [data.train], "test": [data.train]}
    told = [(getattr(data, role), names) for role, names in trained.items()] + [(data.test, data.pretrain)]
    for held_out, names in dict.fromkeys((held_out, tuple(names)) for held_out, names in told):
        training = [name for name in names if name in surveys and name != held_out]
        if held_out not in surveys or not training:
            continue
        mine = {*surveys[held_out].index.speakers}
        common = len(mine & {s for name in training for s in surveys[name].index.speakers})
        word = "unseen" if not common else "seen" if common == len(mine) else "partly seen"
        lines.append(f"{held_out}: {word}, {common} of its {len(mine)} speakers are in {', '.join(training)}")
        if word == "partly seen":
            look_at.append(lines[-1])
    return lines, look_at


def _across(pairs: dict[str, dict[str, Any]], data: Data) -> list[str]:
    """What is both trained on and held out."""
    training, look_at = {data.train, *data.pretrain}, []
    for pair, counts in pairs.items():
        if {*pair.split(", ")} <= training:
            continue
        for kind in ("sound", "source"):
            if counts[kind]:
                example = f", e.g. {counts['example']}" if kind == "sound" else ""
                look_at.append(f"{pair}: {counts[kind]} {SHARED[kind]} are in both{example}")
    return look_at


def _markdown(report: dict[str, Any]) -> str:
    facts, pairs, errors = report["directories"], report["shared"], report["errors"]
    rows = list(dict.fromkeys(key for found in facts.values() for key in found))
    lines = ["# Data directories", "", *_table(facts, rows), "", "Three numbers: least, median, most."]
    if any("sound late by, frames" in found for found in facts.values()):
        lines += ["", OFFSET_NOTE]
    if pairs:
        shared = {pair: {SHARED[kind]: counts[kind] for kind in SHARED} for pair, counts in pairs.items()}
        lines += ["", "## In two of them", "", *_table(shared, list(SHARED.values()))]
    if report["speakers"]:
        lines += ["", "## Speakers", "", *(f"- {line}" for line in report["speakers"])]
    lines += ["", "## To look at", "", *(f"- {line}" for line in report["look_at"] or ["nothing"])]
    if errors:
        lines += ["", "## Errors", ""]
        for name, found in errors.items():
            lines.append(f"- {name}: {found['utterances']} utterances can't be used")
            lines += [f"    - {example}" for example in found["examples"]]
    return "\n".join(lines) + "\n"


def _table(columns: dict[str, dict[str, Any]], rows: list[str]) -> list[str]:
    """Facts of several things, side by side."""
    lines = ["| | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    return lines + [
        f"| {row} | " + " | ".join(_cell(facts.get(row)) for facts in columns.values()) + " |" for row in rows
    ]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return " / ".join(f"{v:g}" for v in value)
    if isinstance(value, dict) and "clips" in value:
        if value["frames"] is None:
            return f"can't be told from {value['clips']} clips"
        return f"{value['frames']:+.2f} [{value['low']:+.2f}, {value['high']:+.2f}], {value['clips']} clips"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {count}" for key, count in value.items())
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
