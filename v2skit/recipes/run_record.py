"""The record of a run, ``config.yaml`` in its folder: the resolved config, and ``made_from``, digests of its inputs.

The plug-in files of the config are copied into ``plugins/`` of the experiment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from v2skit.config.load import check_config, origins_of, to_tree
from v2skit.config.parts import Part
from v2skit.config.plugin_files import Copies, stored_files
from v2skit.config.schema import MACHINE, Config
from v2skit.errors import UserError
from v2skit.models.checkpoint import Meta
from v2skit.models.inference import inference_arguments
from v2skit.registry import sources
from v2skit.registry.files import check_unchanged
from v2skit.system import environment
from v2skit.system.atomic import delete_aside, finish_deletion, put_back, set_aside, write_text
from v2skit.system.provenance import Difference, Provenance
from v2skit.system.state_file import damaged, read_state
from v2skit.training.run_hooks import batch_processors

NAME = "config.yaml"
PLUGINS = "plugins"
_OWN = re.compile(
    r"config\.yaml|environment\.json|machine\.json|log\.jsonl|ledger\.(json|md)|tensorboard|samples|checkpoint-\d{8}|init|\..*\.(part|deleted)"
)
"""What training writes into the folder of a run; files of plug-ins are written again by the same plug-ins."""

_NOT_COMPARED = {f"{stage}.{key}" for stage in ("pretrain", "finetune") for key in MACHINE}
"""Keys without an effect on the trained weights."""

_TRAINED = ("networks", "targets", "losses", "vocoder")
"""Sections with components that trained weights depend on."""

_REMEDY = "--force repeats that stage"

_FORMER_KEYS = {"made_from.digest": "made_from.pretrained"}


def claim(folder: Path, config: Config, made_from: Mapping[str, object], force: bool) -> None:
    """Write the record of a run that starts or resumes, its software, and copies of its plug-in files; ``force``
    deletes what a run wrote into the folder first, and no other files."""
    with claimed(folder, config, made_from, force) as started:
        started()


def _write(folder: Path, config: Config, made_from: Mapping[str, object]) -> None:
    finish_deletion(folder)
    others = _not_trained(config)
    for file in config.plugins:
        copy = Copies(folder.parent / PLUGINS).path(file.name, trained=file.name not in others)
        write_text(copy, file.source)
    environment.write_record(folder)
    write_text(folder / NAME, yaml.safe_dump({**to_tree(config), "made_from": dict(made_from)}, sort_keys=False))


@contextmanager
def claimed(folder: Path, config: Config, made_from: Mapping[str, object], force: bool) -> Iterator[Callable[[], None]]:
    """As :func:`claim`, for a training that may fail to start: with ``force``, the folder's content comes back, unless
    the function that this gives is called."""
    if force:
        set_aside(folder, _is_own)
    try:
        _write(folder, config, made_from)
        yield lambda: delete_aside(folder, _is_own)
    finally:
        recover(folder)


def recover(folder: Path) -> None:
    """Undo a repetition that was killed before the training had started."""
    put_back(folder, _is_own)


def _is_own(name: str) -> bool:
    return _OWN.fullmatch(name) is not None


def config_of(exp: Path) -> Config:
    """The config of an experiment, from the record of its last run.

    Raises:
        UserError: it has no run, or the record is damaged or would run code that is not trusted.
    """
    path = next((p for run in ("finetune", "pretrain") if (p := exp / run / NAME).is_file()), None)
    tree = read_state(path, _REMEDY, _parse) if path else None
    if path is None or tree is None:
        raise UserError(f"{exp} is no experiment with a trained model; give a folder such as exp/mel, after stage 4")
    without = {key: value for key, value in tree.items() if key not in ("made_from", "loggers")}
    return check_config(without, str(path))


def initial_digests(folder: Path, parts: Mapping[str, Part]) -> dict[str, Any]:
    """The digests of the files with initial weights in a run's record: ``parts.NAME`` -> digest."""
    before = _read(folder / NAME)
    recorded = {} if before is None else before.part("made_from").values
    keys = [f"parts.{name}" for name, part in parts.items() if part.init]
    return {key: recorded[key] for key in keys if key in recorded}


