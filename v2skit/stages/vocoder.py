"""Stages 2 to 5 of ``trains: vocoder``: training on plain audio, then on the mels that a V2S model predicts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from v2skit.build import build_new_vocoder, for_inference
from v2skit.clock import check_same_features, feature_settings
from v2skit.data.audio import MelSpectrogram
from v2skit.data.dataset import SpeechDataset
from v2skit.data.manifest import read_manifest, read_silent
from v2skit.data.sampler import Key
from v2skit.errors import UserError
from v2skit.model import Model, Vocoder
from v2skit.settings import Config
from v2skit.stages.recipe import Recipe, say_next
from v2skit.stages.training import Run, train
from v2skit.synth import load_model
from v2skit.train import checkpoint
from v2skit.train.runs import trained
from v2skit.vocoders.griffin_lim import GriffinLim
from v2skit.vocoders.trained import Trained

PAIRS = (("copy_synthesis", "griffin_lim"), ("predicted_finetuned", "predicted"), ("predicted", "predicted_griffin_lim"))
STATISTICS_CLIPS = 500
"""Clips from which the mel's mean and deviation are taken."""


def rows(recipe: Recipe) -> dict[str, str | None]:
    """Row of the results -> the run of the vocoder that speaks it; None: Griffin-Lim. Rows ``predicted*`` speak the
    mels of the predictor, the others true ones."""
    found: dict[str, str | None] = {"griffin_lim": None, "copy_synthesis": "pretrain"}
    if recipe.config.predictor:
        found |= {"predicted_griffin_lim": None, "predicted": "pretrain", "predicted_finetuned": "finetune"}
    return found


def pretrain(recipe: Recipe) -> None:
    """Stage 2: the vocoder on audio alone."""
    config, data = recipe.config, recipe.config.data

    def build(speakers: list[str] | None) -> tuple[Vocoder, list[str]]:
        model = build_new_vocoder(config)
        directories = [recipe.data(d) for d in data.pretrain]
        _measure(model, recipe.dataset(directories, model, config.pretrain, training=True), config)
        return model, []

    directories, valid = [recipe.data(d) for d in data.pretrain], recipe.data(data.pretrain_valid)
    train(recipe, Run("pretrain", "vocoder", "vocoder", config.pretrain, directories, valid, False), build)
    say_next("4 (fine-tuning on predicted mels)" if config.predictor else "5 (synthesis)")


def transfer(recipe: Recipe) -> None:
    """Stage 3: nothing; a vocoder moves whole."""
    print("a vocoder has nothing to transfer")
    say_next("4 (fine-tuning on predicted mels)" if recipe.config.predictor else "5 (synthesis)")


def finetune(recipe: Recipe) -> None:
    """Stage 4: the vocoder on the mels that the predictor makes of the training videos, if there is one."""
    config, data = recipe.config, recipe.config.data
    if config.predictor is None:
        print("no predictor: the vocoder is not fine-tuned (predictor: exp/mel/finetune in the config does)")
        return say_next("5 (synthesis)")
    init, (source, predictor) = find(recipe, "pretrain"), _predictor(recipe)

    def build(speakers: list[str] | None) -> tuple[Vocoder, list[str]]:
        model = build_new_vocoder(config, predictor)
        saved = checkpoint.load(init)
        model.load_state_dict(saved.averaged or saved.weights)
        return model, []

    made_from = {"init": checkpoint.digest(init), "predictor": checkpoint.digest(source)}
    run = Run(
        "finetune", "vocoder_finetune", "vocoder", config.finetune, [recipe.data(data.train)], recipe.data(data.valid),
        True, made_from,
    )  # fmt: skip
    train(recipe, run, build)
    say_next("5 (synthesis)")


def synth(recipe: Recipe) -> None:
    """Stage 5: the test set from true mels and, with a predictor, from predicted ones; Griffin-Lim beside each."""
    from v2skit.synth import Synthesiser, copy_synthesis, synthesise

    config = recipe.config
    predictor = _predictor(recipe) if config.predictor else None
    for row, run in rows(recipe).items():
        source = find(recipe, run) if run else None
        made_from = {"checkpoint": source.name, "digest": checkpoint.digest(source)} if source else {}
        vocoder = Trained(config.clock, config.mel, str(source)) if source else GriffinLim(config.clock, config.mel)
        vocoder = for_inference(vocoder).to(recipe.device)
        if row.startswith("predicted"):
            out = recipe.speech(row, {**made_from, "predictor": checkpoint.digest(predictor[0])})
            speaker = Synthesiser(checkpoint.config_of(checkpoint.read_meta(predictor[0])), predictor[1], vocoder, recipe.device)
            synthesise(speaker, read_silent(recipe.test), recipe.test, out)
        else:
            copy_synthesis(vocoder, config, read_manifest(recipe.test), recipe.speech(row, made_from))
    print(f"speech: {recipe.exp / 'synth'}/")
    say_next("6 (scoring)")


def find(recipe: Recipe, name: str) -> Path:
    """The best checkpoint of a run. Raises UserError where there is none, or it was made with another config."""
    stage, settings, depends = {
        "pretrain": ("stage 2", recipe.config.pretrain, "vocoder"),
        "finetune": ("stage 4", recipe.config.finetune, "vocoder_finetune"),
    }[name]
    return trained(recipe.config, recipe.exp / name, settings, stage, depends)


def _predictor(recipe: Recipe) -> tuple[Path, Model]:
    """The predictor's checkpoint, and its frozen model. Raises UserError where it is none, or of another mel."""
    config = recipe.config
    folder = checkpoint.folder_in(recipe.work_dir / config.predictor, "stage 4 of conf/mel.yaml makes it")
    _, model, features = load_model(folder, "v2a")
    if model.gives != "mel":
        raise UserError(f"predictor: {folder} gives waveforms and needs no vocoder; give a V2A run of the mel family")
    check_same_features(feature_settings(config.clock, config.mel), features, "this config", f"predictor {folder}")
    return folder, model.requires_grad_(False).to(recipe.device)


def _measure(vocoder: Vocoder, data: SpeechDataset, config: Config) -> None:
    """Set the mean and deviation of every mel bin to those of random training clips."""
    spectrogram = MelSpectrogram(config.clock, config.mel)
    chosen = np.random.default_rng(config.seed).permutation(len(data))[:STATISTICS_CLIPS]
    sounds = (torch.from_numpy(data[Key(0, int(index), (0, 0))].waveform)[None] for index in chosen)
    frames = torch.cat([spectrogram(sound)[0] for sound in sounds])
    vocoder.mean.copy_(frames.mean(0))
    vocoder.std.copy_(frames.std(0).clamp(min=1e-3))
