"""The sections of a config: every key, its type and its default.

Types are checked where a config is read, by :mod:`v2skit.config.check`; numbers and rules that join several keys in
``__post_init__``, since code makes some sections too. An error of one key has it as ``key``, and begins with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

from v2skit.config import defaults
from v2skit.config.augmentation import Augmentation
from v2skit.config.corruption import Corruption, check_corruption
from v2skit.config.features import Clock, Crop, Mel
from v2skit.config.limits import check_range
from v2skit.config.parts import Part, PartTransfer, check_parts
from v2skit.config.prepare import Prepare
from v2skit.config.scoring import Scoring
from v2skit.errors import UserError
from v2skit.registry.component import Component, HeadChoice, Term
from v2skit.registry.files import PluginFile

BUILT_IN_STREAMS = ("video", "waveform", "mel")
"""Streams that batches have without a target."""
MACHINE = ("workers", "cache_mb", "log_every", "checkpoint_every", "rank_timeout_seconds")
"""Keys of a training run without an effect on the trained weights."""
LOGGED = ("step", "kind", "total", "gradient_norm", "learning_rate", "seconds_per_step", "waiting_share")
"""What a run's log has in addition to the losses."""


@dataclass(frozen=True)
class Data:
    """Names of the data directories.

    Args:
        folder: folder of the data directories, in the recipe's folder; another clock or crop needs another folder.
        pretrain: audio for pre-training.
        pretrain_valid: audio for the validation of pre-training.
        train: audio-visual, for fine-tuning.
        valid: audio-visual, for the validation of fine-tuning.
        test: audio-visual, for synthesis and scores.

    Raises:
        UserError: a name is empty, or there is none for pre-training.
    """

    folder: str = "data"
    pretrain: list[str] = field(default_factory=lambda: ["audio"])
    pretrain_valid: str = "valid"
    train: str = "train"
    valid: str = "valid"
    test: str = "test"

    def __post_init__(self) -> None:
        if not self.pretrain:
            raise UserError("pretrain: at least one data directory is needed, e.g. [train]", key="pretrain")
        for key, value in vars(self).items():
            if not all(name.strip() for name in ([value] if isinstance(value, str) else value)):
                raise UserError(f"{key}: a name of a data directory is empty", key=key)


@dataclass(frozen=True)
class Networks:
    """The parts of the model; A2A and V2A differ only in the frontend.

    Args:
        visual_frontend: mouth crops -> features at the video frame rate, for V2A.
        audio_frontend: mel or waveform -> features at the video frame rate, for A2A.
        speaker: speaker embedding, concatenated to the features of the frontend.
        decoder_speaker: the decoder's input has it as well; needs a speaker component with an embedding.
        encoder: temporal context.
        decoder: features -> mel, waveform or another stream, which the vocoder then needs as its input.
        heads: by name, predictions of further streams from the features of frontend or encoder, in training.
        bn: running statistics of batch normalisation in encoder and decoder: ``dual``, separate ones for audio and
            video, or ``shared``.
    """

    visual_frontend: Annotated[Component, "visual_frontend"]
    audio_frontend: Annotated[Component, "audio_frontend"]
    speaker: Annotated[Component, "speaker"]
    encoder: Annotated[Component, "encoder"]
    decoder: Annotated[Component, "decoder"]
    decoder_speaker: bool = False
    heads: dict[str, Annotated[HeadChoice, "head"]] = field(default_factory=dict)
    bn: Literal["dual", "shared"] = "dual"


