"""The folder of a run: whose it is, what it was made with, and whether it is finished."""

from __future__ import annotations

import fcntl
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import yaml

from v2skit.config import flatten, to_tree
from v2skit.errors import UserError
from v2skit.settings import Config, Training
from v2skit.train import checkpoint


@contextmanager
def alone(run: Path) -> Iterator[None]:
    """Hold a run for this process. Raises UserError where another process has it."""
    run.parent.mkdir(parents=True, exist_ok=True)
    with (run.parent / f".{run.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"another process is training {run}; wait for it, or give another --exp") from error
        yield


def trained(run: Path, settings: Training, stage: str) -> Path:
    """The best checkpoint of a run. Raises UserError where there is none; says so where the run is not finished."""
    newest = checkpoint.latest(run)
    if newest is None:
        raise UserError(f"{run} has no checkpoint; {stage} makes it")
    step = checkpoint.read_meta(newest).step
    if step < settings.steps:
        print(f"note: {run} is at step {step} of {settings.steps}; {stage} goes on with it")
    return checkpoint.best(run)


# What a stage's output depends on, by prefix of the dotted key; other keys may change without making it anew.
_MODEL = ("seed", "clock", "mel", "networks.speaker", "networks.encoder", "networks.decoder")
_V2A = (*_MODEL, "networks.visual_frontend", "losses", "finetune", "data.train", "data.valid", "crop", "augmentation")
_DEPENDS = {
    "pretrain": (*_MODEL, "networks.audio_frontend", "losses", "pretrain", "data.pretrain"),
    "transfer": (*_MODEL, "networks.visual_frontend", "transfer"),
    "finetune": (*_V2A, "transfer"),
    "scratch": _V2A,
}
_MACHINE = (".workers", ".cache_mb", ".log_every", ".checkpoint_every")


def is_finished(config: Config, force: bool, run: Path, name: str, done: bool, made_from: dict) -> bool:
    """Whether a run is done. Starts its folder, or starts it anew with --force.

    Args:
        config: of the experiment.
        force: start anew.
        run: the folder.
        name: ``pretrain``, ``transfer``, ``finetune`` or ``scratch``.
        done: what is in the folder is complete.
        made_from: what else the run depends on, beside the config.

    Raises:
        UserError: the folder was made with another config or from something else.
    """
    if force:
        shutil.rmtree(run, ignore_errors=True)
        done = False
    now = {**to_tree(config), "made_from": made_from}
    path = run / "config.yaml"
    if path.exists():
        made, ours = flatten(yaml.safe_load(path.read_text(encoding="utf-8"))), flatten(now)
        prefixes = (*_DEPENDS[name], "made_from")
        keys = sorted(k for k in {*made, *ours} if k.startswith(prefixes) and not k.endswith(_MACHINE))
        differs = [f"{k}: {made.get(k)} there, {ours.get(k)} now" for k in keys if made.get(k) != ours.get(k)]
        if differs:
            raise UserError(
                f"{run} was made with another config ({'; '.join(differs)}); "
                "give another --exp, or --force to do this stage anew"
            )
    run.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(now, sort_keys=False), encoding="utf-8")
    return done
