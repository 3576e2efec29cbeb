"""Initial weights of parts from files, with a ledger of every tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from v2skit.config.features import check_same_features, feature_settings
from v2skit.config.parts import Part, model_name
from v2skit.config.schema import Config
from v2skit.data.targets import Targets, check_same_targets
from v2skit.errors import UserError
from v2skit.hub.installed import is_installed
from v2skit.models.layers.dual_norm import DualBatchNorm
from v2skit.models.look_ahead import Shift, part_shifts, shifted
from v2skit.models.model import Vocoder, stream_names
from v2skit.models.weights import PartWeights, digest_of, place_of, read_weights
from v2skit.training.ledger import COPIED, LEFT_OUT, Entry, Ledger, changed, entry, problems

MAX_SHOWN = 20
"""Tensors that an error lists."""


def initialise(
    model: nn.Module,
    parts: Mapping[str, Part],
    task: str,
    config: Config,
    speakers: list[str],
    targets: Targets = Targets(),
) -> Ledger | None:
    """Initialise the parts of a new model from the files that its config names, in place; and give those that are
    frozen with their statistics the statistics of the other modality, where they have none of their own.

    Args:
        model: with its random or transferred weights.
        parts: settings by name, of this run.
        task: of the model.
        config: of the experiment.
        speakers: names behind a speaker table.
        targets: of the config, fitted.

    Returns:
        the outcome for all tensors of these parts and of the files; None where there is nothing to do.

    Raises:
        UserError: a part or a file does not exist, or does not fit the other; the model is then partly initialised.
    """
    entries: dict[tuple[str, str], Entry] = {}
    shares = {}
    for name, part in sorted(parts.items()):  # a head after all heads
        if part.init is not None:
            weights = read_weights(name, part, task)
            if part.init_strict:
                _check_meta(model, name, weights, config, speakers, targets)
            found = _copy(model, name, part, weights, _shifts(model, name, part, weights, config, targets))
            entries |= {(name, e.tensor): e for e in found}
            ours = {n for n in model.state_dict() if n.startswith(f"{model_name(name)}.")}
            values = {n: model.state_dict()[n].numel() for n in ours}
            copied = sum(values[e.tensor] for e in found if e.status == COPIED)
            shares[name] = copied / max(1, sum(values.values()))
    entries = _without_others(entries, parts)
    for name, part in parts.items():
        if part.frozen == "all" and part.is_frozen(0):
            entries |= _adopt_statistics(model, name, entries)
    return Ledger(list(entries.values()), shares) if entries else None


def initial_digests(parts: Mapping[str, Part], task: str, existing: bool = False) -> dict[str, str]:
    """The digests of the files: ``parts.NAME`` -> digest, for a run's record.

    Args:
        parts: settings by name, of this run.
        task: of its model.
        existing: leave out files that do not exist, and installed models, which are others with another version of
            v2skit: a trained run does not need them.

    Raises:
        UserError: a file does not exist, or can't be read.
    """

    def stays(name: str, part: Part) -> bool:
        return not is_installed(str(part.init)) and place_of(name, part, task).exists()

    named = {n: part for n, part in parts.items() if part.init and (not existing or stays(n, part))}
    return {f"parts.{name}": digest_of(part, name, task) for name, part in named.items()}


def missing_files(parts: Mapping[str, Part], task: str) -> list[str]:
    """The keys of the files that a later run starts from and that do not exist yet: ``parts.NAME.init``.

    Raises:
        UserError: a file that exists has no weights.
    """
    initial_digests(parts, task, existing=True)
    named = {name: part for name, part in parts.items() if part.init}
    return [f"parts.{name}.init" for name, part in named.items() if not place_of(name, part, task).exists()]


def _copy(model: nn.Module, name: str, part: Part, weights: PartWeights, shifts: Mapping[str, Shift]) -> list[Entry]:
    """Copy a part's tensors from a file, kernels of another look-ahead shifted. Returns the outcome for all tensors of
    the part and of the file."""
    key, prefix = f"parts.{name}.init", f"{model_name(name)}."
    state = model.state_dict()
    ours = {n.removeprefix(prefix): value for n, value in state.items() if n.startswith(prefix)}
    if not ours:
        remedy = "leave it out, or set it to null where parts.model gives it"
        raise UserError(f"{key}: this model has no weights in its part {name}; {remedy}", key=key)
    theirs = shifted(weights.tensors, shifts)
    entries = [entry(prefix + n, name, ours.get(n), theirs.get(n), True) for n in sorted({*ours, *theirs})]
    found = problems(entries, "this model", "the file")
    copied = {e.tensor: theirs[e.tensor.removeprefix(prefix)] for e in entries if e.status == COPIED}
    if not copied or (found and part.init_strict):
        raise UserError(
            f"{key}: {weights.place} can't initialise it:\n  "
            + "\n  ".join([*found[:MAX_SHOWN], *([f"and {len(found) - MAX_SHOWN} more"] if found[MAX_SHOWN:] else [])])
            + f"\nGive the file's part the settings of this one, another init_part or init_prefix, or "
            f"parts.{name}.init_strict: false to copy what fits",
            key=key,
        )
    bad = [n for n, value in copied.items() if value.is_floating_point() and value.isnan().any()]
    if bad:
        raise UserError(f"{key}: {weights.place} has weights that are not finite, e.g. {bad[0]}; give another", key=key)
    model.load_state_dict({**state, **copied})
    entries = changed(entries, {prefix + n: shift for n, shift in shifts.items()})
    return entries + [entry(n, name, None, value, False) for n, value in sorted(weights.others.items())]


def _without_others(
    entries: Mapping[tuple[str, str], Entry], parts: Mapping[str, Part]
) -> dict[tuple[str, str], Entry]:
    """The entries without those of tensors that a part leaves out because another one has them from the same file; what
    no part has is in those of the first one."""
    taken = {(parts[name].init, tensor) for (name, tensor), e in entries.items() if e.status != LEFT_OUT}
    kept = {}
    for (name, tensor), outcome in entries.items():
        key = (parts[name].init, tensor)
        if outcome.status != LEFT_OUT or key not in taken:
            taken.add(key)
            kept[name, tensor] = outcome
    return kept


def _shifts(
    model: nn.Module, name: str, part: Part, weights: PartWeights, config: Config, targets: Targets
) -> dict[str, Shift]:
    """How the part's kernels are to be shifted; a bare state dict, or one of another toolkit, does not tell."""
    if weights.meta is None or part.init_prefix is not None:
        return {}
    return part_shifts(weights.meta, model, config, targets, name, part.init_part)


