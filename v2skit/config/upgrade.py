"""Configs that earlier versions stored, in checkpoints, packs and run folders -> configs of this version."""

from __future__ import annotations

from typing import Any

RENAMED = {"critics": "discriminators", "learn_steps": "discriminator_steps"}
"""Arguments of the loss ``adversarial`` in version 0.1 -> their names now."""
FORMER_SPEAKER = {"d_vector": {"dropout": 0.0, "scale": 1.0}}
"""Speaker component -> the arguments that it lacked in earlier versions, with the values that it had then."""


def upgrade(tree: Any) -> Any:
    """A stored plain tree with today's keys; one that has them already stays as it is.

    A user's own YAML files are not upgraded: there the old key is an error that suggests the new one.
    """
    if not isinstance(tree, dict):
        return tree
    sections = {"losses": _losses, "networks": _networks}
    return {**tree, **{key: of(tree[key]) for key, of in sections.items() if isinstance(tree.get(key), dict)}}


def _losses(losses: dict) -> dict:
    return {
        name: {RENAMED.get(key, key): value for key, value in loss.items()}
        if isinstance(loss, dict) and loss.get("type") == "adversarial"
        else loss
        for name, loss in losses.items()
    }


def _networks(networks: dict) -> dict:
    speaker = networks.get("speaker")
    if not isinstance(speaker, dict) or not isinstance(speaker.get("type"), str):
        return networks
    return {**networks, "speaker": {**FORMER_SPEAKER.get(speaker["type"], {}), **speaker}}
