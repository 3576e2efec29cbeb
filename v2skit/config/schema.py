"""The sections of a config: every key, its type and its default.

Types are checked where a config is read, by :mod:`v2skit.config.check`; numbers and rules that join several keys in
``__post_init__``, since code makes some sections too. An error of one key has it as ``key``, and begins with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from v2skit.config.features import Clock, Crop, Mel
from v2skit.errors import UserError
from v2skit.registry.component import Component, Term


def _check(settings: Any, **limits: tuple[float, float]) -> None:
    """Raises UserError where a number is outside its limits, or is none. (pydantic's limits name only the one that is
    crossed.)"""
    for key, (low, high) in limits.items():
        value = getattr(settings, key)
        if value is not None and not low <= value <= high:
            raise UserError(f"{key} must lie in {low:g}..{high:g}, not {value}", key=key)


@dataclass(frozen=True)
class Data:
    """Data directories, by name.

    Args:
        folder: they are in it, below the recipe's; another clock or crop needs another one.
        pretrain: audio for pre-training.
        pretrain_valid: audio for its validation.
        train: audio-visual, for fine-tuning.
        valid: audio-visual, for its validation.
        test: what is synthesised and scored.
    """

    folder: str = "data"
    pretrain: list[str] = field(default_factory=lambda: ["audio"])
    pretrain_valid: str = "valid"
    train: str = "train"
    valid: str = "valid"
    test: str = "test"


@dataclass(frozen=True)
class Filters:
    """What is left out of audio for pre-training; null: no limit.

    Args:
        min_seconds: shorter utterances.
        max_seconds: longer ones.
        max_clipped_share: of the samples, see :func:`v2skit.preparation.quality.clipped_share`.
        max_silence_share: of the time.
        min_rms_dbfs: quieter ones, dB below full scale.
    """

    min_seconds: float | None = None
    max_seconds: float | None = None
    max_clipped_share: float | None = None
    max_silence_share: float | None = None
    min_rms_dbfs: float | None = None

    def __post_init__(self) -> None:
        _check(self, min_seconds=(0, 1e6), max_seconds=(0, 1e6), max_clipped_share=(0, 1), max_silence_share=(0, 1))
        _check(self, min_rms_dbfs=(-200, 0))
        least, most = self.min_seconds, self.max_seconds
        if least is not None and most is not None and least > most:
            raise UserError(f"min_seconds {least:g} is above max_seconds {most:g}", key="min_seconds")


@dataclass(frozen=True)
class Prepare:
    """Preparation.

    Args:
        jobs: how many at once; 0: one a core of this machine.
        max_failed_share: more excluded files are an error.
        filters: what is left out of audio for pre-training.
        cluster: ``local``: jobs are processes of this machine; ``slurm``: a job array.
        slurm: options of sbatch for these, such as ``partition``, ``time`` (minutes), ``mem``.
    """

    jobs: int = 0
    max_failed_share: float = 0.05
    filters: Filters = Filters()
    cluster: Literal["local", "slurm"] = "local"
    slurm: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(self, jobs=(0, 10_000), max_failed_share=(0, 1))
        if self.cluster == "slurm" and not self.jobs:
            raise UserError("jobs must say how many jobs go to slurm, e.g. --nj 32", key="jobs")


@dataclass(frozen=True)
class Augmentation:
    """Of the mouth crops in training (SVTS, Mira et al. 2022).

    Args:
        crop: side of the square cut from the stored crop, pixels: at random in training, central otherwise.
        flip: probability of a mirrored clip.
        erase: probability of an erased rectangle, at one place through the clip.
        erase_area: its share of the picture, from and to.
        erase_ratio: its aspect ratio, from and to.
        time_mask_seconds: longest run of frames replaced by the clip's mean; one such run a second.
    """

    crop: int = 88
    flip: float = 0.5
    erase: float = 0.5
    erase_area: list[float] = field(default_factory=lambda: [0.02, 0.33])
    erase_ratio: list[float] = field(default_factory=lambda: [0.3, 3.3])
    time_mask_seconds: float = 0.4

    def __post_init__(self) -> None:
        _check(self, crop=(8, 10_000), flip=(0, 1), erase=(0, 1), time_mask_seconds=(0, 1))
        for name, low, high in (("erase_area", 0, 1), ("erase_ratio", 0, 100)):
            limits = getattr(self, name)
            if len(limits) != 2 or not low < limits[0] <= limits[1] <= high:
                raise UserError(f"{name} takes two rising numbers above {low}, up to {high}, not {limits}", key=name)


@dataclass(frozen=True)
class Networks:
    """The parts of the model; A2A and V2A differ in the frontend alone. ``bn``: in all behind the frontend, batch
    normalisation has running statistics for audio and for video (``dual``) or the same for both (``shared``)."""

    visual_frontend: Annotated[Component, "visual_frontend"]
    audio_frontend: Annotated[Component, "audio_frontend"]
    speaker: Annotated[Component, "speaker"]
    encoder: Annotated[Component, "encoder"]
    decoder: Annotated[Component, "decoder"]
    bn: Literal["dual", "shared"] = "dual"


@dataclass(frozen=True)
class Training:
    """One training run.

    Args:
        steps: optimiser steps.
        batch_frames: budget of a batch, video frames with padding; clips of like length share a batch.
        segment_frames: longer clips are cut to a random segment of this many video frames; null: whole clips.
        learning_rate: at the end of the warm-up.
        warmup_share: share of the steps with a rising learning rate; a cosine to zero follows.
        betas: of AdamW.
        weight_decay: of AdamW, on matrices and kernels only.
        clip_norm: of the gradient.
        accumulate: batches an optimiser step, shared by the processes that train together.
        ema_decay: of the averaged weights that are validated and synthesise; 0: none.
        precision: ``float32``, ``bfloat16`` (autocast), or ``auto``: bfloat16 where the device has it.
        workers: data-loading processes.
        cache_mb: memory for decoded clips in each of them, MB.
        log_every: steps.
        checkpoint_every: steps.
        validate_every: steps; a validation is followed by a checkpoint.
        rank_timeout_seconds: how long several processes wait for one that does not come.
    """

    steps: int = 1000
    batch_frames: int = 800
    segment_frames: int | None = 50
    learning_rate: float = 1e-3
    warmup_share: float = 0.1
    betas: list[float] = field(default_factory=lambda: [0.9, 0.98])
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    accumulate: int = 1
    ema_decay: float = 0.99
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    workers: int = 1
    cache_mb: int = 1000
    log_every: int = 20
    checkpoint_every: int = 200
    validate_every: int = 200
    rank_timeout_seconds: float = 300.0

    def __post_init__(self) -> None:
        counts = ("steps", "batch_frames", "accumulate", "log_every", "checkpoint_every", "validate_every")
        _check(self, **dict.fromkeys(counts, (1, 1e12)))
        _check(self, learning_rate=(0, 1e3), warmup_share=(0, 1), weight_decay=(0, 1e3), clip_norm=(1e-12, 1e12))
        _check(self, ema_decay=(0, 1), workers=(0, 1000), cache_mb=(0, 1e9), rank_timeout_seconds=(1, 1e6))
        if self.segment_frames is not None and not 0 < self.segment_frames <= self.batch_frames:
            limits = f"1..batch_frames ({self.batch_frames})"
            raise UserError(f"segment_frames {self.segment_frames} must lie in {limits}", key="segment_frames")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise UserError(f"betas takes two numbers from 0 to below 1, not {self.betas}", key="betas")


@dataclass(frozen=True)
class PartTransfer:
    """What happens to a part that moves from A2A to V2A.

    Args:
        frozen_steps: first V2A steps in which its weights do not move (its batch statistics do).
        learning_rate_factor: on its learning rate after that.
    """

    frozen_steps: int = 0
    learning_rate_factor: float = 1.0

    def __post_init__(self) -> None:
        _check(self, frozen_steps=(0, 1e12), learning_rate_factor=(0, 1e6))


@dataclass(frozen=True)
class Scoring:
    """Scores of the test set. ``bootstrap``: resamples behind the 95 % intervals."""

    metrics: dict[str, Annotated[Component, "metric"]]
    asr: Annotated[Component, "asr"] | None = None
    bootstrap: int = 10000
    jobs: int = 0

    def __post_init__(self) -> None:
        _check(self, bootstrap=(1, 1e7), jobs=(0, 10_000))


@dataclass(frozen=True)
class Config:
    """A whole experiment.

    Args:
        trains: ``v2s``: A2A, then V2A; or ``vocoder``: the vocoder on mels of plain audio.
        scratch: also fine-tune without transfer, for the comparison.
        pretrained: folder of a finished A2A run or of its experiment, from where the command runs, such as an audio
            recipe's: stage 3 moves that model's parts, and stage 2 has nothing to do.
        predictor: folder of a finished V2A run, from where the command runs, for ``trains: vocoder``: the vocoder is
            then fine-tuned on the mels that this model predicts.
    """

    corpus: Annotated[Component, "corpus"]
    networks: Networks
    losses: dict[str, Annotated[Term, "loss"]]
    vocoder: Annotated[Component, "vocoder"]
    scoring: Scoring
    transfer: dict[str, PartTransfer]
    audio_corpus: Annotated[Component, "corpus"] | None = None
    tracker: Annotated[Component, "tracker"] = Component("none", {}, kind="tracker")
    seed: int = 1
    clock: Clock = Clock()
    mel: Mel = Mel()
    crop: Crop = Crop()
    data: Data = Data()
    prepare: Prepare = Prepare()
    augmentation: Augmentation = Augmentation()
    pretrain: Training = Training()
    finetune: Training = Training()
    trains: Literal["v2s", "vocoder"] = "v2s"
    scratch: bool = True
    pretrained: str | None = None
    predictor: str | None = None

    def __post_init__(self) -> None:
        _check(self, seed=(0, 2**31))
        if self.predictor is not None and self.trains != "vocoder":
            message = "predictor: only a vocoder (trains: vocoder) is fine-tuned on another model's mels"
            raise UserError(message, key="predictor")
        if self.pretrained is not None and self.trains != "v2s":
            raise UserError("pretrained: a vocoder has nothing to transfer; leave it out", key="pretrained")
        self.mel.per_frame(self.clock)
        for name, term in self.losses.items():
            if not math.isfinite(term.weight):
                key = f"losses.{name}.weight"
                raise UserError(f"{key}: {term.weight} is no weight", key=key)
        if not self.losses:
            raise UserError("losses: at least one loss is needed", key="losses")
        unknown = self.transfer.keys() - {"speaker", "encoder", "decoder"}
        if unknown:
            key = f"transfer.{min(unknown)}"
            raise UserError(f"{key}: no such part; parts that can move: speaker, encoder, decoder", key=key)
        if self.augmentation.crop > self.crop.size:
            key = "augmentation.crop"
            raise UserError(f"{key} {self.augmentation.crop} is larger than crop.size {self.crop.size}", key=key)
