"""Stages 2 to 4 of ``trains: v2s``, audio pre-training, transfer and fine-tuning; and the rows of its results."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from v2skit.config.features import check_same_features, feature_settings
from v2skit.config.parts import PARTS, parts_of
from v2skit.config.schema import Config
from v2skit.config.upgrade import upgrade
from v2skit.data.data_dir import is_prepared, read_manifest, read_silent
from v2skit.data.index import open_index
from v2skit.data.targets import Targets, check_same_targets
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.build import build_model, build_targets, build_vocoder
from v2skit.models.inference import inference_arguments
from v2skit.models.look_ahead import model_shifts
from v2skit.models.model import Model
from v2skit.models.places import digest_in, meta_in, place_in
from v2skit.models.predictor import check_chain
from v2skit.recipes import run_record, targets
from v2skit.recipes.data import prepare_speakers
from v2skit.recipes.folds import train_folds
from v2skit.recipes.predictions import Predictions, Predictors
from v2skit.recipes.predictor import load_predictor, predictor_place
from v2skit.recipes.recipe import Recipe
from v2skit.recipes.synth import ResultsRow, checkpoint_source
from v2skit.recipes.training import NewModel, TrainingRun, best_checkpoint, train
from v2skit.registry import plugins
from v2skit.registry.build import build
from v2skit.synthesis.directory import copy_synthesis, resynthesise, synthesise_directory, vocoder_source
from v2skit.synthesis.synthesiser import Synthesiser
from v2skit.training.initialise import missing_files

NOTHING_TRANSFERRED = "no part is transferred: no audio-to-audio model, and stage 4 starts from the init of parts"

PAIRS: tuple[tuple[str, str], ...] = (("pretrained", "scratch"), ("pretrained", "predictor"))

_MODEL = (
    "trains", "seed", "clock", "mel", "targets",
    "networks.speaker", "networks.encoder", "networks.decoder", "networks.decoder_speaker",
    "networks.heads", "networks.bn",
)  # fmt: skip
_A2A = (*_MODEL, "networks.audio_frontend", "losses", "pretrain", "data.pretrain")
_TRANSFER = (*_MODEL, "networks.visual_frontend", "transfer")
_V2A = (
    *_MODEL, "networks.visual_frontend", "losses", "finetune", "data.train", "data.valid", "crop", "augmentation",
    "predictor_folds",
)  # fmt: skip


def pretrain(recipe: Recipe) -> str | None:
    """Stage 2: A2A on audio, unless a pre-trained model is given."""
    config = recipe.config
    if not config.has_pretraining:
        print(NOTHING_TRANSFERRED)
        return None
    if config.pretrained:
        print(f"pretrained: {find(recipe, 'pretrain')}")
        if config.pretrain.corruption:
            print("note: pretrain.corruption has no effect with pretrained; leave one of the two out")
        return None
    for key in missing_files(parts_of("v2a", config.parts, {} if config.scratch else config.transfer), "v2a"):
        print(f"note: {key} does not exist yet; stage 4 starts from it")
    train(recipe, _run(recipe, "pretrain"), _random_weights(recipe, "a2a"))
    if is_prepared(recipe.data(config.data.train)):
        return None
    return f"3 (decoder transfer) of an audio-visual recipe, with --set pretrained={recipe.exp.resolve()}"


def transfer(recipe: Recipe) -> None:
    """Stage 3: a V2A checkpoint, initialised with parts of the A2A one, and the ledger of its tensors."""
    from v2skit.training.transfer import transfer as copy_parts

    config, out = recipe.config, recipe.exp / "transfer"
    _check_videos(recipe)
    if not config.has_pretraining:
        print(NOTHING_TRANSFERRED)
        return
    source = find(recipe, "pretrain")
    fitted = targets.load(recipe, fit=True)
    made_from = {"pretrained": checkpoint.digest(source), **targets.identities(fitted)}
    if (out / "ledger.json").exists() and not recipe.force:
        run_record.check(out, config, _TRANSFER, made_from)
        print(f"transfer is finished, skipped: {out}/ledger.md (--force repeats it)")
        return
    saved = checkpoint.load(source)
    ours = feature_settings(config.clock, config.mel)
    check_same_features(ours, saved.meta.features, "this config", f"checkpoint {source}")
    if "encoder" in config.transfer or (config.networks.decoder_speaker and "decoder" in config.transfer):
        _check_speaker_scale(config, saved.meta.config, source)
    if not config.pretrained:
        run_record.check_plugins(saved.meta, config, str(source))
    given = config.pretrained or config.predictor
    speakers = _speakers(recipe, [config.data.train]) if given else saved.meta.speakers
    check_same_targets(fitted.states, saved.meta.targets, "this recipe", f"the model {source}")
    model = build_model(config, "v2a", speakers, fitted)
    _check_predictor(recipe, model, speakers)
    if "speaker" in config.transfer and getattr(model.speaker, "voices", None) and speakers != saved.meta.speakers:
        others = f"{source} has other speakers than the videos ({len(speakers)})"
        raise UserError(f"{others}; --set transfer.speaker=null")
    shifts = model_shifts(saved.meta, model, config, fitted, config.transfer)
    ledger = copy_parts(saved.inference_weights, model, sorted(config.transfer), shifts)
    meta = checkpoint.new_meta(config, "v2a", speakers, targets=dict(fitted.states))
    run_record.claim(out, config, made_from, force=True)
    checkpoint.save(checkpoint.Checkpoint(meta, model.state_dict()), _init(recipe))
    ledger.write(out)
    copied = ", ".join(f"{part} {share:.1%}" for part, share in ledger.shares.items())
    print(f"copied from {source}: {copied}\nledger: {out}/ledger.md")


def finetune(recipe: Recipe) -> None:
    """Stage 4: V2A from the transferred weights, or those that ``parts`` names, and, for comparison, from scratch with
    as many steps."""
    config, init = recipe.config, _init(recipe)
    if not config.has_pretraining:
        _check_videos(recipe)
        if config.predictor:
            speakers = _speakers(recipe, [config.data.train])
            _check_predictor(recipe, build_model(config, "v2a", speakers, targets.fit(recipe)), speakers)
    elif not (init / checkpoint.META).exists():
        raise UserError(f"{init} has no transferred weights; stage 3 makes them, where it is finished with --force")
    else:
        _check_source(recipe)
        run_record.check_plugins(checkpoint.read_meta(init), config, str(init))

    def transferred(speakers: list[str] | None, fitted: Targets) -> tuple[Model, list[str]]:
        saved = checkpoint.load(init)
        check_same_targets(fitted.states, saved.meta.targets, "this recipe", f"the transferred weights {init}")
        model = build_model(config, "v2a", saved.meta.speakers, fitted)
        checkpoint.restore(model, saved.weights, init)
        return model, saved.meta.speakers

    predictions = _predictions(recipe) if config.predictor else None
    random = _random_weights(recipe, "v2a")
    run = replace(_run(recipe, "finetune"), predictions=predictions)
    train(recipe, run, transferred if config.has_pretraining else random)
    if config.scratch:
        train(recipe, replace(_run(recipe, "scratch"), predictions=predictions), random)


def rows(recipe: Recipe) -> dict[str, ResultsRow]:
    """The rows of the results: an upper bound, which is copy synthesis, or where the decoder gives waveforms the A2A
    model on the ground-truth audio; and the V2A models."""
    config, directory, device = recipe.config, recipe.test, recipe.device
    decoder: Any = plugins.class_of("decoder", config.networks.decoder)

    def trained() -> Targets:  # with the states of the model: their training data may be elsewhere by now
        if not config.targets:
            return Targets()
        return build_targets(config, checkpoint.read_meta(find(recipe, "finetune")).targets)

    def vocoder() -> dict:
        if decoder.output == "waveform":
            return {}
        return {"vocoder": vocoder_source(config.vocoder, build_vocoder(config, decoder.output, trained()))}

    def copies(out: Path) -> None:
        fitted = trained()
        built = build_vocoder(config, decoder.output, fitted).to(device)
        copy_synthesis(built, config, read_manifest(directory), out, fitted)

    def prepare_test_speakers() -> None:
        speaker = build("speaker", config.networks.speaker, speakers=[])
        prepare_speakers(recipe, speaker, [config.data.test])

    def resynthesised(out: Path) -> None:
        prepare_test_speakers()
        resynthesise(find(recipe, "pretrain"), device, read_manifest(directory), directory, out)

    def model_row(folder: Callable[[], Path], of_predictor: bool = False) -> ResultsRow:
        def synthesised(out: Path) -> None:
            prepare_test_speakers()
            synthesiser = Synthesiser.load(folder(), device, config)
            synthesise_directory(synthesiser, read_silent(directory), directory, out)

        def made_from() -> dict:
            arguments = inference_arguments(config)
            return {
                **checkpoint_source(folder()),
                **({} if of_predictor else _predictor(recipe)),
                **vocoder(),
                **({"decoder": arguments} if arguments else {}),
            }

        return ResultsRow(made_from, synthesised, reads_lips=not of_predictor)

    found = {}
    if decoder.output == "waveform" and config.has_pretraining:
        a2a = ResultsRow(lambda: checkpoint_source(find(recipe, "pretrain")), resynthesised, uses_reference_audio=True)
        found["audio_to_audio"] = a2a
    elif decoder.output == "mel" or decoder.output in targets.stored_names(config):
        found["copy_synthesis"] = ResultsRow(vocoder, copies, uses_reference_audio=True)
    if config.predictor:
        found["predictor"] = model_row(lambda: predictor_place(recipe), of_predictor=True)
    if config.scratch:
        found["scratch"] = model_row(lambda: find(recipe, "scratch"))
    return {**found, "pretrained": model_row(lambda: find(recipe, "finetune"))}


def find(recipe: Recipe, name: str) -> Path:
    """The best checkpoint of run ``pretrain``, ``finetune`` or ``scratch``. Raises UserError as
    :func:`v2skit.recipes.training.best_checkpoint` does."""
    if name == "pretrain" and recipe.config.pretrained:
        return _given(recipe.config.pretrained)
    if name == "finetune" and recipe.config.has_pretraining:
        _check_source(recipe)
    return best_checkpoint(recipe, _run(recipe, name))


def _run(recipe: Recipe, name: str) -> TrainingRun:
    config, data = recipe.config, recipe.config.data
    if name == "pretrain":
        return TrainingRun(
            name, stage=2, task="a2a", settings=config.pretrain, train=data.pretrain, valid=data.pretrain_valid,
            depends=(*_A2A, *(f"parts.{part}" for part in PARTS["a2a"])), parts=parts_of("a2a", config.parts),
        )  # fmt: skip
    scratch = TrainingRun(
        name, stage=4, task="v2a", settings=config.finetune, train=[data.train], valid=data.valid, with_video=True,
        depends=(*_V2A, *(f"parts.{part}" for part in PARTS["v2a"])), made_from={"init": None, **_predictor(recipe)},
        parts=parts_of("v2a", config.parts),
    )  # fmt: skip
    if not config.has_pretraining:  # the init of parts takes the place of the transferred weights
        if name == "finetune":
            return scratch
        random = {n: part for n, part in scratch.parts.items() if part.init is None}
        none = {f"parts.{n}": None for n in scratch.parts.keys() - random.keys()}  # not those of an earlier version
        return replace(scratch, parts=random, made_from={**scratch.made_from, **none})
    if name == "scratch":
        return scratch
    init = _init(recipe)  # may have been deleted after the training
    made_from = _predictor(recipe)
    made_from |= {"init": checkpoint.digest(init)} if (init / checkpoint.META).exists() else {}
    parts = parts_of("v2a", config.parts, config.transfer)
    return replace(scratch, depends=(*scratch.depends, "transfer"), made_from=made_from, parts=parts)


def _predictor(recipe: Recipe) -> dict[str, str]:
    """The predictor in the record of a run; nothing where there is none."""
    return {"predictor": digest_in(predictor_place(recipe))} if recipe.config.predictor else {}


def _predictions(recipe: Recipe) -> Predictions:
    """What the predictor predicts for the videos; for the training clips, models that were not trained on them."""

    def v2a(fold: Recipe) -> Path:
        pretrain(fold)
        transfer(fold)
        finetune(fold)
        return find(fold, "finetune")

    def predictors(*folders: Path) -> Predictors:
        loaded = [load_predictor(recipe, folder) for folder in folders]
        arguments = inference_arguments(loaded[0][0])
        made_from = {"model": [meta.digest for *_, meta in loaded], **({"decoder": arguments} if arguments else {})}
        return Predictors(tuple(model for _, model, _ in loaded), made_from)

    folds = train_folds(recipe, v2a)
    ours = predictors(predictor_place(recipe))
    stream = ours.models[0].output
    out_of_fold = {recipe.config.data.train: predictors(*folds)} if folds else {}
    return Predictions(recipe, ours, stream, "float32", out_of_fold)


def _random_weights(recipe: Recipe, task: str) -> NewModel:
    """An A2A or V2A model that starts from random weights."""
    config, data = recipe.config, recipe.config.data

    def build(speakers: list[str] | None, fitted: Targets) -> tuple[Model, list[str]]:
        names = [*data.pretrain, data.train] if config.has_pretraining else [data.train]
        speakers = _speakers(recipe, names) if speakers is None else speakers
        return build_model(config, task, speakers, fitted), speakers

    return build


def _init(recipe: Recipe) -> Path:
    """The checkpoint that stage 3 writes, with the initial weights of stage 4."""
    return recipe.exp / "transfer" / "init"


def _given(named: str) -> Path:
    """The A2A checkpoint that a config names. Raises UserError where it is none."""
    remedy = "pretrained: give the experiment of a recipe whose stage 2 is finished"
    place = place_in(named, remedy, "pretrain")
    if place.is_file():
        remedy += "; initial weights from a pack: parts.encoder.init and parts.decoder.init"
    if meta_in(place).task != "a2a":
        raise UserError(f"{named} is no audio-to-audio model; {remedy}", key="pretrained")
    return place


def _check_videos(recipe: Recipe) -> None:
    """Raises UserError where there are no prepared videos to fine-tune on."""
    train_set, exp = recipe.data(recipe.config.data.train), recipe.exp.resolve()
    if is_prepared(train_set):
        return
    audio_only = (
        ", or this is a recipe of audio only, which ends with stage 2 (--stop_stage 2): an audio-visual recipe "
        f"continues from its model with --set pretrained={exp}"
    )
    rest = "" if recipe.config.pretrained or not recipe.config.transfer else audio_only
    raise UserError(f"there are no prepared videos ({train_set}); stage 1 makes them{rest}")


def _check_source(recipe: Recipe) -> None:
    """Raises UserError where the pre-trained model, if it exists, is not the one that stage 3 transferred from."""
    given = recipe.config.pretrained
    source = None if given else checkpoint.best(recipe.exp / "pretrain")
    if given and Path(given).exists():
        source = _given(given)
    if source:
        made_from = {"pretrained": checkpoint.digest(source)}
        run_record.check(recipe.exp / "transfer", recipe.config, _TRANSFER, made_from)


def _check_predictor(recipe: Recipe, model: Model, speakers: list[str]) -> None:
    """Raises UserError where the predictor does not fit the model: now, not after hours of training the models of
    folds."""
    if model.predicted:
        place = predictor_place(recipe)
        check_chain(recipe.config, speakers, model.predicted, load_predictor(recipe, place), f"predictor {place}")


def _check_speaker_scale(config: Config, stored: dict, source: Path) -> None:
    """Raises UserError where a transferred encoder would be given speaker embeddings of another scale than in its
    training: where the component's arguments that its ``output_arguments`` names differ."""
    ours, theirs = config.networks.speaker, upgrade(stored)["networks"]["speaker"]
    for name in getattr(plugins.class_of("speaker", ours), "output_arguments", ()):
        if theirs["type"] == ours.type and theirs.get(name) != ours.args[name]:
            raise UserError(
                f"the encoder of {source} was trained with networks.speaker.{name} {theirs.get(name)}, and this config "
                f"has {ours.args[name]}; --set networks.speaker.{name}={theirs.get(name)}, or train the encoder anew "
                "with --set transfer.encoder=null"
            )


def _speakers(recipe: Recipe, names: Iterable[str]) -> list[str]:
    """The names behind a speaker table; those of the predictor where there is one, which has the same speaker input."""
    if recipe.config.predictor:
        return meta_in(predictor_place(recipe)).speakers
    directories = [directory for directory in map(recipe.data, names) if directory.exists()]
    return sorted({name for directory in directories for name in open_index(directory).speakers})
