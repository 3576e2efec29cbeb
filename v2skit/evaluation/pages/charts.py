"""Training curves and distributions of scores as coordinates, which the templates draw as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.ticker import MaxNLocator

POINTS = 240
"""Maximum number of points of a line; of longer logs, means of neighbours."""

DOTS = 300
"""Maximum number of clips in a distribution; of more, every n-th by rank."""

LARGEST = 1e100
"""Larger values, and those that are not finite, are gaps of a line."""

NOT_DRAWN = {"step", "kind", "seconds_per_step", "waiting_share"}
_GOLDEN = 0.618034


@dataclass(frozen=True)
class Scale:
    """A linear scale: values -> places between ``start`` and ``end``, with its ticks."""

    low: float
    high: float
    start: float
    end: float
    ticks: list[tuple[float, str]] = field(default_factory=list)

    def __call__(self, value: float) -> float:
        """The place of a value."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def scale(values: Iterable[float], start: float, end: float, ticks: int = 4) -> Scale:
    """The scale from the smallest to the largest value, with ticks at round numbers."""
    values = list(values)
    low, high = min(values), max(values)
    if high <= low:
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    found = Scale(low, high, start, end)
    inside = [float(tick) for tick in MaxNLocator(ticks).tick_values(low, high) if low <= tick <= high]
    return Scale(low, high, start, end, [(found(tick), number(tick)) for tick in inside])


def number(value: float) -> str:
    """A number of a tick: 1500 -> 1.5k."""
    return f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:.6g}"


@dataclass(frozen=True)
class Chart:
    """Lines over training steps: kind of log entry -> path of an SVG."""

    title: str
    x: Scale
    y: Scale
    lines: dict[str, str]
    last: dict[str, str]


WIDTH, HEIGHT = 320, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 312, 10, 128


def curves(log: Sequence[dict[str, Any]]) -> list[Chart]:
    """A chart for each logged number, losses first; values that are too large or not finite are gaps."""
    series: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for entry in log:
        for name, value in entry.items():
            if name not in NOT_DRAWN and isinstance(value, (int, float)) and abs(value) < LARGEST:
                points = series.setdefault(name, {}).setdefault(str(entry["kind"]), [])
                points.append((entry["step"], value))
    return [_chart(name, kinds) for name, kinds in series.items() if max(map(len, kinds.values())) > 1]


def _chart(name: str, kinds: dict[str, list[tuple[float, float]]]) -> Chart:
    thinned = {kind: thin(points) for kind, points in kinds.items()}
    every = [point for points in thinned.values() for point in points]
    x, y = scale((s for s, _ in every), _LEFT, _RIGHT), scale((v for _, v in every), _BOTTOM, _TOP)
    lines = {kind: "M" + "L".join(f"{x(s)} {y(v)}" for s, v in points) for kind, points in thinned.items()}
    lines = {kind: line if "L" in line else f"{line}h0" for kind, line in lines.items()}  # one point is drawn as a dot
    return Chart(name, x, y, lines, {kind: f"{points[-1][1]:.4g}" for kind, points in kinds.items()})


def thin(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most POINTS points: means of equally many neighbours."""
    every = math.ceil(len(points) / POINTS)
    groups = [points[start : start + every] for start in range(0, len(points), every)]
    return [(sum(s for s, _ in group) / len(group), sum(v for _, v in group) / len(group)) for group in groups]


@dataclass(frozen=True)
class Distribution:
    """The scores of all clips by one metric: of each row a dot for each clip, and the mean with its interval."""

    title: str
    x: Scale
    height: int
    rows: list[dict[str, Any]]


LABEL, SPREAD = 17, 24
"""Heights of a row: of its label, and of its dots."""
_TOP_MARGIN, _AXIS = 10, 20


def distribution(title: str, rows: Sequence[tuple[str, int, dict[str, float], dict[str, Any] | None]]) -> Distribution:
    """Scores by one metric.

    Args:
        title: of the metric.
        rows: label, number of the colour, id of a clip -> its value, and the entry of the mean; at least one value.
    """
    bounds = [v for _, _, values, _ in rows for v in values.values()]
    bounds += [entry[key] for *_, entry in rows if entry for key in ("low", "high")]
    x = scale(bounds, 12, WIDTH - 12)
    drawn = []
    for place, (label, colour, values, entry) in enumerate(rows):
        top = _TOP_MARGIN + (LABEL + SPREAD + 6) * place
        middle = top + LABEL + SPREAD / 2
        ranked = sorted(values.items(), key=lambda item: item[1])
        dots = [
            (x(value), round(middle + SPREAD * ((n * _GOLDEN) % 1 - 0.5), 1), clip, f"{value:.3g}")
            for n, (clip, value) in enumerate(ranked[:: math.ceil(len(ranked) / DOTS) or 1])
        ]
        mean = {key: x(entry[key]) for key in ("mean", "low", "high")} if entry else None
        drawn.append(
            {"label": label, "colour": colour, "top": top + LABEL - 6, "middle": middle, "dots": dots, "mean": mean}
        )
    return Distribution(title, x, _TOP_MARGIN + (LABEL + SPREAD + 6) * len(rows) + _AXIS, drawn)
