"""The estimate of a preparation as plain text."""

from __future__ import annotations

from v2skit.preparation.amount import Amount, total
from v2skit.preparation.estimate import Directory, Estimate, Group

HEAD = ("data directory", "utterances", "prepared", "hours", "audio", "crops", "processor", "wall")


def describe(estimate: Estimate) -> str:
    """A table of the data directories, the results of the samples, and whether the disk has enough space."""
    groups = {directory.name: group for group in estimate.groups for directory in group.directories}
    rows = [_row(directory, groups.get(directory.name), estimate.at_once) for directory in estimate.directories]
    rows.append(_sum(estimate))
    widths = [max(map(len, column)) for column in zip(HEAD, *rows)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
        for row in (HEAD, *rows)
    ]
    lines.append("hours: of all utterances; disk and time: of those to prepare, at present load; +-: 95 % intervals")
    for directory in estimate.directories:
        lines += _of_headers(directory)
    for group in estimate.groups:
        lines += _of_trial(group, estimate)
    return "\n".join([*lines, *_verdict(estimate)])


def _row(directory: Directory, group: Group | None, jobs: int) -> tuple[str, ...]:
    counts = directory.name, f"{directory.utterances:,}", f"{directory.prepared:,}", _hours(directory.hours)
    if group is None:
        return *counts, "-", "-", "-", "-"
    if group.per_hour is None:
        return *counts, "?", "?", "?", "?"
    need = {what: (amount * directory.left_hours).value for what, amount in group.per_hour.items()}
    times = duration(need["processor"]), duration(need["wall"] / min(jobs, len(directory.left)))
    return *counts, size(need["audio"]), size(need["crops"]), *times


def _sum(estimate: Estimate) -> tuple[str, ...]:
    directories = estimate.directories
    hours = total([directory.hours for directory in directories])
    counts = f"{sum(d.utterances for d in directories):,}", f"{sum(d.prepared for d in directories):,}"
    if estimate.unknown:
        return "sum", *counts, _hours(hours), "?", "?", "?", "?"
    sizes = size(estimate.needs("audio").value), size(estimate.needs("crops").value)
    times = duration(estimate.needs("processor").value), duration(estimate.needs("wall").value / estimate.at_once)
    return "sum", *counts, _hours(hours), *sizes, *times


def _of_headers(directory: Directory) -> list[str]:
    if not directory.unreadable:
        return []
    count = f"{len(directory.unreadable)} of {directory.headers} headers can't be read"
    return [f"{directory.name}: {count}, e.g.: {directory.unreadable[0]}"]


def _of_trial(group: Group, estimate: Estimate) -> list[str]:
    trial, names = group.trial, ", ".join(directory.name for directory in group.directories)
    count, took = len(trial.hours), duration(sum(cost["wall"] for cost in trial.costs))
    lines = [f"{group.kind} ({names}): {count} prepared in {took} as a sample"]
    if group.per_hour:
        disk, processor = group.per_hour["disk"], group.per_hour["processor"]
        times = f"{duration(processor.value)} +- {duration(processor.half)} of processor time"
        lines.append(f"  an hour of speech needs {size(disk.value)} +- {size(disk.half)}, {times}")
    else:
        lines.append("  none has speech of known duration: disk and time are unknown")
    if trial.excluded:
        lines.append(f"  {len(trial.excluded)} of {count} can't be used:")
        lines += [f"    {reason}" for reason in trial.excluded[:5]]
        lines += ["    ..."] if len(trial.excluded) > 5 else []
    limit = estimate.settings.max_failed_share
    if len(trial.excluded) > limit * count:
        lines.append(f"  more than prepare.max_failed_share ({limit:.0%}): stage 1 stops if this holds for all")
    lines += [f"  {some} of {count} will be filtered: {why}" for why, some in trial.filtered.items()]
    return lines


def _verdict(estimate: Estimate) -> list[str]:
    left = sum(len(directory.left) for directory in estimate.directories)
    if estimate.refused:
        return ["stage 1 will refuse:", *(f"  {why}" for why in estimate.refused)]
    if not left:
        return ["everything is prepared already"]
    hours = total([directory.left_hours for directory in estimate.directories])
    disk, wall, free = estimate.needs("disk"), estimate.needs("wall"), estimate.free_bytes
    jobs = estimate.at_once
    where = "on the cluster" if estimate.settings.cluster == "slurm" else "on this machine"
    took = f"{duration(wall.value / jobs)} +- {duration(wall.half / jobs)}"
    lines = [
        f"left: {left:,} utterances, {_hours(hours)} h: {took} with {jobs} {'jobs' if jobs > 1 else 'job'} at once "
        f"{where}, {duration(estimate.needs('processor').value)} of processor time"
    ]
    needed = f"disk: {size(disk.value)} +- {size(disk.half)} needed, {size(free)} free for {estimate.folder}"
    if estimate.unknown:
        names = ", ".join(estimate.unknown)
        return [
            f"left: {left:,} utterances, {_hours(hours)} h; disk and time of {names} are unknown (see above)",
            *([f"the others' {needed}"] if wall.value else []),
        ]
    if disk.value > free:
        lines.append(f"{needed}: it does NOT fit, {size(disk.value - free)} are missing; free them, or set data.folder")
    elif disk.value + disk.half > free:
        lines.append(f"{needed}: it may not fit; free some, or set data.folder")
    else:
        lines.append(f"{needed}: it fits")
    return lines


def _hours(hours: Amount) -> str:
    digits = 1 if hours.value >= 10 else 3
    half = f"{hours.half:.{digits}f}"
    return f"{hours.value:.{digits}f}" + (f" +- {half}" if float(half) else "")


def duration(seconds: float) -> str:
    """``3 h 20 min``, ``12 min``, ``2 min 5 s``, ``25 s``, ``0.3 s``."""
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60:,} h {minutes % 60} min"
    if seconds >= 599.5:
        return f"{minutes} min"
    if seconds >= 59.5:
        return f"{round(seconds) // 60} min {round(seconds) % 60} s"
    return f"{seconds:.0f} s" if seconds >= 9.5 else f"{seconds:.1f} s"


def size(count: float) -> str:
    """Bytes as ``3.2 GB`` or ``12.3 MB``."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
