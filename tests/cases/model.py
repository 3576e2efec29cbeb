"""A tiny untrained model: the cases test everything before and after the networks."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.conftest import TINY
from v2skit.config.load import load_config
from v2skit.models import checkpoint
from v2skit.models.build import build_model
from v2skit.models.checkpoint import Checkpoint, new_meta


def untrained_run(folder: Path, tracker: str = "none", crop: dict | None = None, task: str = "v2a", **networks) -> Path:
    """A V2A or A2A run whose decoder has mel output, for talkers ``s0`` and ``s1``.

    Args:
        folder: where the run is written.
        tracker: of the model's training.
        crop: settings of the mouth crops other than the default.
        task: ``v2a`` or ``a2a``.
        networks: replace some of the tiny networks of the config.
    """
    path = folder / "tiny.yaml"
    changes = {"tracker": {"type": tracker}, "crop": crop or {}, "networks": {**TINY["networks"], **networks}}
    path.write_text(yaml.safe_dump({**TINY, **changes}))
    config, speakers = load_config(path), ["s0", "s1"]
    model, run = build_model(config, task, speakers), folder / {"v2a": "finetune", "a2a": "pretrain"}[task]
    checkpoint.save(Checkpoint(new_meta(config, task, speakers), model.state_dict()), checkpoint.folder_of(run, 1))
    return run
