"""Decoder transfer: initialise parts of V2A from A2A (Kefalas et al. 2024), with a ledger of every tensor."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from torch import Tensor

from v2skit.errors import UserError
from v2skit.models.look_ahead import Shift, shifted
from v2skit.models.model import Model
from v2skit.training.ledger import COPIED, Ledger, changed, entry, problems


def transfer(
    source: dict[str, Tensor], target: Model, parts: list[str], shifts: Mapping[str, Shift] = MappingProxyType({})
) -> Ledger:
    """Copy parts of a pre-trained model's weights into a model, in place.

    Args:
        source: state of the A2A model.
        target: the V2A model.
        parts: names of the parts to copy.
        shifts: of kernels over time, where their look-ahead is another.

    Raises:
        UserError: a tensor to be copied is not in both models with the same shape; the target is then unchanged.
    """
    source, state = shifted(source, shifts), target.state_dict()
    entries = []
    for name in sorted({*source, *state}):
        part = name.partition(".")[0]
        entries.append(entry(name, part, state.get(name), source.get(name), part in parts))
    copied = [e.tensor for e in entries if e.status == COPIED]
    present = {e.part for e in entries}
    found = problems((e for e in entries if e.part in parts), "V2A", "A2A")
    found += [f"{part}: neither model has weights in it" for part in parts if part not in present]
    if found:
        raise UserError(
            "transfer can't copy the parts that the config names:\n  "
            + "\n  ".join(found)
            + "\nGive the frontends the same out_dim and both models the same parts, or drop the part from transfer"
        )
    target.load_state_dict({**state, **{name: source[name] for name in copied}})
    entries = changed(entries, shifts)
    totals = {p: sum(v.numel() for n, v in state.items() if n.partition(".")[0] == p) for p in sorted(present)}
    moved = {p: sum(state[n].numel() for n in copied if n.partition(".")[0] == p) for p in totals}
    return Ledger(entries, {p: moved[p] / totals[p] for p in totals if totals[p]})
