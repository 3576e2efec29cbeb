"""An experiment of a recipe: its config and its folders, which every stage is given."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from v2skit.config.schema import Config
from v2skit.corpora.audio_corpus import AudioCorpus
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.training.distributed import Processes


@dataclass(frozen=True)
class Recipe:
    """A recipe with one of its experiments.

    Args:
        config: of the experiment, checked.
        work_dir: the recipe's folder.
        exp: folder of the experiment: ``pretrain/``, ``finetune/``, ``scratch/``, ``synth/``, results.
        force: repeat a finished stage from its start.
        device: of the models.
        processes: that train together.
    """

    config: Config
    work_dir: Path
    exp: Path
    force: bool
    device: torch.device
    processes: Processes = Processes()

    @property
    def data_folder(self) -> Path:
        """The folder of the data directories."""
        return self.work_dir / self.config.data.folder

    def data(self, name: str) -> Path:
        """A data directory by its name in the config."""
        return self.data_folder / name

    @property
    def test(self) -> Path:
        """The data directory that is synthesised and scored."""
        return self.data(self.config.data.test)

    @property
    def corpora(self) -> list[Component]:
        """The corpus, and the audio-only one where there is one."""
        return [choice for choice in (self.config.corpus, self.config.audio_corpus) if choice]

    def build_corpora(self) -> list[Any]:
        """The same, built."""
        corpora = [build("corpus", choice, work_dir=self.work_dir) for choice in self.corpora]
        if self.config.audio_corpus and isinstance(corpora[-1], AudioCorpus):
            corpora[-1].info = dataclasses.replace(corpora[-1].info, key="audio_corpus")  # its options in messages
        return corpora

    def build_scorers(self) -> tuple[dict[str, Any], Any]:
        """The metrics, by name, and the recogniser or None."""
        metrics = {name: build("metric", choice) for name, choice in self.config.scoring.metrics.items()}
        grammar = self.build_corpora()[0].grammar()
        return metrics, build("asr", self.config.scoring.asr, grammar=grammar) if self.config.scoring.asr else None
