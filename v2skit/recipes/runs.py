"""The folder of a run: whose it is, what it was made with, and whether it is finished."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from v2skit.config.load import check_config, flatten, to_tree
from v2skit.config.schema import Config, Training
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.system.atomic import write_text


def trained(
    config: Config, run: Path, settings: Training, stage: str, depends: str, made_from: dict | None = None
) -> Path:
    """The best checkpoint of a run; says so where the run is not finished. Raises UserError where there is none, or it
    was made with another config or from something else (``depends`` as the name in :func:`check_made_with`)."""
    check_made_with(config, run, depends, made_from)
    newest = checkpoint.latest(run)
    if newest is None:
        raise UserError(f"{run} has no checkpoint; {stage} makes it")
    step = checkpoint.read_meta(newest).step
    if step < settings.steps:
        print(f"note: {run} is at step {step} of {settings.steps}; {stage} goes on with it")
    return checkpoint.best(run) or newest


# What a stage's output depends on, by prefix of the dotted key; other keys may change without making it anew.
_MODEL = ("trains", "seed", "clock", "mel", "networks.speaker", "networks.encoder", "networks.decoder", "networks.bn")
_VOCODER = ("trains", "seed", "clock", "mel", "vocoder", "losses")
_V2A = (*_MODEL, "networks.visual_frontend", "losses", "finetune", "data.train", "data.valid", "crop", "augmentation")
_DEPENDS = {
    "pretrain": (*_MODEL, "networks.audio_frontend", "losses", "pretrain", "data.pretrain"),
    "transfer": (*_MODEL, "networks.visual_frontend", "transfer"),
    "finetune": (*_V2A, "transfer"),
    "scratch": _V2A,
    "vocoder": (*_VOCODER, "pretrain", "data.pretrain"),
    "vocoder_finetune": (*_VOCODER, "finetune", "predictor", "data.train", "crop"),
}
_OF_THE_MACHINE = ("workers", "cache_mb", "log_every", "checkpoint_every", "rank_timeout_seconds")
_MACHINE = {f"{stage}.{key}" for stage in ("pretrain", "finetune") for key in _OF_THE_MACHINE}
CONFIG = "config.yaml"
_DATA = "made_from.data."


def _completed(tree: dict) -> dict:
    """A run's config with the defaults of what has become configurable since it was made."""
    made_from = {"made_from": tree["made_from"]} if "made_from" in tree else {}
    try:
        config = check_config({key: value for key, value in tree.items() if key != "made_from"})
    except UserError:  # it names what is no longer there, and so it differs
        return tree
    return {**to_tree(config), **made_from}


def check_made_with(config: Config, run: Path, name: str, made_from: dict | None = None) -> None:
    """Compare a run's folder with what would be made now.

    Args:
        config: of the experiment.
        run: the folder.
        name: ``pretrain``, ``transfer``, ``finetune``, ``scratch``, ``vocoder`` or ``vocoder_finetune``.
        made_from: what else the run depends on, beside the config; what is not in it is not compared.

    Raises:
        UserError: the folder was made with another config or from something else.
    """
    path = run / CONFIG
    if not path.exists():
        return
    made = flatten(_completed(yaml.safe_load(path.read_text(encoding="utf-8"))))
    made_from = made_from or {}
    now = flatten({**to_tree(config), "made_from": made_from})
    prefixes = (*_DEPENDS[name], *(f"made_from.{key}" for key in made_from))
    keys = sorted(k for k in {*made, *now} if k not in _MACHINE and any(f"{k}.".startswith(f"{p}.") for p in prefixes))
    differs = [_difference(k, made.get(k), now.get(k)) for k in keys if made.get(k) != now.get(k)]
    if differs:
        raise UserError(
            f"{run} was made with another config or data ({'; '.join(differs)}); "
            "give another --exp, or --force to do that stage anew"
        )


def _difference(key: str, made: object, now: object) -> str:
    if key.startswith(_DATA) and made and now:
        return f"{key.removeprefix(_DATA)} has other utterances or files now"
    if key == "made_from.digest" and made and now:
        return "the pre-trained model is another one now"
    return f"{key}: {made} there, {now} now"


def start(config: Config, run: Path, made_from: dict, force: bool) -> None:
    """Claim a run's folder, once nothing speaks against starting; ``force`` empties it."""
    if force:
        shutil.rmtree(run, ignore_errors=True)
    tree = {**to_tree(config), "made_from": made_from}
    write_text(run / CONFIG, yaml.safe_dump(tree, sort_keys=False))
