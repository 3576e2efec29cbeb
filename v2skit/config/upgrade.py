"""Configs that version 0.1 stored, in checkpoints, packs and run folders -> configs of this version."""

from __future__ import annotations

from typing import Any

RENAMED = {"critics": "discriminators", "learn_steps": "discriminator_steps"}
"""Arguments of the loss ``adversarial`` in version 0.1 -> their names now."""


def upgrade(tree: Any) -> Any:
    """A stored plain tree with today's keys; one that has them already stays as it is.

    A user's own YAML files are not upgraded: there the old key is an error that suggests the new one.
    """
    if not isinstance(tree, dict) or not isinstance(tree.get("losses"), dict):
        return tree
    losses = {
        name: {RENAMED.get(key, key): value for key, value in loss.items()}
        if isinstance(loss, dict) and loss.get("type") == "adversarial"
        else loss
        for name, loss in tree["losses"].items()
    }
    return {**tree, "losses": losses}
