"""The ledger of copied weights: the outcome for every tensor, for programs and for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from torch import Tensor

from v2skit.system.atomic import write_text

COPIED, SHAPE_DIFFERS, NEW, LEFT_OUT = "copied", "shape differs", "new", "left out"


@dataclass(frozen=True)
class Entry:
    """The outcome for one tensor. ``shape`` or ``source_shape`` is None where the model or the source has no such
    tensor; ``source`` is its name in the source, where that is another one; ``change`` says how it was changed."""

    tensor: str
    part: str
    status: str
    shape: list[int] | None
    source_shape: list[int] | None
    source: str | None = None
    change: str | None = None


@dataclass(frozen=True)
class Ledger:
    """Every tensor of a model and of the source of its weights, and the share of each part's values that was copied."""

    entries: list[Entry]
    shares: dict[str, float]

    def write(self, folder: Path, model: str = "V2A", source: str = "A2A") -> None:
        """``ledger.json`` for programs and ``ledger.md`` for people, with the names of model and source."""
        lines = ["| part | copied | " + " | ".join((SHAPE_DIFFERS, NEW, LEFT_OUT)) + " |", "|---|---|---|---|---|"]
        for part in sorted({e.part for e in self.entries}):
            share = f"{self.shares[part]:.1%}" if part in self.shares else "-"
            counts = [
                sum(e.part == part and e.status == s for e in self.entries) for s in (SHAPE_DIFFERS, NEW, LEFT_OUT)
            ]
            lines.append(f"| {part} | {share} of its values | " + " | ".join(f"{n} tensors" for n in counts) + " |")
        lines += ["", f"| tensor | outcome | {model} shape | {source} shape |", "|---|---|---|---|"]
        lines += [f"| {e.tensor} | {_outcome(e)} | {shape(e.shape)} | {shape(e.source_shape)} |" for e in self.entries]
        write_text(folder / "ledger.md", "\n".join(lines) + "\n")
        write_text(folder / "ledger.json", json.dumps(asdict(self), indent=1) + "\n")


def entry(name: str, part: str, model: Tensor | None, source: Tensor | None, wanted: bool) -> Entry:
    """The outcome for a tensor of a model, of the source, or of both; ``wanted``: it is to be copied."""
    if model is None:
        status = LEFT_OUT
    elif source is None:
        status = NEW
    elif source.shape != model.shape:
        status = SHAPE_DIFFERS
    else:
        status = COPIED if wanted else LEFT_OUT
    return Entry(name, part, status, _size(model), _size(source))


def changed(entries: Iterable[Entry], changes: Mapping[str, object]) -> list[Entry]:
    """Entries of copied tensors with how they were changed, by their names."""
    return [
        replace(e, change=str(changes[e.tensor])) if e.status == COPIED and e.tensor in changes else e for e in entries
    ]


def problems(entries: Iterable[Entry], model: str, source: str) -> list[str]:
    """Why tensors that are to be copied are not, one line each, with the names of model and source."""
    return [f"{e.tensor}: {_problem(e, model, source)}" for e in entries if e.status != COPIED]


def shape(size: list[int] | None) -> str:
    """A shape, for people."""
    return "-" if size is None else "x".join(map(str, size)) or "scalar"


def _outcome(entry: Entry) -> str:
    status = entry.status if entry.source is None else f"{entry.status} from {entry.source}"
    return status if entry.change is None else f"{status}, {entry.change}"


def _problem(entry: Entry, model: str, source: str) -> str:
    if entry.status == SHAPE_DIFFERS:
        return f"shape {shape(entry.source_shape)} in {source}, {shape(entry.shape)} in {model}"
    return f"{source if entry.source_shape is None else model} does not have it"


def _size(tensor: Tensor | None) -> list[int] | None:
    return None if tensor is None else list(tensor.shape)
