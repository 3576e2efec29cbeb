"""The config of a checkpoint or pack, without what its model does not need: losses, scores, corpora and the tracker.

They are kept where they can be used. Their code may also be missing, as that of a recipe's plug-in file in another
process is; then they are left out, since the model runs without them.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from v2skit.config.check import check
from v2skit.config.load import check_config, to_tree
from v2skit.config.plugin_files import KEY, needed, stored_files
from v2skit.config.schema import Config
from v2skit.config.upgrade import upgrade
from v2skit.errors import UserError
from v2skit.registry import direct, plugins
from v2skit.registry.component import Component, Term
from v2skit.registry.files import PluginFile
from v2skit.registry.trust import check_trusted

VOCODER = "vocoder"
MODEL = ("networks", "targets", VOCODER)
"""Sections with the components of a model."""
NO_CORPUS = {"type": "mini"}
"""In place of a corpus, which every config has."""
UNAVAILABLE = ""
"""Origin of a tracker that can't be used."""


def model_sections(config: Config) -> list[Any]:
    """The sections of a config with the components of its model."""
    return [getattr(config, name) for name in MODEL]


def model_tree(tree: dict, origins: Container[str]) -> dict:
    """The same sections of a stored config, with the plug-in files that their components come from.

    Args:
        tree: the config.
        origins: the plug-ins of these components.
    """
    return {key: value for key, value in needed(tree, origins).items() if key in (*MODEL, KEY)}


def usable_config(tree: dict, origins: Container[str], source: str) -> Config:
    """A stored config, checked; what its model does not need is left out where it can't be used.

    Args:
        tree: the config.
        origins: the plug-ins of its model's components.
        source: name of the config, for messages.

    Raises:
        UserError: a key, a value or a component of the model is unknown, or would run code that is not trusted.
    """
    model = model_tree(tree, origins)
    files = stored_files(model, source)
    check_trusted(files, direct.paths(model), source)
    others = [file for file in stored_files(tree, source) if file not in files and _trusted(source, [file])]
    if others and _runs([*files, *others]):
        files += others
    with plugins.using(files):
        kept = without_unusable(tree, lambda paths: _trusted(source, paths=paths))
    stored = {**kept, KEY: to_tree(files)} if KEY in tree else kept
    config = check_config(stored, source)
    if _chosen(tree.get("tracker")) == _chosen(kept.get("tracker")):
        return config
    missing = Component(_chosen(tree["tracker"]), {}, origin=UNAVAILABLE, kind="tracker")
    return replace(config, tracker=missing)


def packable_tree(tree: dict) -> dict:
    """A stored config for a pack, which runs no plug-in file and no class that a config names by its path, and does not
    tell where on a machine its data and runs were: of absolute paths the last part is kept, except in the sections that
    build its networks; its vocoder is built from the pack's header.

    Args:
        tree: the config; its model's components are of v2skit and of installed plug-ins.
    """
    kept = without_unusable({**tree, **({KEY: []} if KEY in tree else {})}, lambda paths: not paths)
    if _chosen(tree.get("tracker")) != _chosen(kept.get("tracker")):  # its name, for who has to name another
        kept["tracker"] = {"type": _chosen(tree["tracker"]).replace(":", ".")}
    return {key: value if key in MODEL and key != VOCODER else _without_folders(value) for key, value in kept.items()}


def _without_folders(value: Any) -> Any:
    """A part of a config with the last part of each absolute path."""
    if isinstance(value, dict):
        return {key: _without_folders(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_without_folders(entry) for entry in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def check_available(tracker: Component) -> None:
    """Raises UserError where the tracker of a model's training can't be used here."""
    if tracker.origin == UNAVAILABLE:
        raise UserError(
            f"tracker '{tracker.type}' of the model's training can't be used: it is of a plug-in that is not here or "
            "not trusted; name another one (--tracker), or where it is saved with the model give --trust-plugins",
            tracker=tracker.type,
        )


def without_unusable(tree: dict, allowed: Callable[[list[str]], bool]) -> dict:
    """A stored config without the losses, scores, corpora and tracker that can't be used with the plug-ins in use.

    Args:
        tree: the config.
        allowed: whether the classes at paths may be used.
    """
    tree = upgrade(tree)

    def usable(choice: Any, kind: str, make: type[Component] = Component) -> bool:
        if choice is None:
            return True
        if not allowed(direct.paths(choice)):
            return False
        with suppress(UserError):
            check(choice, Annotated[make, kind], kind)
            return True
        return False

    found = dict(tree)
    if isinstance(losses := tree.get("losses"), dict):
        found["losses"] = {name: choice for name, choice in losses.items() if usable(choice, "loss", Term)}
    if isinstance(scoring := tree.get("scoring"), dict) and isinstance(metrics := scoring.get("metrics"), dict):
        found["scoring"] = {
            **scoring,
            "metrics": {name: choice for name, choice in metrics.items() if usable(choice, "metric")},
            "asr": scoring.get("asr") if usable(scoring.get("asr"), "asr") else None,
        }
    for key, kind, otherwise in (
        ("corpus", "corpus", NO_CORPUS),
        ("audio_corpus", "corpus", None),
        ("tracker", "tracker", {"type": "none"}),
    ):
        if key in tree and not usable(tree[key], kind):
            found[key] = otherwise
    return found


def _chosen(tracker: Any) -> Any:
    return tracker.get("type") if isinstance(tracker, dict) else None


def _trusted(source: str, files: Iterable[PluginFile] = (), paths: Iterable[str] = ()) -> bool:
    with suppress(UserError):
        check_trusted(files, paths, source)
        return True
    return False


def _runs(files: list[PluginFile]) -> bool:
    with suppress(UserError), plugins.using(files):
        return True
    return False
