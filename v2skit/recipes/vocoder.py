"""Stages 2 to 4 of ``trains: vocoder``: training on audio, then on the mels or units that a V2S model predicts; and the
rows of its results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from v2skit.config.features import check_same_features, feature_settings
from v2skit.config.parts import PARTS, PartTransfer, parts_of
from v2skit.config.schema import Config
from v2skit.data.data_dir import read_manifest, read_silent
from v2skit.data.targets import Targets, check_same_targets
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.build import build_new_vocoder, build_vocoder, needs_vocoder, vocoder_input
from v2skit.models.inference import inference_arguments
from v2skit.models.look_ahead import model_shifts, shifted
from v2skit.models.model import Model, Vocoder
from v2skit.models.places import digest_in, meta_in
from v2skit.models.vocoders.correction import ROUNDS
from v2skit.recipes import run_record, targets
from v2skit.recipes.predictions import Predictions, Predictors
from v2skit.recipes.predictor import load_predictor, predictor_place
from v2skit.recipes.recipe import Recipe
from v2skit.recipes.synth import ResultsRow
from v2skit.recipes.training import TrainingRun, best_checkpoint, dataset, train
from v2skit.registry import plugins
from v2skit.registry.component import Component
from v2skit.synthesis.directory import copy_synthesis, synthesise_directory, vocoder_source
from v2skit.synthesis.synthesiser import Synthesiser
from v2skit.training.mel_statistics import mel_statistics

PAIRS: tuple[tuple[str, str], ...] = (
    ("copy_synthesis", "griffin_lim"),
    ("copy_synthesis", "uncorrected"),
    ("predicted_finetuned", "predicted"),
    ("predicted_finetuned", "predicted_uncorrected"),
    ("predicted_finetuned_corrected", "predicted_finetuned"),
    ("predicted", "predicted_uncorrected"),
    ("predicted", "predicted_griffin_lim"),
    ("predicted_input_finetuned", "predicted_input"),
)

_DEPENDS = ("trains", "seed", "clock", "mel", "vocoder", "losses", "targets", "parts")
_SYNTHESIS = "5 (synthesis)"

VOCODERS: dict[str, tuple[str | None, dict]] = {
    "griffin_lim": (None, {}),
    "uncorrected": ("pretrain", {"corrections": 0}),
    "copy_synthesis": ("pretrain", {"corrections": ROUNDS}),
    "predicted_griffin_lim": (None, {}),
    "predicted_uncorrected": ("pretrain", {"corrections": 0}),
    "predicted": ("pretrain", {"corrections": ROUNDS}),
    "predicted_finetuned": ("finetune", {"corrections": 0}),
    "predicted_finetuned_corrected": ("finetune", {"corrections": ROUNDS}),
    "predicted_input": ("pretrain", {}),
    "predicted_input_finetuned": ("finetune", {}),
}
"""Row of the results -> its vocoder: the run, and arguments of ``trained``; None: Griffin-Lim. Rows ``predicted*`` are
synthesised from the stream that the predictor predicts, the others from that of the ground-truth audio."""

_NOTE = "with mel correction, which minimises a distance of mels, as MCD is: compare MCD with rows that have it too"

OF_OTHERS = ("predicted_input", "predicted_input_finetuned")
OF_MELS = tuple(row for row in VOCODERS if row not in ("copy_synthesis", *OF_OTHERS))
"""Rows that there are only where the vocoder's input is another stream than the mel, and only where it is the mel."""


def pretrain(recipe: Recipe) -> str:
    """Stage 2: the vocoder on audio, unless a pre-trained one is given."""
    config, data = recipe.config, recipe.config.data
    if config.pretrained:
        print(f"pretrained: {find(recipe, 'pretrain')}")
        return _after_pretraining(config)

    def build(speakers: list[str] | None, fitted: Targets) -> tuple[Vocoder, list[str]]:
        model = build_new_vocoder(config, targets=fitted)
        if speakers is None and model.input == "mel":  # otherwise a checkpoint has the statistics
            clips = dataset(recipe, data.pretrain, model, config.pretrain, training=True)
            for buffer, value in zip((model.mean, model.std), mel_statistics(clips, config), strict=True):
                buffer.copy_(value)
        return model, []

    # A predictor in the config of its checkpoints says that a vocoder was tuned on predictions; these are not.
    on_audio = replace(recipe, config=replace(config, predictor=None))
    train(on_audio, _run(on_audio, "pretrain"), build)
    return _after_pretraining(config)


def transfer(recipe: Recipe) -> str:
    """Stage 3: nothing; a vocoder has no frontend to replace."""
    print("a vocoder has nothing to transfer")
    return _after_pretraining(recipe.config)


def _after_pretraining(config: Config) -> str:
    return "4 (fine-tuning on the predictor's output)" if config.predictor else _SYNTHESIS


