"""What every stage is given, and what several of them do."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from v2skit.config.load import flatten, to_tree
from v2skit.config.schema import Config, Training
from v2skit.data.data_dir import read_settings
from v2skit.data.dataset import SpeechDataset
from v2skit.models import checkpoint
from v2skit.models.model import Model, Vocoder
from v2skit.preparation.shards import finished
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.synthesis.synthesiser import check_prepared, speech_folder
from v2skit.training.distributed import Processes


@dataclass(frozen=True)
class Recipe:
    """A recipe's folders and config.

    Args:
        config: checked.
        work_dir: the recipe's folder.
        exp: folder of the experiment: ``pretrain/``, ``finetune/``, ``scratch/``, ``synth/``, results.
        force: do the stage again though it is finished, from the start.
        device: where models run.
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
        """Where the data directories are."""
        return self.work_dir / self.config.data.folder

    def data(self, name: str) -> Path:
        """A data directory by its name in the config."""
        return self.data_folder / name

    @property
    def test(self) -> Path:
        """The data directory that is synthesised and scored."""
        return self.data(self.config.data.test)

    def build_scorers(self) -> tuple[dict[str, Any], Any]:
        """The metrics, by name, and the recogniser or None."""
        metrics = {name: build("metric", choice) for name, choice in self.config.scoring.metrics.items()}
        grammar = self.build_corpora()[0].grammar()
        return metrics, build("asr", self.config.scoring.asr, grammar=grammar) if self.config.scoring.asr else None

    @property
    def corpora(self) -> list[Component]:
        """The corpus, and the audio-only one where there is one."""
        return [choice for choice in (self.config.corpus, self.config.audio_corpus) if choice]

    def build_corpora(self) -> list[Any]:
        """These, built."""
        return [build("corpus", choice, work_dir=self.work_dir) for choice in self.corpora]

    def digests(self, directories: list[Path], with_video: bool) -> dict[str, str | None]:
        """Name -> digest of data directories. Raises UserError where one was prepared with other settings."""
        for directory in directories:
            check_prepared(self.config, directory, with_video)
            differs = self._made_otherwise(directory)
            if differs:
                print(f"note: {directory} was made with other settings ({'; '.join(differs)}); stage 1 makes it anew")
        return {os.path.relpath(d, self.data_folder): digest(d) for d in directories}

    def _made_otherwise(self, directory: Path) -> list[str]:
        """What of its corpus and filters was set otherwise, if one of this recipe's corpora made a data directory."""
        made = read_settings(directory)
        type_ = made.get("corpus", {}).get("type")
        choice = next((corpus for corpus in self.corpora if corpus.type == type_), None)
        if choice is None or os.path.relpath(directory, self.data_folder).startswith(os.pardir):
            return []
        now = flatten({"corpus": corpus_settings(choice), "prepare.filters": to_tree(self.config.prepare.filters)})
        then = flatten({"corpus": made["corpus"], "prepare.filters": made.get("filters", {})})
        return [f"{k}: {then[k]} there, {v} now" for k, v in now.items() if k in then and then[k] != v]

    def trained_on(self, *names: str) -> dict:
        """Digests of the data directories that a run was trained on, to compare, of those that are here."""
        there = [self.data(name) for name in names if finished(self.data(name))]
        return {f"data.{os.path.relpath(d, self.data_folder)}": digest(d) for d in there}

    def dataset(
        self, directories: list[Path], model: Model | Vocoder, settings: Training, training: bool, augment: bool = True
    ) -> SpeechDataset:
        """The clips of data directories, with what the model takes."""
        return SpeechDataset(
            directories,
            [model.speaker.reader(d) for d in directories],
            self.config.clock,
            with_video=model.input == "video",
            augmentation=self.config.augmentation,
            training=training,
            segment_frames=settings.segment_frames,
            seed=self.config.seed,
            cache_mb=settings.cache_mb,
            augment=augment,
        )

    def made_of(self, row: Row) -> dict:
        """The record of what a row's speech is made from. Raises UserError where that is not there."""
        tree = to_tree(self.config)
        return {**row.source(), "clock": tree["clock"], "mel": tree["mel"], "data": digest(self.test)}

    def speech(self, name: str, row: Row) -> Path:
        """The folder for a row's speech, emptied where it was made from something else or ``force`` is given."""
        out = self.exp / "synth" / name
        speech_folder(out, self.made_of(row), self.force)
        return out


@dataclass(frozen=True)
class Row:
    """A row of the results.

    Args:
        source: what its speech is made from: digests of checkpoints, the vocoder. Raises UserError where that lacks.
        hears: made from the true sound, so clips without sound are not in it.
    """

    source: Callable[[], dict]
    hears: bool = False


def corpus_settings(corpus: Component) -> dict:
    """A corpus's settings, but for where it is and whether it is to be fetched."""

    def kept(tree: Any) -> Any:
        if not isinstance(tree, dict):
            return tree
        return {key: kept(value) for key, value in tree.items() if key not in ("corpus_dir", "download", "jobs")}

    return kept(to_tree(corpus))


def checkpoint_source(folder: Path) -> dict:
    """A checkpoint, for the record of what speech was made from."""
    return {"checkpoint": folder.name, "digest": checkpoint.digest(folder)}


def digest(directory: Path) -> str | None:
    """Changes with the content of a prepared data directory."""
    return read_settings(directory).get("digest")


def say_next(stage: str) -> None:
    """Print which stage follows."""
    print(f"next: stage {stage}")
