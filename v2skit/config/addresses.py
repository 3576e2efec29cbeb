"""Addresses of packed models on a hub in a config, in place of paths.

They are pinned where the config is read: with commit and file, they name the same weights at any time, and so do the
records of what is made with the config.
"""

from __future__ import annotations

from typing import Any

from v2skit.config.messages import origin_of
from v2skit.errors import UserError
from v2skit.hub.address import Address, is_address
from v2skit.hub.fetch import pinned
from v2skit.hub.installed import is_installed, named_model

KEYS = ("pretrained", "predictor", "init", "run")
"""Last parts of the keys that name a checkpoint, a run, an experiment or a pack; ``run`` is that of components."""


def pin(tree: Any, path: str, origins: dict[str, str], prefix: str = "") -> Any:
    """A config's tree with pinned addresses; the packs are fetched. Installed models keep their names.

    Args:
        tree: not checked yet.
        path: of the config.
        origins: of its keys.
        prefix: of the keys of this part of the tree, with a dot at its end.

    Raises:
        UserError: an address is malformed, or leads to no pack, or a model is not installed; names the key.
    """
    if isinstance(tree, list):
        return [pin(value, path, origins, f"{prefix}{number}.") for number, value in enumerate(tree)]
    if not isinstance(tree, dict):
        return tree
    found = {key: pin(value, path, origins, f"{prefix}{key}.") for key, value in tree.items()}
    for name, value in found.items():
        if name in KEYS and isinstance(value, str) and (is_address(value) or is_installed(value)):
            key = f"{prefix}{name}"
            try:
                if is_installed(value):
                    named_model(value)
                else:
                    found[name] = str(pinned(Address.parse(value)))
            except UserError as error:
                fields = {**error.fields, "key": key, "source": origin_of(key, path, origins)}
                raise UserError(f"{fields['source']}: {key}: {error}", **fields) from error
    return found
