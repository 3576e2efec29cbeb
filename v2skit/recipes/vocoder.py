"""Stages 2 to 5 of ``trains: vocoder``: training on plain audio, then on the mels that a V2S model predicts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from v2skit.config.features import check_same_features, feature_settings
from v2skit.config.schema import Config
from v2skit.data.data_dir import read_manifest, read_silent
from v2skit.data.dataset import SpeechDataset
from v2skit.data.sampler import Key
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.build import build_new_vocoder, build_vocoder
from v2skit.models.model import Model, Vocoder
from v2skit.recipes.recipe import Recipe, Row, say_next
from v2skit.recipes.runs import trained
from v2skit.recipes.training import Run, train
from v2skit.registry.component import Component
from v2skit.signal.mel import MelSpectrogram
from v2skit.synthesis.directory import vocoder_source
from v2skit.synthesis.synthesiser import load_model

PAIRS = (
    ("copy_synthesis", "griffin_lim"),
    ("predicted_finetuned", "predicted"),
    ("predicted", "predicted_griffin_lim"),
)
STATISTICS_CLIPS = 500
"""Clips from which the mel's mean and deviation are taken."""
SPEAKERS: dict[str, tuple[str | None, dict]] = {
    "griffin_lim": (None, {}),
    "uncorrected": ("pretrain", {"corrections": 0}),
    "copy_synthesis": ("pretrain", {}),
    "predicted_griffin_lim": (None, {}),
    "predicted": ("pretrain", {}),
    "predicted_finetuned": ("finetune", {}),
}
"""Row of the results -> the run of the vocoder that speaks it, and arguments of ``trained``; None: Griffin-Lim. Rows
``predicted*`` speak the mels of the predictor, the others true ones."""


def rows(recipe: Recipe) -> dict[str, Row]:
    """The rows of the results; those of predicted mels where there is a predictor."""

    def row(name: str, predicted: bool) -> Row:
        def source() -> dict:
            choice, vocoder = _vocoder(recipe, name)
            predictor = {"predictor": checkpoint.digest(_predictor_folder(recipe))} if predicted else {}
            return {"vocoder": vocoder_source(choice, vocoder), **predictor}

        return Row(source, hears=not predicted)

    predicted = {name: name.startswith("predicted") for name in SPEAKERS}
    return {name: row(name, predicted[name]) for name in SPEAKERS if recipe.config.predictor or not predicted[name]}


def pretrain(recipe: Recipe) -> None:
    """Stage 2: the vocoder on audio alone."""
    config, data = recipe.config, recipe.config.data

    directories, valid = [recipe.data(d) for d in data.pretrain], recipe.data(data.pretrain_valid)

    def build(speakers: list[str] | None) -> tuple[Vocoder, list[str]]:
        model = build_new_vocoder(config)
        if speakers is None:  # otherwise a checkpoint holds what is measured here
            _measure(model, recipe.dataset(directories, model, config.pretrain, training=True), config)
        return model, []

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
    init, predictor = find(recipe, "pretrain"), _predictor(recipe)

    def build(speakers: list[str] | None) -> tuple[Vocoder, list[str]]:
        model = build_new_vocoder(config, predictor)
        saved = checkpoint.load(init)
        checkpoint.restore(model, saved.averaged or saved.weights, init)
        return model, []

    run = Run(
        "finetune", "vocoder_finetune", "vocoder", config.finetune, [recipe.data(data.train)], recipe.data(data.valid),
        True, _made_from(recipe), augment=False,
    )  # fmt: skip
    train(recipe, run, build)
    say_next("5 (synthesis)")


def synth(recipe: Recipe) -> None:
    """Stage 5: the test set from true mels and, with a predictor, from predicted ones; Griffin-Lim beside each."""
    from v2skit.synthesis.directory import copy_synthesis, synthesise_directory
    from v2skit.synthesis.synthesiser import Synthesiser

    config, device = recipe.config, recipe.device
    for name, row in rows(recipe).items():
        out, vocoder = recipe.speech(name, row), _vocoder(recipe, name)[1].to(device)
        if row.hears:
            copy_synthesis(vocoder, config, read_manifest(recipe.test), out)
        else:
            speaker = Synthesiser.load(_predictor_folder(recipe), device, vocoder=vocoder)
            synthesise_directory(speaker, read_silent(recipe.test), recipe.test, out)
    print(f"speech: {recipe.exp / 'synth'}/")
    say_next("6 (scoring)")


def find(recipe: Recipe, name: str) -> Path:
    """The best checkpoint of a run. Raises UserError where there is none, or it was made from something else."""
    config, exp, data = recipe.config, recipe.exp, recipe.config.data
    if name == "pretrain":
        made_from = recipe.trained_on(*data.pretrain, data.pretrain_valid)
        return trained(config, exp / name, config.pretrain, "stage 2", "vocoder", made_from)
    made_from = {**_made_from(recipe), **recipe.trained_on(data.train, data.valid)}
    return trained(config, exp / name, config.finetune, "stage 4", "vocoder_finetune", made_from)


def _made_from(recipe: Recipe) -> dict:
    """What the fine-tuned vocoder is made from, beside data."""
    predictor = checkpoint.digest(_predictor_folder(recipe))
    return {"init": checkpoint.digest(find(recipe, "pretrain")), "predictor": predictor}


def _vocoder(recipe: Recipe, row: str) -> tuple[Component, nn.Module]:
    """What speaks a row: its settings, and it."""
    run, args = SPEAKERS[row]
    choice = Component("trained", {"run": str(find(recipe, run)), **args}) if run else Component("griffin_lim", {})
    return choice, build_vocoder(replace(recipe.config, vocoder=choice))


def _predictor_folder(recipe: Recipe) -> Path:
    return checkpoint.folder_in(Path(recipe.config.predictor or ""), "stage 4 of conf/mel.yaml makes it")


def _predictor(recipe: Recipe) -> Model:
    """The frozen predictor. Raises UserError where it is none, or of another mel or crop."""
    config, folder = recipe.config, _predictor_folder(recipe)
    theirs, model, features = load_model(folder, "v2a")
    if model.output != "mel":
        raise UserError(f"predictor: {folder} gives waveforms and needs no vocoder; give a V2A run of the mel family")
    check_same_features(feature_settings(config.clock, config.mel), features, "this config", f"predictor {folder}")
    if (config.crop, config.augmentation.crop) != (theirs.crop, theirs.augmentation.crop):
        raise UserError(f"predictor: {folder} sees other mouth crops; give this config its crop and augmentation.crop")
    return model.requires_grad_(False).to(recipe.device)


def _measure(vocoder: Vocoder, data: SpeechDataset, config: Config) -> None:
    """Set the mean and deviation of every mel bin to those of random training clips."""
    spectrogram = MelSpectrogram(config.clock, config.mel)
    chosen = np.random.default_rng(config.seed).permutation(len(data))[:STATISTICS_CLIPS]
    sounds = (torch.from_numpy(data[Key(0, int(index), (0, 0))].waveform)[None] for index in chosen)
    frames = torch.cat([spectrogram(sound)[0] for sound in sounds])
    vocoder.mean.copy_(frames.mean(0))
    vocoder.std.copy_(frames.std(0).clamp(min=1e-3))
