"""The report of experiments: one HTML page with scores, curves, clips to listen to, ledgers, config and machines."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from v2skit.errors import UserError, suggestion
from v2skit.evaluation import markdown
from v2skit.evaluation.file_scores import CER, WER
from v2skit.evaluation.pages import charts, clips
from v2skit.evaluation.pages.config_difference import Change, changes
from v2skit.evaluation.pages.experiment import Experiment, Run, read_experiment
from v2skit.evaluation.pages.markdown_blocks import blocks
from v2skit.evaluation.pages.render import json_for_script, render, write_page
from v2skit.evaluation.wer import PERCENT
from v2skit.version import __version__

NAME = "report.html"
RANKED_BY = ("estoi", "stoi", "wer")
"""Metrics by which clips are ranked unless one is named; else the first of the results."""

_OLD_ENTRY = dict.fromkeys(("source", "change", "shape", "source_shape"))  # fields that ledgers of version 0.1 lack

ON_CLIPS = ("estoi", "wer", "mcd")
"""Scores that are shown beside a clip, where there are such; else the first ones."""


@dataclass(frozen=True)
class Choice:
    """What the page shows.

    Args:
        clips: ids that are shown in any case.
        each: number of best, of median and of worst clips.
        metric: by which they are ranked; None: the first of RANKED_BY that the results have.
        config: file of the first experiment's config; None: ``conf/<experiment>.yaml`` of the recipe, if there.
        work_dir: the recipe's folder; None: two folders up from each experiment.
    """

    clips: Sequence[str] = ()
    each: int = 1
    metric: str | None = None
    config: Path | None = None
    work_dir: Path | None = None


def write_report(path: Path, folders: Sequence[Path], choice: Choice = Choice()) -> None:
    """Write the page; it opens from disk without a network.

    Args:
        path: .html.
        folders: of the experiments; clips are those of the first one's test set.
        choice: what is shown.

    Raises:
        UserError: an experiment has no results, or a clip or metric that was asked for does not exist, or
            another file has the name of the page.
    """
    experiments = [read_experiment(folder, choice.work_dir) for folder in folders]
    first = experiments[0]
    systems = clips.systems_of(experiments)
    metric = _metric(first, choice.metric)
    shown = _clips(first, systems, metric, choice)
    sounds = {f"sounds-{n}": json_for_script([t.sound for t in clip.tracks]) for n, clip in enumerate(shown, 1)}
    page = render(
        "report.html",
        title=" and ".join(experiment.name for experiment in experiments),
        version=__version__,
        experiments=[_section(experiment, choice) for experiment in experiments],
        distributions=_distributions(systems),
        clips=shown,
        ranked_by=markdown.title_of(metric),
        ranked_system=_last(systems, first).label,
        sounds=sounds,
        width=charts.WIDTH,
        height=charts.HEIGHT,
    )
    write_page(path, page)


def _last(systems: Sequence[clips.System], experiment: Experiment) -> clips.System:
    """The row of an experiment by which its clips are ranked: the last one, which its other rows lead up to."""
    return [system for system in systems if system.experiment is experiment][-1]


def _metric(experiment: Experiment, wanted: str | None) -> str:
    known = experiment.results["higher_is_better"]
    if wanted is not None and wanted not in known:
        raise UserError(f"--metric {wanted}: the results have no such metric{suggestion(wanted, known)}")
    return wanted or next((name for name in RANKED_BY if name in known), next(iter(known), ""))


def _clips(first: Experiment, systems: Sequence[clips.System], metric: str, choice: Choice) -> list[clips.Clip]:
    if choice.each < 0:
        raise UserError(f"--each {choice.each}: give a number of clips, or 0 for none but those of --clips")
    if not first.test:
        if choice.clips:
            raise UserError(f"{first.folder}: its test set is not found; name the recipe's folder with --work_dir")
        return []
    clips.find(first.test, choice.clips)
    scores = first.scores.get(_last(systems, first).row, {})
    better = first.results["higher_is_better"].get(metric, True)
    chosen = clips.choose(scores, metric, better, choice.each, choice.clips)
    utterances = {utterance.id: utterance for utterance in first.test}
    names = list(first.results["higher_is_better"])
    shown = {
        name: markdown.title_of(name).removesuffix(" %") for name in [n for n in ON_CLIPS if n in names] or names[:3]
    }
    return [
        clips.show(utterances[clip], why, systems, shown, first) for clip, why in chosen.items() if clip in utterances
    ]


def _section(experiment: Experiment, choice: Choice) -> dict[str, Any]:
    """What the template shows of one experiment."""
    results = experiment.results
    return {
        "name": experiment.name,
        "results": results,
        "files": ", ".join(f"{markdown.label_of(row)} {n}" for row, n in results.get("files", {}).items()),
        "tables": list(_tables(results)),
        "differences": _differences(results),
        "failures": _failures(results),
        "runs": [(run, charts.curves(run.log)) for run in experiment.runs if run.log],
        "ledgers": [_ledger(run) for run in experiment.runs if run.ledger],
        "stages": [_stage(run) for run in experiment.runs if run.log],
        "speech": list(_speech(experiment)),
        "changes": _changes(experiment, choice),
        "config": yaml.safe_dump(experiment.config, sort_keys=False, allow_unicode=True) if experiment.config else "",
        "breakdowns": blocks(markdown.breakdowns(results["breakdowns"])) if "breakdowns" in results else [],
        "protocol": results.get("protocol"),
        "protocols": {markdown.title_of(name): text for name, text in results.get("protocols", {}).items()},
        "notes": {markdown.label_of(name): note for name, note in (results.get("notes") or {}).items()},
    }


def _tables(results: dict[str, Any]) -> Any:
    """(title, columns, rows) of the scores, the time-aligned ones, and those of heads that read lips."""
    directions = results["higher_is_better"]
    yield "Scores", *_table(results["rows"], directions)
    if "aligned" in results:
        yield "Time-aligned scores", *_table(results["aligned"]["rows"], directions)
    for head, found in results.get("lip_reading", {}).items():
        names: dict[str, Any] = next(iter(found["rows"].values()), {})
        yield f"Lip reading by head {head}", *_table(found["rows"], dict.fromkeys(names, False), " %")


def _table(rows: dict[str, Any], directions: dict[str, bool], unit: str = "") -> tuple[list[str], list[Any]]:
    names = list(next(iter(rows.values()), {}))
    arrows = {True: " ↑", False: " ↓", None: ""}
    columns = [
        markdown.title_of(n).removesuffix(" %") + (unit or " %" * (n in (WER, CER))) + arrows[directions.get(n)]
        for n in names
    ]
    decimals = {name: markdown.decimals_of(rows, name) for name in names}
    return columns, [
        (markdown.label_of(row), [_cell(entries.get(name), decimals[name]) for name in names])
        for row, entries in rows.items()
    ]


def _cell(entry: dict[str, Any] | None, decimals: int, sign: str = "") -> dict[str, Any]:
    """Mean, interval and number of failures of an entry as text; ``sign`` is ``+`` for differences."""
    if not entry or not entry.get("n"):
        return {"mean": "–", "interval": "", "failed": (entry or {}).get("failed", 0)}
    mean, low, high = (f"{entry[key]:{sign}.{decimals}f}".replace("-", "−") for key in ("mean", "low", "high"))
    interval = f"{low} {'to' if sign else '–'} {high}" if entry["n"] >= markdown.MIN_FILES else ""
    return {"mean": mean, "interval": interval, "failed": entry.get("failed", 0)}


def _differences(results: dict[str, Any]) -> list[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """Paired differences: title -> metric -> its cell."""
    found = []
    for pair, entries in results.get("differences", {}).items():
        title = " − ".join(map(markdown.label_of, pair.split(" - ")))
        cells = [
            (markdown.title_of(name), _cell(entry, markdown.decimals_of(results["rows"], name), "+"))
            for name, entry in entries.items()
        ]
        found.append((title, cells))
    return found


def _distributions(systems: Sequence[clips.System]) -> list[charts.Distribution]:
    """The scores of clips of all systems, by each metric that one of them has."""
    names = dict.fromkeys(name for system in systems for name in system.experiment.results["higher_is_better"])
    drawn = []
    for name in names:
        factor = PERCENT if name in (WER, CER) else 1.0
        rows = []
        for system in systems:
            files = system.experiment.scores.get(system.row, {}).values()
            values = {file.id: factor * file.values[name] for file in files if name in file.values}
            mean = system.experiment.results["rows"][system.row].get(name)
            if values:
                rows.append((system.label, system.colour, values, mean if mean and mean.get("n") else None))
        if rows:
            drawn.append(charts.distribution(markdown.title_of(name), rows))
    return drawn


def _failures(results: dict[str, Any]) -> list[str]:
    titles = markdown.title_of
    lines = [
        f"{markdown.label_of(row)}, {', '.join(map(titles, metrics))}: {len(ids)} × {reason} ({markdown.listed(ids)})"
        for row, by_file in results.get("failures", {}).items()
        for (reason, metrics), ids in markdown.reasons_of(by_file).items()
    ]
    silent = [f"{markdown.label_of(row)}: {n} silent files" for row, n in results.get("silent", {}).items() if n]
    return silent + lines


def _ledger(run: Run) -> dict[str, Any]:
    """The parts of a ledger with the share that was copied and the tensors by outcome."""
    assert run.ledger is not None
    parts: dict[str, dict[str, Any]] = {}
    entries = [{**_OLD_ENTRY, **entry} for entry in run.ledger.get("entries", [])]
    for entry in entries:
        part = parts.setdefault(entry["part"], {"share": run.ledger["shares"].get(entry["part"]), "counts": {}})
        part["counts"][entry["status"]] = part["counts"].get(entry["status"], 0) + 1
    return {"run": run.name, "parts": dict(sorted(parts.items())), "entries": entries}


def _stage(run: Run) -> dict[str, Any]:
    """Machine, time and cost of a training."""
    machine = run.machine or {}
    devices = machine.get("devices", 1)
    waited = [entry["waiting_share"] for entry in run.log if "waiting_share" in entry]
    return {
        "name": run.name,
        "steps": run.steps,
        "time": duration(run.seconds),
        "per_step": f"{run.seconds / run.steps:.3g} s" if run.steps else "–",
        "waiting": f"{sum(waited) / len(waited):.0%}" if waited else "–",
        "cost": f"{devices * run.seconds / 3600:.2f} {machine.get('device', 'device')} hours",
        "machine": ", ".join(f"{machine[key]}" for key in ("processor", "device") if key in machine) or "not recorded",
        "software": ", ".join(f"{key} {machine[key]}" for key in ("v2skit", "torch", "python") if key in machine),
    }


def _speech(experiment: Experiment) -> Any:
    """Of each row's speech: number of files, and the time from the first to the last of them."""
    for row in experiment.results["rows"]:
        with suppress(OSError):
            times = sorted(path.stat().st_mtime for path in experiment.speech(row).glob("*.wav"))
            if times:
                yield markdown.label_of(row), len(times), duration(times[-1] - times[0])


def _changes(experiment: Experiment, choice: Choice) -> tuple[str, list[Change]] | None:
    """The config file and the keys that it changes; None where there is no such file."""
    place = choice.work_dir or experiment.folder.resolve().parents[1]
    path = choice.config or place / "conf" / f"{experiment.name}.yaml"
    if not path.is_file() or not experiment.config:
        return None
    try:
        return path.name, changes(path, experiment.config)
    except UserError:  # a config of another version; the report is worth reading without it
        return None


def duration(seconds: float) -> str:
    """Seconds, for people: 75 -> 1 min 15 s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