@dataclass(frozen=True)
class Training:
    """One training run.

    Args:
        steps: optimiser steps.
        batch_frames: largest size of a batch, video frames including padding; clips of similar length share a batch.
        segment_frames: length of the random segments of longer clips, video frames; null: whole clips.
        learning_rate: peak learning rate, at the end of the warm-up.
        warmup_share: share of the steps with linear warm-up; cosine decay to zero follows.
        betas: betas of AdamW.
        weight_decay: weight decay of AdamW, of matrices and convolution kernels: not of biases, norms and embeddings.
        clip_norm: largest norm of the gradient.
        accumulate: batches an optimiser step, distributed over the processes.
        ema_decay: decay of the moving average of the weights after n steps, at most (1 + n) / (10 + n); 0: no average.
        precision: ``float32``, ``bfloat16`` (autocast), or ``auto``: bfloat16 where the device supports it.
        workers: number of data-loading processes.
        cache_mb: memory for decoded clips in each data-loading process, MB.
        log_every: steps between log entries.
        checkpoint_every: steps between checkpoints.
        validate_every: steps between validations; each is followed by a checkpoint.
        best_checkpoint_metric: name of the validation loss, as in the log, whose lowest value selects the best
            checkpoint, e.g. ``l1``; null: ``total``, the weighted sum.
        rank_timeout_seconds: timeout of the communication between processes, s.
        corruption: corruption of the input, for A2A pre-training only; null: none.

    Raises:
        UserError: a number is out of range.
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
    ema_decay: float = 0.999
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    workers: int = 1
    cache_mb: int = 1000
    log_every: int = 20
    checkpoint_every: int = 200
    validate_every: int = 200
    best_checkpoint_metric: str | None = None
    rank_timeout_seconds: float = 300.0
    corruption: Corruption | None = None

    def __post_init__(self) -> None:
        counts = ("steps", "accumulate", "log_every", "checkpoint_every", "validate_every")
        check_range(self, **dict.fromkeys(counts, (1, 1e12)))
        check_range(self, batch_frames=(2, 1e12), segment_frames=(2, 1e12))  # batch normalisation needs two values
        check_range(self, learning_rate=(0, 1e3), warmup_share=(0, 1), weight_decay=(0, 1e3), clip_norm=(1e-12, 1e12))
        check_range(self, ema_decay=(0, 1), workers=(0, 1000), cache_mb=(0, 1e9), rank_timeout_seconds=(1, 1e6))
        if self.segment_frames is not None and not 0 < self.segment_frames <= self.batch_frames:
            limits = f"1..batch_frames ({self.batch_frames})"
            raise UserError(f"segment_frames {self.segment_frames} must lie in {limits}", key="segment_frames")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise UserError(f"betas must be two numbers from 0 to below 1, not {self.betas}", key="betas")


@dataclass(frozen=True)
class Config:
    """A whole experiment.

    Args:
        corpus: corpus of the experiment.
        networks: parts of the model.
        losses: losses by name, each with its weight.
        vocoder: from the decoder's stream to a waveform, where that is not one already.
        scoring: scores of the test set.
        transfer: the parts that are transferred from A2A to V2A, by name; with none, and without ``pretrained``, no A2A
            model is trained, and V2A starts from the initial weights of ``parts``.
        parts: initial weights and training of any part, by name: ``visual_frontend``, ``audio_frontend``, ``speaker``,
            ``encoder``, ``decoder``, ``heads``, ``heads.NAME``, a part of a frontend such as
            ``visual_frontend.audio``, or ``generator`` of a vocoder; ``model`` of a config file is all parts of V2A.
        targets: by the name of the stream, what losses compare streams with, other than mel and waveform.
        audio_corpus: additional corpus of audio for pre-training; null: none.
        tracker: tracker of the mouth, for the mouth crops.
        seed: seed of all random numbers.
        clock: rates of audio and video.
        mel: settings of the mel.
        crop: settings of the mouth crop.
        data: names of the data directories.
        prepare: preparation of the data directories.
        augmentation: of mouth crops and tempo, in training with video.
        pretrain: training run of A2A, or of the vocoder.
        finetune: training run of V2A, or of the vocoder on predicted mels.
        trains: ``v2s``: A2A, then V2A; or ``vocoder``: the vocoder, on mels of ground-truth audio.
        scratch: also train V2A without transfer, for comparison.
        pretrained: folder of a finished A2A run or experiment, relative to the working directory, e.g. of an audio
            recipe: stage 3 transfers its parts, and stage 2 is skipped. With ``trains: vocoder`` that of a vocoder,
            which stage 4 fine-tunes, e.g. with other losses.
        predictor: a finished V2A run or a pack: its path, relative to the working directory, or ``hf://owner/name``.
            With ``trains: vocoder`` the vocoder is fine-tuned on the mels that this model predicts; with
            ``trains: v2s`` they are an input of the visual frontend (``audiovisual``).
        predictor_folds: for ``trains: v2s``, in how many parts the training clips are divided: those of a part get the
            predictions of a model that is trained on the other parts; 0: those of the predictor, which was trained on
            them.
        loggers: where the logs of training runs go, by name; a config adds to these.
        plugins: plug-in files, added to those of the bases; paths are relative to the config that names them.

    Raises:
        UserError: the sections do not fit together.
    """

    corpus: Annotated[Component, "corpus"]
    networks: Networks
    losses: dict[str, Annotated[Term, "loss"]]
    vocoder: Annotated[Component, "vocoder"]
    scoring: Scoring
    transfer: dict[str, PartTransfer]
    parts: dict[str, Part] = field(default_factory=dict)
    targets: dict[str, Annotated[Component, "target"]] = field(default_factory=dict)
    audio_corpus: Annotated[Component, "corpus"] | None = None
    tracker: Annotated[Component, "tracker"] = Component("none", {}, kind="tracker")
    seed: int = 1
    clock: Clock = Clock()
    mel: Mel = Mel()
    crop: Crop = Crop()
    data: Data = Data()
    prepare: Prepare = Prepare()
    augmentation: Augmentation = field(default_factory=Augmentation)
    pretrain: Training = Training()
    finetune: Training = Training()
    trains: Literal["v2s", "vocoder"] = "v2s"
    scratch: bool = True
    pretrained: str | None = None
    predictor: str | None = None
    predictor_folds: int = 0
    loggers: dict[str, Annotated[Component, "logger"]] = field(default_factory=defaults.loggers)
    plugins: list[PluginFile] = field(default_factory=list)

    def __post_init__(self) -> None:
        check_range(self, seed=(0, 2**31))
        check_range(self, predictor_folds=(0, 100))
        if self.predictor_folds and (self.predictor is None or self.trains != "v2s" or self.predictor_folds == 1):
            message = "predictor_folds: 2 or more, for trains: v2s with a predictor; 0 without folds"
            raise UserError(message, key="predictor_folds")
        self.mel.per_frame(self.clock)
        check_corruption(self.trains, {"pretrain": self.pretrain.corruption, "finetune": self.finetune.corruption})
        for name, term in self.losses.items():
            if not math.isfinite(term.weight):
                key = f"losses.{name}.weight"
                raise UserError(f"{key}: {term.weight} is no weight", key=key)
            if name in LOGGED:
                key = f"losses.{name}"
                raise UserError(f"{key}: '{name}' is another column of the log; give the loss another name", key=key)
        for key in ("pretrained", "predictor"):
            if getattr(self, key) is not None and not getattr(self, key).strip():
                raise UserError(f"{key}: expected the path of a folder, not empty text; for none, write null", key=key)
        taken = sorted(self.targets.keys() & set(BUILT_IN_STREAMS))
        if taken:
            key = f"targets.{taken[0]}"
            raise UserError(f"{key}: every batch has '{taken[0]}' already; give the target another name", key=key)
        unknown = self.transfer.keys() - {"speaker", "encoder", "decoder", "heads"}
        if unknown:
            key = f"transfer.{min(unknown)}"
            raise UserError(f"{key}: no such part; parts that can move: speaker, encoder, decoder, heads", key=key)
        check_parts(self.trains, self.parts, self.transfer, self.pretrained is not None, self.networks.heads)
        if self.augmentation.crop > self.crop.size:
            key = "augmentation.crop"
            raise UserError(f"{key} {self.augmentation.crop} is larger than crop.size {self.crop.size}", key=key)

    @property
    def has_pretraining(self) -> bool:
        """Whether a V2A model starts from an A2A model."""
        return bool(self.transfer) or self.pretrained is not None
