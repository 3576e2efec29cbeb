"""Configs that earlier versions stored, in checkpoints, packs and run folders -> configs of this version."""

from __future__ import annotations

from typing import Any

from v2skit.errors import UserError

RENAMED = {"critics": "discriminators", "learn_steps": "discriminator_steps"}
"""Arguments of the loss ``adversarial`` in version 0.1 -> their names now."""
FORMER_LOSS = {name: {"range_db": None} for name in ("power", "mfcc", "multi_resolution_stft")}
"""Loss component -> the arguments that it lacked in earlier versions, with the values that it had then."""
FORMER_SPEAKER = {"d_vector": {"dropout": 0.0, "scale": 1.0}}
"""The same of speaker components."""
DROPPED_CORPUS = {"grid": {"train_share": 1.0}}
"""Corpus -> the arguments that it has no longer, with the values that mean what it does without them."""


def upgrade(tree: Any) -> Any:
    """A stored plain tree with today's keys; one that has them already stays as it is.

    A user's own YAML files are not upgraded: there the old key is an error that suggests the new one.
    """
    if not isinstance(tree, dict):
        return tree
    sections = {"losses": _losses, "networks": _networks, "corpus": _corpus}
    return {**tree, **{key: of(tree[key]) for key, of in sections.items() if isinstance(tree.get(key), dict)}}


def check_dropped(tree: dict, source: str) -> None:
    """Raises UserError where a stored tree has an argument that exists no longer, with a value that has another means
    now."""
    corpus = tree.get("corpus")
    if isinstance(corpus, dict) and corpus.get("type") == "grid" and corpus.get("train_share", 1.0) != 1.0:
        raise UserError(
            f"{source}: corpus.train_share {corpus['train_share']} is of an earlier version; train again on a share "
            "that `v2skit data subset` writes, with data.train=NAME",
            key="corpus.train_share",
            source=source,
        )


def _losses(losses: dict) -> dict:
    return {
        name: {RENAMED.get(key, key): value for key, value in loss.items()}
        if isinstance(loss, dict) and loss.get("type") == "adversarial"
        else _with_former(loss, FORMER_LOSS)
        for name, loss in losses.items()
    }


def _networks(networks: dict) -> dict:
    if "speaker" not in networks:
        return networks
    speaker = _with_former(networks["speaker"], FORMER_SPEAKER)
    # Without an embedding, earlier versions ignored this key.
    ignored = isinstance(speaker, dict) and speaker.get("type") == "none" and "decoder_speaker" in networks
    return {**networks, "speaker": speaker, **({"decoder_speaker": False} if ignored else {})}


def _corpus(corpus: dict) -> dict:
    dropped = DROPPED_CORPUS.get(corpus["type"], {}) if isinstance(corpus.get("type"), str) else {}
    return {key: value for key, value in corpus.items() if key not in dropped or value != dropped[key]}


def _with_former(component: Any, former: dict[str, dict]) -> Any:
    """A component's tree with the arguments that its type lacked in earlier versions."""
    if not isinstance(component, dict) or not isinstance(component.get("type"), str):
        return component
    return {**former.get(component["type"], {}), **component}
