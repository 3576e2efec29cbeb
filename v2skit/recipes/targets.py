"""The targets of a recipe: fitted to its training data, and computed once for each utterance of a data directory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from v2skit.config.load import identity, to_tree
from v2skit.config.schema import Config
from v2skit.data.data_dir import Utterance, is_prepared
from v2skit.data.dataset import SpeechDataset
from v2skit.data.index import open_index
from v2skit.data.streams import FOLDER, StoredStream
from v2skit.data.targets import FitUtterance, Targets, compute, is_fitted, is_stored, state_digest
from v2skit.errors import UserError
from v2skit.media.audio import read_audio
from v2skit.models import checkpoint
from v2skit.models.build import build_targets
from v2skit.models.model import Model, Vocoder
from v2skit.recipes.recipe import Recipe
from v2skit.recipes.stored_streams import LONG, content_digest, store_stream
from v2skit.registry import plugins
from v2skit.registry.failure import failure
from v2skit.system.atomic import write_text
from v2skit.system.state_file import read_state

_REMEDY = "delete it; the next training stage makes it again"


def fit(recipe: Recipe) -> Targets:
    """The targets, fitted where that was not done; the first process does it. Raises UserError as :func:`load`."""
    if recipe.config.targets:
        if recipe.processes.first:
            load(recipe, fit=True)
        recipe.processes.gather(None, "while the first one fits targets", LONG)
    return load(recipe)


def store(recipe: Recipe, fitted: Targets, train: Iterable[str], valid: str) -> None:
    """Store the values of targets for data directories, where that was not done; the first process does it.

    Args:
        recipe: of the experiment.
        fitted: the targets.
        train: names of the training directories.
        valid: name of the directory for validation.

    Raises:
        UserError: a target can't be computed, or has no values for any training utterance; it is named.
    """
    if fitted.stored:
        if recipe.processes.first:
            for directory in map(recipe.data, [*train, valid]):
                for name, target in fitted.stored.items():
                    _store(recipe, fitted, name, target, directory)
        recipe.processes.gather(None, "while the first one computes targets", LONG)
        _check_not_empty(recipe, fitted, train)


def prepare_early(recipe: Recipe) -> None:
    """As :func:`fit` and :func:`store`, in stage 1, for what is trained or validated on.

    A target that can't be computed, e.g. since it needs what a later stage makes, is noted, and left to the training
    stages.
    """
    data = recipe.config.data
    names = dict.fromkeys([*data.pretrain, data.pretrain_valid, data.train, data.valid])
    directories = [recipe.data(name) for name in names if is_prepared(recipe.data(name))]
    for name in recipe.config.targets:
        try:
            fitted = load(recipe, fit=True, only=name)
            for directory in directories if name in fitted.stored else ():
                _store(recipe, fitted, name, fitted.stored[name], directory)
        except UserError as error:
            print(f"note: {error}; the training stages need it")


def load(recipe: Recipe, fit: bool = False, only: str | None = None) -> Targets:
    """The targets of a recipe with their fitted states.

    Args:
        recipe: of the experiment.
        fit: those that are not fitted yet, or whose training data have changed, are fitted now.
        only: name of the one that is loaded with its state; None: all.

    Raises:
        UserError: one can't be built or fitted, or a given pre-trained model's is of other settings.
    """
    built = build_targets(recipe.config).built
    given = _given_states(recipe)
    states = {}
    for name, target in built.items():
        if is_fitted(target) and only in (None, name):
            state = given.get(name) or _fitted_state(recipe, name, target, fit)
            if state is not None:
                states[name] = state
    return build_targets(recipe.config, states)


def stored_names(config: Config) -> list[str]:
    """Names of the streams that are computed once for each utterance."""
    return [name for name, choice in config.targets.items() if is_stored(plugins.class_of("target", choice))]


def check_tempos(config: Config) -> None:
    """Raises UserError where clips change their tempo in training and a stream does not: one that is computed once for
    each utterance, and has values on the clock."""
    if config.trains != "v2s" or set(config.augmentation.tempos) == {1.0}:
        return
    classes = {name: plugins.class_of("target", config.targets[name]) for name in stored_names(config)}
    found = [f"target '{name}'" for name, made in classes.items() if getattr(made, "rate", None) != "sequence"]
    found += ["the output of the predictor"] if config.predictor else []
    if found:
        key = "augmentation.tempos"
        raise UserError(
            f"{key}: {found[0]} is stored once for each utterance and can't change its tempo; leave {key} out", key=key
        )


def identities(targets: Targets) -> dict[str, Any]:
    """What identifies the targets in the record of a run; nothing where there are none."""
    return {"targets": targets.digests} if targets.digests else {}


def stored_streams(recipe: Recipe, targets: Targets, directory: Path) -> dict[str, StoredStream]:
    """The stored values for a data directory, by stream."""
    frames = open_index(directory).frames
    found = {n: StoredStream(_folder(recipe, targets, n, t, directory)) for n, t in targets.stored.items()}
    for stream in found.values():
        stream.check(frames)
    return found


def _check_not_empty(recipe: Recipe, targets: Targets, names: Iterable[str]) -> None:
    """Raises UserError where a target has no value for any utterance of the training directories."""
    directories = [recipe.data(name) for name in names]
    for name, target in targets.stored.items():
        streams = [StoredStream(_folder(recipe, targets, name, target, directory)) for directory in directories]
        if all(stream.is_empty() for stream in streams):
            why = getattr(target, "why_empty", "its values are empty, or all of them 0")
            raise UserError(
                f"target '{name}' has no values for any utterance of {', '.join(map(str, directories))}: {why}; "
                f"correct that, or leave it out with targets.{name}: null and what needs it",
                stream=name,
            )


def check_lengths(model: Model | Vocoder, training_set: SpeechDataset) -> Iterator[str]:
    """What heads of sequences have to say about the lengths in the training data.

    Raises:
        UserError: a head can't be trained with any of them.
    """
    heads: dict[str, Any] = dict(model.heads.items()) if isinstance(model, Model) else {}
    for name, head in heads.items():
        if hasattr(head, "check_lengths"):
            try:
                note = head.check_lengths(*training_set.sequences(head.outputs[0]))
            except UserError as error:
                raise UserError(f"networks.heads.{name}: {error}", **error.fields) from error
            if note:
                yield f"networks.heads.{name}: {note}"


def _given_states(recipe: Recipe) -> dict[str, dict]:
    """The states of a given pre-trained model, whose parts predict these targets; where that model was deleted after
    stage 3, those that stage 3 stored. Raises UserError where its targets have other settings."""
    given = recipe.config.pretrained
    if not given:
        return {}
    folder = recipe.exp / "transfer" / "init"
    if Path(given).exists():
        folder = checkpoint.folder_in(Path(given), "give the experiment of a recipe", "pretrain")
    elif not (folder / checkpoint.META).exists():
        return {}
    meta = checkpoint.read_meta(folder)
    theirs = meta.config.get("targets", {})
    for name, choice in recipe.config.targets.items():
        lazy = getattr(plugins.class_of("target", choice), "lazy", ())  # what they load has a digest in the state
        ours = {key: value for key, value in to_tree(choice).items() if key not in lazy}
        if name in meta.targets and ours != {k: v for k, v in theirs.get(name, {}).items() if k not in lazy}:
            raise UserError(
                f"target '{name}' has other settings in the pre-trained model {folder}; give targets.{name} the same "
                "settings in this config",
                stream=name,
            )
    return meta.targets


def _settings(recipe: Recipe, name: str, target: Any) -> dict:
    """What the values of a target depend on besides data and fitted state."""
    more = target.settings_digest() if hasattr(target, "settings_digest") else None
    config = recipe.config
    return {"target": identity(config.targets[name]), "clock": to_tree(config.clock), "mel": to_tree(config.mel)} | (
        {"more": more} if more else {}
    )


def _fitted_state(recipe: Recipe, name: str, target: Any, fit: bool) -> dict | None:
    """The state in the data folder; fitted anew where the data that it was fitted to have changed since."""
    names = sorted({*recipe.config.data.pretrain, recipe.config.data.train})
    key = state_digest([_settings(recipe, name, target), names])
    path = recipe.data_folder / FOLDER / f"{name}-{key}.json"
    found = read_state(path, _REMEDY)
    if not fit:
        return found and found.get("state")
    directories = {n: recipe.data(n) for n in names if is_prepared(recipe.data(n))}
    digests = {n: content_digest(directory) for n, directory in directories.items()}
    if found and found.get("fitted_to") == digests:
        return found.get("state")
    print(f"target '{name}' is fitted to {', '.join(map(str, directories.values()))}")
    try:
        state = target.fit(_fit_utterances(recipe, directories.values()))
    except UserError as error:
        where = ", ".join(map(str, directories.values()))
        raise UserError(f"target '{name}' can't be fitted to {where}: {error}", **error.fields) from error
    write_text(path, json.dumps({"state": state, "fitted_to": digests}) + "\n")
    return state


def _fit_utterances(recipe: Recipe, directories: Iterable[Path]) -> Iterator[FitUtterance]:
    for directory in directories:
        for utterance in open_index(directory):
            yield FitUtterance(utterance.id, utterance.text, partial(_waveform, recipe, utterance))


def _store(recipe: Recipe, targets: Targets, name: str, target: Any, directory: Path) -> None:
    """Compute a target for all utterances of a data directory, unless that is done."""
    index, with_audio = open_index(directory), getattr(target, "needs_audio", True)

    def values(number: int) -> np.ndarray:
        utterance = index[number]
        waveform = _waveform(recipe, utterance) if with_audio else np.zeros(0, np.float32)
        try:
            return compute(target, name, waveform, utterance.text)
        except Exception as error:  # the target of a plug-in may fail in any way
            message = f"{directory}: utterance '{utterance.id}': target '{name}': {failure(error)}"
            raise UserError(message, **getattr(error, "fields", {})) from error

    folder = _folder(recipe, targets, name, target, directory)
    store_stream(folder, directory, name, values, target.dtype, target.rate == "sequence")


def _folder(recipe: Recipe, targets: Targets, name: str, target: Any, directory: Path) -> Path:
    made_of = {**_settings(recipe, name, target), "state": targets.states.get(name), "data": content_digest(directory)}
    return directory / FOLDER / f"{name}-{state_digest(made_of)}"


def _waveform(recipe: Recipe, utterance: Utterance) -> np.ndarray:
    """The audio of an utterance, (N,) float32."""
    if utterance.audio is None:
        raise UserError(f"utterance '{utterance.id}' has no audio, which a target needs; prepare its directory again")
    clock = recipe.config.clock
    return read_audio(utterance.audio, clock.sample_rate, 0, utterance.frames * clock.samples_per_frame)
