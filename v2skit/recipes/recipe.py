"""An experiment of a recipe: its config and its folders, which every stage is given."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from v2skit.config.schema import Config
from v2skit.corpora.audio_corpus import AudioCorpus
from v2skit.errors import UserError
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

    def build_scorers(self) -> tuple[dict[str, Any], Any, dict[str, str]]:
        """The metrics, by name; the recogniser or None; and those left out, whose packages are not installed: name ->
        reason.

        Raises:
            UserError: one can't be built for another reason.
        """
        left_out: dict[str, str] = {}

        def built(kind: str, name: str, choice: Component, **given: Any) -> Any:
            try:
                return build(kind, choice, **given)
            except UserError as error:
                if "extra" not in error.fields:
                    raise
                left_out[name] = f"{error}; until then results are made without it"
                return None

        scoring = self.config.scoring
        metrics = {name: built("metric", name, choice) for name, choice in scoring.metrics.items()}
        asr = built("asr", "asr", scoring.asr, grammar=self.build_corpora()[0].grammar()) if scoring.asr else None
        return {name: metric for name, metric in metrics.items() if metric}, asr, left_out
