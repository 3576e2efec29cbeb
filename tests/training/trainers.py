"""Trainers of tiny models."""

from __future__ import annotations

from pathlib import Path

import torch

from v2skit.config.parts import Part, model_name, parts_of
from v2skit.config.schema import Config
from v2skit.data.dataset import SpeechDataset
from v2skit.losses.total import Losses
from v2skit.models.build import build_model
from v2skit.training.distributed import Processes
from v2skit.training.trainer import Trainer


def trainer_of(
    config: Config,
    data: Path,
    run: Path,
    processes: Processes = Processes(),
    losses: Losses | None = None,
    resume: bool = True,
    task: str = "v2a",
) -> Trainer:
    """Trains V2A or A2A, with the decoder frozen for two steps, on the data directories ``train`` and ``valid``."""
    torch.manual_seed(0)
    model = build_model(config, task, ["s0", "s1"])
    settings = config.finetune if task == "v2a" else config.pretrain
    parts = {"decoder": Part(frozen="weights", frozen_steps=2), **parts_of(task, config.parts)}
    train_set, valid_set = (
        SpeechDataset(
            [data / split], [model.speaker.reader(data / split)], config.clock, task == "v2a", config.augmentation,
            split == "train", 12,
        )
        for split in ("train", "valid")
    )  # fmt: skip
    return Trainer(
        run, task, config, settings, model, train_set, valid_set, ["s0", "s1"], losses or Losses(config),
        {model_name(name): part for name, part in parts.items()}, torch.device("cpu"), resume, processes,
    )  # fmt: skip