def check(folder: Path, config: Config, depends: Iterable[str], made_from: Mapping[str, object]) -> None:
    """Compare a run's record, if it has one, with what the run would be made from now.

    Args:
        folder: of the run.
        config: of the experiment.
        depends: beginnings of the config's keys that the run depends on; others may change.
        made_from: digests of its inputs; what is not in it is not compared.

    Raises:
        UserError: the run was made with another config or from other inputs.
    """
    before = _read(folder / NAME)
    if before is None:
        return
    now = Provenance({**to_tree(config), "made_from": made_from})
    found = before.diff(now, only=[*depends, *(f"made_from.{key}" for key in made_from)])
    ignored = _NOT_COMPARED | {f"networks.decoder.{name}" for name in inference_arguments(config)}
    # Records of earlier versions have no clips.
    unknown = {d.key for d in found if d.before is None and d.key.startswith("made_from.clips.")}
    differences = [difference for difference in found if difference.key not in ignored | unknown]
    if differences:
        raise UserError(
            f"{folder} was made with another config or data ({'; '.join(map(_worded, differences))}); "
            "give another --exp, or --force to repeat that stage",
            differences=differences,
        )


def check_plugins(meta: Meta, config: Config, what: str) -> None:
    """Compare the plug-ins of a checkpoint with those that it is to be used with.

    Args:
        meta: of the checkpoint.
        config: of the experiment.
        what: the checkpoint, for messages.

    Raises:
        UserError: a plug-in file has other content now, unless only data, trackers, loggers or scores come from it; or
            an installed plug-in of the model or its losses has other sources.
    """
    check_unchanged(stored_files(meta.config, what), config.plugins, what, but=_not_trained(config))
    sources.check_unchanged(meta.sources, what)


def _not_trained(config: Config) -> set[str]:
    """The origins of components that only prepare, log or score, and that do not change batches either. (A plug-in
    without components may have other hooks that matter.)"""
    others = [getattr(config, field.name) for field in fields(config) if field.name not in _TRAINED]
    return origins_of(others) - trained_origins(config)


def trained_origins(config: Config) -> set[str]:
    """The origins of components that trained weights depend on, and plug-ins that change batches."""
    return origins_of([getattr(config, name) for name in _TRAINED]) | batch_processors(config).keys()


def _worded(difference: Difference) -> str:
    """A difference of a run's record for people, who do not know the keys of its inputs."""
    if difference.key == "made_from.pretrained" and difference.before and difference.now:
        return "the pre-trained model is another one now"
    part = difference.key.removeprefix("made_from.parts.")
    if part != difference.key and difference.before and difference.now:
        return f"parts.{part}.init has other weights now"
    target = difference.key.removeprefix("made_from.targets.")
    if target != difference.key and difference.before and difference.now:
        return f"the target '{target}' was fitted to other data or with other settings"
    plugin = difference.key.removeprefix("made_from.process_batch.")
    if plugin != difference.key:
        before, now = (f"version {value}" if value else "not used" for value in (difference.before, difference.now))
        return f"plug-in {plugin} changes the batches: {before} there, {now} now"
    data = difference.key.removeprefix("made_from.data.").removeprefix("made_from.clips.")
    if data != difference.key and difference.before and difference.now:
        return f"{data} has other utterances or files now"
    return str(difference)


def _read(path: Path) -> Provenance | None:
    """The record in a file, None where there is none; with the defaults of keys that were added to the config since."""
    tree = read_state(path, _REMEDY, _parse)
    if tree is None:
        return None
    made_from = tree.pop("made_from", {})
    tree.pop("loggers", None)  # perhaps of a plug-in that is no longer installed; they are not compared
    try:
        with suppress(UserError):  # where it has keys that no longer exist, which show as differences
            tree = to_tree(check_config(tree))
        values = Provenance({**tree, "made_from": made_from}).values
    except (RecursionError, TypeError, ValueError) as error:  # keys or characters that no record has
        raise damaged(path, error, _REMEDY) from error
    return Provenance({_FORMER_KEYS.get(key, key): value for key, value in values.items()})


def _parse(text: str) -> Any:
    """YAML as JSON has it: no merged, shared or recursive entries, which a record does not have."""
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ValueError("it has aliases")
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
