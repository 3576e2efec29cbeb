"""Stages 2 to 5 of ``trains: v2s``: audio pre-training, transfer, fine-tuning, synthesis."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from v2skit import plugins
from v2skit.build import build_model
from v2skit.clock import check_same_features, feature_settings
from v2skit.config import to_tree
from v2skit.data.manifest import read_manifest, read_silent
from v2skit.errors import UserError
from v2skit.model import Model
from v2skit.settings import Config
from v2skit.stages.recipe import Recipe, say_next
from v2skit.stages.training import Run, train
from v2skit.train import checkpoint
from v2skit.train.runs import check_made_with, start, trained

PAIRS = (("pretrained", "scratch"),)
"""Rows of the results whose paired difference is reported."""


def rows(recipe: Recipe) -> dict[str, str | None]:
    """Row of the results -> the run that speaks it; None: no model of this experiment does.

    Beside the models stands what can be had at best: copy synthesis, or where the decoder gives waveforms the A2A
    model on the true sound.
    """
    decoder = plugins.registry().entry("decoder", recipe.config.networks.decoder.type).load()
    waveform = decoder.gives == "waveform"
    best = {"audio_to_audio": "pretrain"} if waveform else {"copy_synthesis": None}
    return {**best, **({"scratch": "scratch"} if recipe.config.scratch else {}), "pretrained": "finetune"}


def pretrain(recipe: Recipe) -> None:
    """Stage 2: A2A on audio alone."""
    config, data = recipe.config, recipe.config.data
    every = [*map(recipe.data, data.pretrain), recipe.data(data.train)]

    def build(speakers: list[str] | None) -> tuple[Model, list[str]]:
        speakers = _speakers(every) if speakers is None else speakers
        return build_model(config, "a2a", speakers), speakers

    directories = [recipe.data(d) for d in data.pretrain]
    valid = recipe.data(data.pretrain_valid)
    train(recipe, Run("pretrain", "pretrain", "a2a", config.pretrain, directories, valid, False), build)
    say_next("3 (decoder transfer)")


def transfer(recipe: Recipe) -> None:
    """Stage 3: a V2A checkpoint with parts of the A2A one in it, and the ledger of what moved."""
    from v2skit.train.transfer import transfer as move

    config, out = recipe.config, recipe.exp / "transfer"
    source = find(recipe, "pretrain")
    saved = checkpoint.load(source)
    made_from = {"step": saved.meta.step, "digest": checkpoint.digest(source)}
    if (out / "ledger.json").exists() and not recipe.force:
        check_made_with(config, out, "transfer", made_from)
        print(f"transfer is done: {out}/ledger.md (--force does it again)")
        return say_next("4 (V2S fine-tuning)")
    ours = feature_settings(config.clock, config.mel)
    check_same_features(ours, saved.meta.features, "this config", f"checkpoint {source}")
    model = build_model(config, "v2a", saved.meta.speakers)
    ledger = move(saved.averaged or saved.weights, model, sorted(config.transfer))
    meta = checkpoint.new_meta(config, "v2a", saved.meta.speakers)
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
    every = [*map(recipe.data, data.pretrain), recipe.data(data.train)]

    def build(speakers: list[str] | None) -> tuple[Model, list[str]]:
        saved = checkpoint.load(init)
        model = build_model(config, "v2a", saved.meta.speakers)
        model.load_state_dict(saved.weights)
        return model, saved.meta.speakers

    def build_scratch(speakers: list[str] | None) -> tuple[Model, list[str]]:
        speakers = _speakers(every) if speakers is None else speakers
        return build_model(config, "v2a", speakers), speakers

    given = ("v2a", config.finetune, [recipe.data(data.train)], recipe.data(data.valid), True)
    made_from = {"init": checkpoint.digest(init)}
    train(recipe, Run("finetune", "finetune", *given, made_from, config.transfer), build)
    if config.scratch:
        train(recipe, Run("scratch", "scratch", *given, {"init": None}), build_scratch)
    say_next("5 (synthesis)")


def synth(recipe: Recipe) -> None:
    """Stage 5: the test set spoken by each model; only the row that shows what can be had at best reads its sound."""
    from v2skit.build import build_vocoder
    from v2skit.synth import Synthesiser, copy_synthesis, resynthesise, synthesise

    directory = recipe.test
    for row, run in rows(recipe).items():
        source = find(recipe, run) if run else None
        made_from = {"checkpoint": source.name, "digest": checkpoint.digest(source)} if source else {}
        if row == "copy_synthesis":
            vocoder = build_vocoder(recipe.config)
            out = recipe.speech(row, {"vocoder": vocoder_source(recipe.config, vocoder)})
            copy_synthesis(vocoder.to(recipe.device), recipe.config, read_manifest(directory), out)
        elif row == "audio_to_audio":
            resynthesise(source, recipe.device, read_manifest(directory), directory, recipe.speech(row, made_from))
        else:
            speaker = Synthesiser.load(source, recipe.device, recipe.config)
            out = recipe.speech(row, {**made_from, "vocoder": vocoder_source(recipe.config, speaker.vocoder)})
            synthesise(speaker, read_silent(directory), directory, out)
    print(f"speech: {recipe.exp / 'synth'}/")
    say_next("6 (scoring)")


def vocoder_source(config: Config, vocoder: nn.Module | None) -> dict | None:
    """What a vocoder is, and the digest of its weights, for the record of what speech was made from."""
    return {**to_tree(config.vocoder), "digest": getattr(vocoder, "digest", None)} if vocoder else None


def find(recipe: Recipe, name: str) -> Path:
    """The best checkpoint of a run. Raises UserError where there is none, or it was made with another config."""
    stage = "2" if name == "pretrain" else "4"
    settings = recipe.config.pretrain if name == "pretrain" else recipe.config.finetune
    return trained(recipe.config, recipe.exp / name, settings, f"stage {stage}", name)


def _speakers(directories: list[Path]) -> list[str]:
    """The names behind a speaker table."""
    return sorted({u.speaker for d in directories if d.exists() for u in read_manifest(d)})