def finetune(recipe: Recipe) -> None:
    """Stage 4: the vocoder on what the predictor predicts for the training videos, if there is one."""
    config = recipe.config
    if config.predictor is None:
        print("no predictor: the vocoder is not fine-tuned (predictor: exp/mel/finetune in the config does)")
        return
    init, (theirs, predictor), stream = find(recipe, "pretrain"), _predictor(recipe), _stream(recipe)
    dtype = getattr(targets.load(recipe).built.get(stream), "dtype", "float32")
    arguments = inference_arguments(theirs)
    made_from = {"model": digest_in(predictor_place(recipe)), **({"decoder": arguments} if arguments else {})}
    predictions = Predictions(recipe, Predictors((predictor,), made_from), stream, dtype)
    run_record.check_plugins(checkpoint.read_meta(init), config, str(init))

    def build(speakers: list[str] | None, fitted: Targets) -> tuple[Vocoder, list[str]]:
        model = build_new_vocoder(config, fitted, predictions.name)
        given = predictor.streams - predictor.head_streams
        if model.input not in given:
            raise UserError(
                f"predictor: {predictor_place(recipe)} outputs {', '.join(sorted(given))}, and vocoder "
                f"'{config.vocoder.type}' needs {model.input}; give a model that outputs it"
            )
        for place in (init, predictor_place(recipe)):
            check_same_targets(fitted.states, meta_in(place).targets, "this recipe", str(place))
        saved = checkpoint.load(init)
        shifts = model_shifts(saved.meta, model, config, fitted, ["generator"])
        for kernel, shift in shifts.items():
            print(f"{kernel}: {shift}")
        checkpoint.restore(model, shifted(saved.inference_weights, shifts), init)
        return model, []

    train(recipe, replace(_run(recipe, "finetune"), predictions=predictions), build)


def rows(recipe: Recipe) -> dict[str, ResultsRow]:
    """The rows of the results; those of a predicted stream where there is a predictor. For mels, Griffin-Lim is the
    baseline."""
    config, directory, device = recipe.config, recipe.test, recipe.device
    stream = _stream(recipe)
    left_out = OF_OTHERS if stream == "mel" else OF_MELS

    def row(name: str) -> ResultsRow:
        predicted = name.startswith("predicted")

        def made_from() -> dict:
            predictor = {"predictor": digest_in(predictor_place(recipe))} if predicted else {}
            return {"vocoder": vocoder_source(*_vocoder(recipe, name, targets.load(recipe))), **predictor}

        def synthesised(out: Path) -> None:
            fitted = targets.load(recipe)
            vocoder = _vocoder(recipe, name, fitted)[1].to(device)
            if predicted:
                synthesiser = Synthesiser.load(predictor_place(recipe), device, vocoder=vocoder)
                synthesise_directory(synthesiser, read_silent(directory), directory, out)
            else:
                copy_synthesis(vocoder, config, read_manifest(directory), out, fitted)

        note = _NOTE if stream == "mel" and VOCODERS[name][1].get("corrections") else ""
        return ResultsRow(made_from, synthesised, uses_reference_audio=not predicted, note=note)

    names = [name for name in VOCODERS if config.predictor or not name.startswith("predicted")]
    return {name: row(name) for name in names if name not in left_out}


def find(recipe: Recipe, name: str) -> Path:
    """The best checkpoint of run ``pretrain`` or ``finetune``. Raises UserError as
    :func:`v2skit.recipes.training.best_checkpoint` does."""
    if name == "pretrain" and recipe.config.pretrained:
        return _given(recipe.config)
    return best_checkpoint(recipe, _run(recipe, name))


def _given(config: Config) -> Path:
    """The checkpoint of the vocoder that a config names. Raises UserError where it is none, or of other mels."""
    named, remedy = (
        Path(str(config.pretrained)),
        "pretrained: give the experiment of a vocoder whose stage 2 is finished",
    )
    folder = checkpoint.folder_in(named, remedy, "pretrain")
    meta = checkpoint.read_meta(folder)
    if meta.task != "vocoder":
        raise UserError(f"{named} is no vocoder; {remedy}", key="pretrained")
    check_same_features(feature_settings(config.clock, config.mel), meta.features, "this config", f"vocoder {folder}")
    return folder


def _run(recipe: Recipe, name: str) -> TrainingRun:
    config, data = recipe.config, recipe.config.data
    if name == "pretrain":
        return TrainingRun(
            name, stage=2, task="vocoder", settings=config.pretrain, train=data.pretrain, valid=data.pretrain_valid,
            depends=(*_DEPENDS, "pretrain", "data.pretrain"), parts=parts_of("vocoder", config.parts),
        )  # fmt: skip
    inputs = {"init": find(recipe, "pretrain"), "predictor": predictor_place(recipe)}
    return TrainingRun(
        name, stage=4, task="vocoder", settings=config.finetune, train=[data.train], valid=data.valid, with_video=True,
        depends=(*_DEPENDS, "finetune", "predictor", "data.train", "crop"),
        made_from={key: digest_in(place) for key, place in inputs.items()},
        parts=parts_of("vocoder", config.parts, {part: PartTransfer() for part in PARTS["vocoder"]}),
    )  # fmt: skip


def _stream(recipe: Recipe) -> str:
    """The stream that the vocoder makes a waveform of."""
    vocoder: Any = plugins.class_of("vocoder", recipe.config.vocoder)
    return vocoder_input(vocoder)


def _vocoder(recipe: Recipe, row: str, fitted: Targets) -> tuple[Component, nn.Module]:
    """The vocoder of a results row: its settings, and it."""
    run, args = VOCODERS[row]
    choice = Component("trained", {"run": str(find(recipe, run)), **args}) if run else Component("griffin_lim", {})
    return choice, build_vocoder(replace(recipe.config, vocoder=choice), _stream(recipe), fitted)


def _predictor(recipe: Recipe) -> tuple[Config, Model]:
    """The config of the predictor, and it, frozen. Raises UserError where it needs no vocoder, or as
    :func:`v2skit.recipes.predictor.load_predictor`."""
    place = predictor_place(recipe)
    theirs, model, _ = load_predictor(recipe, place)
    if not needs_vocoder(model):
        raise UserError(f"predictor: {place} outputs waveforms and needs no vocoder; give a V2A run of the mel family")
    return theirs, model
