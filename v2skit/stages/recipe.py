"""What every stage is given, and what several of them do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from v2skit.build import build
from v2skit.config import to_tree
from v2skit.data.dataset import SpeechDataset
from v2skit.data.manifest import read_settings
from v2skit.model import Model, Vocoder
from v2skit.settings import Config, Training
from v2skit.synth import check_prepared, speech_folder


@dataclass(frozen=True)
class Recipe:
    """A recipe's folders and config.

    Args:
        config: checked.
        work_dir: the recipe's folder.
        exp: folder of the experiment: ``pretrain/``, ``finetune/``, ``scratch/``, ``synth/``, results.
        force: do the stage again though it is finished, from the start.
        device: where models run.
    """

    config: Config
    work_dir: Path
    exp: Path
    force: bool
    device: torch.device

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

    def build_corpora(self) -> list[Any]:
        """The corpus, and the audio-only one where there is one."""
        choices = [self.config.corpus, self.config.audio_corpus]
        return [build("corpus", choice, work_dir=self.work_dir) for choice in choices if choice]

    def digests(self, directories: list[Path], with_video: bool) -> dict[str, str | None]:
        """Name -> digest of data directories. Raises UserError where one was prepared with other settings."""
        for directory in directories:
            check_prepared(self.config, directory, with_video)
        return {d.name: digest(d) for d in directories}

    def dataset(self, directories: list[Path], model: Model | Vocoder, settings: Training, training: bool) -> SpeechDataset:
        """The clips of data directories, with what the model takes."""
        return SpeechDataset(
            directories,
            [model.speaker.reader(d) for d in directories],
            self.config.clock,
            with_video=model.takes == "video",
            augmentation=self.config.augmentation,
            training=training,
            segment_frames=settings.segment_frames,
            seed=self.config.seed,
            cache_mb=settings.cache_mb,
        )

    def speech(self, row: str, source: dict) -> Path:
        """The folder for a row's speech, emptied where it was made from another source or ``force`` is given."""
        out = self.exp / "synth" / row
        tree = to_tree(self.config)
        source = {**source, "clock": tree["clock"], "mel": tree["mel"], "data": digest(self.test)}
        speech_folder(out, source, self.force)
        return out


def digest(directory: Path) -> str | None:
    """Changes with the content of a prepared data directory."""
    return read_settings(directory).get("digest")


def say_next(stage: str) -> None:
    print(f"next: stage {stage}")
