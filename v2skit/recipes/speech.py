"""Stages 2 to 5 of ``trains: v2s``: audio pre-training, transfer, fine-tuning, synthesis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from v2skit.config.features import check_same_features, feature_settings
from v2skit.data.data_dir import read_manifest, read_silent
from v2skit.data.index import open_index
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.build import build_model, build_vocoder
from v2skit.models.model import Model
from v2skit.preparation.shards import finished
from v2skit.recipes.recipe import Recipe, Row, checkpoint_source, say_next
from v2skit.recipes.runs import check_made_with, start, trained
from v2skit.recipes.training import Run, train
from v2skit.registry import plugins
from v2skit.synthesis.directory import vocoder_source

PAIRS = (("pretrained", "scratch"),)
"""Rows of the results whose paired difference is reported."""


def rows(recipe: Recipe) -> dict[str, Row]:
    """The rows of the results. Beside the models stands what can be had at best: copy synthesis, or where the decoder
    gives waveforms the A2A model on the true sound."""
    config = recipe.config
    decoder: Any = plugins.registry().entry("decoder", config.networks.decoder.type).load()
    gives = decoder.output

    def vocoder() -> dict:
        return {} if gives == "waveform" else {"vocoder": vocoder_source(config.vocoder, build_vocoder(config))}

    def spoken(run: str) -> Row:
        return Row(lambda: {**checkpoint_source(find(recipe, run)), **vocoder()})

    if gives == "waveform":
        best = {"audio_to_audio": Row(lambda: checkpoint_source(find(recipe, "pretrain")), hears=True)}
    else:
        best = {"copy_synthesis": Row(vocoder, hears=True)}
    return {**best, **({"scratch": spoken("scratch")} if config.scratch else {}), "pretrained": spoken("finetune")}


def pretrain(recipe: Recipe) -> None:
    """Stage 2: A2A on audio alone, unless such a model is given."""
    config, data = recipe.config, recipe.config.data
    if config.pretrained:
        print(f"pretrained: {find(recipe, 'pretrain')}")
        return say_next("3 (decoder transfer)")
    every = [*map(recipe.data, data.pretrain), recipe.data(data.train)]

    def build(speakers: list[str] | None) -> tuple[Model, list[str]]:
        speakers = _speakers(every) if speakers is None else speakers
        return build_model(config, "a2a", speakers), speakers

    directories = [recipe.data(d) for d in data.pretrain]
    valid = recipe.data(data.pretrain_valid)
    train(recipe, Run("pretrain", "pretrain", "a2a", config.pretrain, directories, valid, False), build)
    if finished(recipe.data(data.train)):
        say_next("3 (decoder transfer)")
    else:
        say_next(f"3 (decoder transfer) of an audio-visual recipe, with --set pretrained={recipe.exp.resolve()}")


def transfer(recipe: Recipe) -> None:
    """Stage 3: a V2A checkpoint with parts of the A2A one in it, and the ledger of what moved."""
    from v2skit.training.transfer import transfer as move

    config, out = recipe.config, recipe.exp / "transfer"
    if not finished(recipe.data(config.data.train)):
        or_audio = (
            ", or this is a recipe of audio alone, which ends with stage 2 (--stop_stage 2): an audio-visual recipe "
            f"goes on with --set pretrained={recipe.exp.resolve()}"
        )
        raise UserError(
            f"there are no prepared videos ({recipe.data(config.data.train)}); stage 1 makes them"
            + ("" if config.pretrained else or_audio)
        )
    source = find(recipe, "pretrain")
    saved = checkpoint.load(source)
    made_from = {"step": saved.meta.step, "digest": checkpoint.digest(source)}
    if (out / "ledger.json").exists() and not recipe.force:
        check_made_with(config, out, "transfer", made_from)
        print(f"transfer is done: {out}/ledger.md (--force does it again)")
        return say_next("4 (V2S fine-tuning)")
    ours = feature_settings(config.clock, config.mel)
    check_same_features(ours, saved.meta.features, "this config", f"checkpoint {source}")
    speakers = _speakers([recipe.data(config.data.train)]) if config.pretrained else saved.meta.speakers
    model = build_model(config, "v2a", speakers)
    if "speaker" in config.transfer and getattr(model.speaker, "voices", None) and speakers != saved.meta.speakers:
        others = f"{source} knows other speakers than the videos' ({len(speakers)})"
        raise UserError(f"{others}; --set transfer.speaker=null")
    ledger = move(saved.averaged or saved.weights, model, sorted(config.transfer))
    meta = checkpoint.new_meta(config, "v2a", speakers)
    start(config, out, made_from, force=True)
    checkpoint.save(checkpoint.Checkpoint(meta, model.state_dict()), out / "init")
    ledger.write(out)
    moved = ", ".join(f"{part} {share:.1%}" for part, share in ledger.shares.items())
    print(f"copied from {source}: {moved}\nledger: {out}/ledger.md")
    say_next("4 (V2S fine-tuning)")


def finetune(recipe: Recipe) -> None:
    """Stage 4: V2A from the transferred weights and, for comparison, from scratch with as many steps."""
    config, data = recipe.config, recipe.config.data
    init = recipe.exp / "transfer" / "init"
    if not (init / checkpoint.META).exists():
        raise UserError(f"{init} has no transferred weights; stage 3 makes them")
    _check_source(recipe)
    every = [*map(recipe.data, data.pretrain), recipe.data(data.train)]

    def build(speakers: list[str] | None) -> tuple[Model, list[str]]:
        saved = checkpoint.load(init)
        model = build_model(config, "v2a", saved.meta.speakers)
        checkpoint.restore(model, saved.weights, init)
        return model, saved.meta.speakers

    def build_scratch(speakers: list[str] | None) -> tuple[Model, list[str]]:
        speakers = _speakers(every) if speakers is None else speakers
        return build_model(config, "v2a", speakers), speakers

    given = ("v2a", config.finetune, [recipe.data(data.train)], recipe.data(data.valid), True)
    train(recipe, Run("finetune", "finetune", *given, _made_from(recipe, "finetune"), config.transfer), build)
    if config.scratch:
        train(recipe, Run("scratch", "scratch", *given, _made_from(recipe, "scratch")), build_scratch)
    say_next("5 (synthesis)")


def synth(recipe: Recipe) -> None:
    """Stage 5: the test set spoken by each model; only the row that shows what can be had at best reads its sound."""
    from v2skit.synthesis.directory import copy_synthesis, resynthesise, synthesise_directory
    from v2skit.synthesis.synthesiser import Synthesiser

    config, directory, device = recipe.config, recipe.test, recipe.device
    for name, row in rows(recipe).items():
        out = recipe.speech(name, row)
        if name == "copy_synthesis":
            copy_synthesis(build_vocoder(config).to(device), config, read_manifest(directory), out)
        elif name == "audio_to_audio":
            resynthesise(find(recipe, "pretrain"), device, read_manifest(directory), directory, out)
        else:
            run = {"scratch": "scratch", "pretrained": "finetune"}[name]
            synthesiser = Synthesiser.load(find(recipe, run), device, config)
            synthesise_directory(synthesiser, read_silent(directory), directory, out)
    print(f"speech: {recipe.exp / 'synth'}/")
    say_next("6 (scoring)")


def find(recipe: Recipe, name: str) -> Path:
    """The best checkpoint of a run. Raises UserError where there is none, or it was made from something else, such as
    a training set with other clips: what is a test clip now may have been among them."""
    config, data = recipe.config, recipe.config.data
    if name == "pretrain" and config.pretrained:
        return _given(Path(config.pretrained))
    if name == "finetune":
        _check_source(recipe)
    directories: tuple[str, ...] = (data.train, data.valid)
    settings, stage = config.finetune, "4"
    if name == "pretrain":
        settings, stage, directories = config.pretrain, "2", (*data.pretrain, data.pretrain_valid)
    made_from = {**_made_from(recipe, name), **recipe.trained_on(*directories)}
    return trained(config, recipe.exp / name, settings, f"stage {stage}", name, made_from)


def _given(path: Path) -> Path:
    """The A2A checkpoint that a config names. Raises UserError where it is none."""
    remedy = "pretrained: give the experiment of a recipe whose stage 2 is done"
    folder = checkpoint.folder_in(path, remedy, "pretrain")
    if checkpoint.read_meta(folder).task != "a2a":
        raise UserError(f"{folder} is no audio-to-audio model; {remedy}")
    return folder


def _check_source(recipe: Recipe) -> None:
    """Raises UserError where the pre-trained model, if it is here, is not the one that stage 3 transferred from."""
    given = recipe.config.pretrained
    if given:
        source = _given(Path(given)) if Path(given).exists() else None
    else:
        source = checkpoint.best(recipe.exp / "pretrain")
    if source:
        check_made_with(recipe.config, recipe.exp / "transfer", "transfer", {"digest": checkpoint.digest(source)})


def _made_from(recipe: Recipe, name: str) -> dict:
    """What a run is made from, beside data."""
    init = recipe.exp / "transfer" / "init"
    if name == "finetune" and (init / checkpoint.META).exists():
        return {"init": checkpoint.digest(init)}
    return {"init": None} if name == "scratch" else {}


def _speakers(directories: list[Path]) -> list[str]:
    """The names behind a speaker table."""
    return sorted({name for d in directories if d.exists() for name in open_index(d).speakers})
