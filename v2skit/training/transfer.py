"""Decoder transfer: initialise parts of V2A from A2A (Kefalas et al. 2024), with a ledger of every tensor."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from v2skit.errors import UserError
from v2skit.models.model import Model
from v2skit.system.atomic import write_text

COPIED, SHAPE_DIFFERS, NEW, LEFT_OUT = "copied", "shape differs", "new", "left out"


@dataclass(frozen=True)
class Entry:
    """The outcome for one tensor. ``source_shape`` or ``shape`` is None where A2A or V2A has no such tensor."""

    tensor: str
    part: str
    status: str
    shape: list[int] | None
    source_shape: list[int] | None


@dataclass(frozen=True)
class Ledger:
    """Every tensor of both models, and the share of each part's values that was copied."""

    entries: list[Entry]
    shares: dict[str, float]

    def write(self, folder: Path) -> None:
        """``ledger.json`` for programs and ``ledger.md`` for people."""
        lines = ["| part | copied | " + " | ".join((SHAPE_DIFFERS, NEW, LEFT_OUT)) + " |", "|---|---|---|---|---|"]
        for part in sorted({e.part for e in self.entries}):
            share = f"{self.shares[part]:.1%}" if part in self.shares else "-"
            counts = [
                sum(e.part == part and e.status == s for e in self.entries) for s in (SHAPE_DIFFERS, NEW, LEFT_OUT)
            ]
            lines.append(f"| {part} | {share} of its values | " + " | ".join(f"{n} tensors" for n in counts) + " |")
        lines += ["", "| tensor | outcome | V2A shape | A2A shape |", "|---|---|---|---|"]
        lines += [f"| {e.tensor} | {e.status} | {_shape(e.shape)} | {_shape(e.source_shape)} |" for e in self.entries]
        write_text(folder / "ledger.md", "\n".join(lines) + "\n")
        write_text(folder / "ledger.json", json.dumps(asdict(self), indent=1) + "\n")


def transfer(source: dict[str, Tensor], target: Model, parts: list[str]) -> Ledger:
    """Copy parts of a pre-trained model's weights into a model, in place.

    Args:
        source: state of the A2A model.
        target: the V2A model.
        parts: names of the parts to copy.

    Raises:
        UserError: a tensor to be copied is not in both models with the same shape; the target is then unchanged.
    """
    state = target.state_dict()
    entries = []
    for name in sorted({*source, *state}):
        part = name.partition(".")[0]
        status = _status(source.get(name), state.get(name), part in parts)
        entries.append(Entry(name, part, status, _size(state.get(name)), _size(source.get(name))))
    copied = [e.tensor for e in entries if e.status == COPIED]
    problems = [f"{e.tensor}: {_problem(e)}" for e in entries if e.part in parts and e.status != COPIED]
    present = {e.part for e in entries}
    problems += [f"{part}: neither model has weights in it" for part in parts if part not in present]
    if problems:
        raise UserError(
            "transfer can't copy the parts that the config names:\n  "
            + "\n  ".join(problems)
            + "\nGive the frontends the same out_dim and both models the same parts, or drop the part from transfer"
        )
    target.load_state_dict({**state, **{name: source[name] for name in copied}})
    totals = {p: sum(v.numel() for n, v in state.items() if n.partition(".")[0] == p) for p in sorted(present)}
    moved = {p: sum(state[n].numel() for n in copied if n.partition(".")[0] == p) for p in totals}
    return Ledger(entries, {p: moved[p] / totals[p] for p in totals if totals[p]})


def _status(source: Tensor | None, target: Tensor | None, wanted: bool) -> str:
    if target is None:
        return LEFT_OUT
    if source is None:
        return NEW
    if source.shape != target.shape:
        return SHAPE_DIFFERS
    return COPIED if wanted else LEFT_OUT


def _problem(entry: Entry) -> str:
    if entry.status == SHAPE_DIFFERS:
        return f"shape {_shape(entry.source_shape)} in A2A, {_shape(entry.shape)} in V2A"
    return "A2A does not have it" if entry.source_shape is None else "V2A does not have it"


def _size(tensor: Tensor | None) -> list[int] | None:
    return None if tensor is None else list(tensor.shape)


def _shape(shape: list[int] | None) -> str:
    return "-" if shape is None else "x".join(map(str, shape)) or "scalar"