def _check_meta(
    model: nn.Module, name: str, weights: PartWeights, config: Config, speakers: list[str], targets: Targets
) -> None:
    """Raises UserError where a checkpoint has another frame rate; other mel settings or targets that the part depends
    on; or a speaker table other speakers."""
    if weights.meta is None:
        return
    part: Any = _part(model, name)
    streams = {model.input, model.output} if isinstance(model, Vocoder) else _streams(part)
    ours, theirs = feature_settings(config.clock, config.mel), weights.meta.features
    if streams <= {"video"}:
        ours, theirs = ({"fps": settings["fps"]} for settings in (ours, theirs))
    check_same_features(ours, theirs, "this config", str(weights.place))
    reads_targets = hasattr(part, "training_loss")  # any of the batch
    states = {stream: state for stream, state in targets.states.items() if reads_targets or stream in streams}
    check_same_targets(states, weights.meta.targets, "this config", str(weights.place))
    if getattr(part, "voices", None) and weights.meta.speakers != speakers:
        key = f"parts.{name}.init"
        remedy = "leave it out, or set it to null where parts.model gives it"
        raise UserError(f"{key}: {weights.place} has other speakers than this run ({len(speakers)}); {remedy}")


def _part(model: nn.Module, name: str) -> nn.Module | None:
    """A part of a model; None where it has no such part."""
    try:
        return model.get_submodule(model_name(name))
    except AttributeError:
        return None


def _streams(part: Any) -> set[str]:
    """The names of the streams that a part, or each of several, has as input or output."""
    attributes = ("input", "output", "outputs", "further_outputs")
    found = {name for attribute in attributes for name in stream_names(getattr(part, attribute, ()))}
    heads = part.values() if isinstance(part, nn.ModuleDict) else ()
    return found.union(*(_streams(head) for head in heads))


def _adopt_statistics(
    model: nn.Module, name: str, before: Mapping[tuple[str, str], Entry]
) -> dict[tuple[str, str], Entry]:
    """Give a part the statistics of the other modality where it has none. Returns the entries of these tensors."""
    prefix = model_name(name)
    part, found = model.get_submodule(prefix), {}
    for path, norm in part.named_modules():
        for ours, theirs in norm.adopt().items() if isinstance(norm, DualBatchNorm) else ():
            tensor, source = (".".join(filter(None, (prefix, path, n))) for n in (ours, theirs))
            size = list(getattr(norm, ours).shape)
            known = before.get((name, tensor), Entry(tensor, name, COPIED, size, size))
            found[name, tensor] = replace(known, status=COPIED, source_shape=size, source=source)
    return found
