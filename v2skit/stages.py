"""The stages of a recipe: each reads what the ones before it wrote, and says where its output is."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable

import torch

from v2skit.build import build, build_model
from v2skit.clock import check_same_features, feature_settings
from v2skit.config import to_tree
from v2skit.data.audio import read_audio
from v2skit.data.dataset import SpeechDataset
from v2skit.data.manifest import Utterance, read_manifest, read_settings, read_silent
from v2skit.data.sampler import EndlessBatches
from v2skit.errors import UserError
from v2skit.evaluate.pictures import spectrogram_picture
from v2skit.files import write_text
from v2skit.settings import Config, PartTransfer, Training
from v2skit.synth import check_prepared, speech_folder
from v2skit.train import checkpoint
from v2skit.train.runs import alone, check_made_with, start, trained

ROWS = {"scratch": "scratch", "pretrained": "finetune"}
"""Row of the results -> folder of the V2A run behind it."""


@dataclass(frozen=True)
class Recipe:
    """A recipe's folders and config.

    Args:
        config: checked.
        work_dir: the recipe's folder; ``data/`` is in it.
        exp: folder of the experiment: ``pretrain/``, ``finetune/``, ``scratch/``, ``synth/``, results.
        force: do the stage again though it is finished, from the start.
        device: where models run.
    """

    config: Config
    work_dir: Path
    exp: Path
    force: bool
    device: torch.device

    def data(self, name: str) -> Path:
        """A data directory by its name in the config."""
        return self.work_dir / "data" / name

    def build_scorers(self) -> tuple[dict[str, Any], Any]:
        """The metrics, by name, and the recogniser or None."""
        metrics = {name: build("metric", choice) for name, choice in self.config.scoring.metrics.items()}
        grammar = self.build_corpora()[0].grammar()
        return metrics, build("asr", self.config.scoring.asr, grammar=grammar) if self.config.scoring.asr else None

    def build_corpora(self) -> list[Any]:
        """The corpus, and the audio-only one where there is one."""
        choices = [self.config.corpus, self.config.audio_corpus]
        return [build("corpus", choice, work_dir=self.work_dir) for choice in choices if choice]


def obtain(recipe: Recipe) -> None:
    """Stage 0: the corpus is generated, or looked for."""
    recipe.build_scorers()  # what they lack shows now, not after all the training
    with alone(recipe.work_dir / "data"):
        for corpus in recipe.build_corpora():
            print(corpus.obtain())
    _next("1 (preparation)")


def prepare(recipe: Recipe) -> None:
    """Stage 1: data directories, with reports of what was left out and why."""
    from v2skit.data.prepare import prepare as prepare_corpus

    config = recipe.config
    speaker = build("speaker", config.networks.speaker, speakers=[])
    with alone(recipe.work_dir / "data"):
        corpora = recipe.build_corpora()
        for corpus in corpora:
            corpus.obtain()
        names = Counter(name for corpus in corpora for name in corpus.splits())
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise UserError(f"corpus and audio_corpus both have a data directory '{twice[0]}'; rename it in one of them")
        for corpus in corpora:
            prepare_corpus(
                corpus,
                tracker=config.tracker,
                clock=config.clock,
                crop=config.crop,
                output=recipe.work_dir / "data",
                jobs=config.prepare.jobs,
                max_failed_share=config.prepare.max_failed_share,
                video_only_ok={config.data.test},
                force=recipe.force,
            )
        for name in names:
            speaker.prepare(recipe.data(name))
    _next("2 (audio pre-training)")


def pretrain(recipe: Recipe) -> None:
    """Stage 2: A2A on audio alone."""
    config = recipe.config
    _train(recipe, "a2a", "pretrain", config.pretrain, config.data.pretrain, config.data.pretrain_valid)
    _next("3 (decoder transfer)")


def transfer(recipe: Recipe) -> None:
    """Stage 3: a V2A checkpoint with parts of the A2A one in it, and the ledger of what moved."""
    from v2skit.train.transfer import transfer as move

    config, out = recipe.config, recipe.exp / "transfer"
    source = trained(config, recipe.exp / "pretrain", config.pretrain, "stage 2")
    saved = checkpoint.load(source)
    made_from = {"step": saved.meta.step, "digest": checkpoint.digest(source)}
    if (out / "ledger.json").exists() and not recipe.force:
        check_made_with(config, out, "transfer", made_from)
        print(f"transfer is done: {out}/ledger.md (--force does it again)")
        return _next("4 (V2S fine-tuning)")
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
    _next("4 (V2S fine-tuning)")


def finetune(recipe: Recipe) -> None:
    """Stage 4: V2A from the transferred weights and, for comparison, from scratch with as many steps."""
    config = recipe.config
    init = recipe.exp / "transfer" / "init"
    if not (init / checkpoint.META).exists():
        raise UserError(f"{init} has no transferred weights; stage 3 makes them")
    _train(recipe, "v2a", "finetune", config.finetune, [config.data.train], config.data.valid, init)
    if config.scratch:
        _train(recipe, "v2a", "scratch", config.finetune, [config.data.train], config.data.valid)
    _next("5 (synthesis)")


def synth(recipe: Recipe) -> None:
    """Stage 5: the test set spoken by each model; and copy synthesis, which alone reads its sound."""
    from v2skit.synth import Synthesiser, copy_synthesis, synthesise

    config, directory = recipe.config, recipe.data(recipe.config.data.test)
    for row, run in ROWS.items():
        if row == "scratch" and not config.scratch:
            continue
        source = trained(config, recipe.exp / run, config.finetune, "stage 4")
        out = _fresh(recipe, row, {"checkpoint": source.name, "digest": checkpoint.digest(source)})
        synthesise(Synthesiser.load(source, recipe.device, config), read_silent(directory), directory, out)
    out = _fresh(recipe, "copy_synthesis", {})
    copy_synthesis(config, read_manifest(directory), out)
    print(f"speech: {out.parent}/")
    _next("6 (scoring)")


def score(recipe: Recipe) -> None:
    """Stage 6: scores of ground truth, copy synthesis and the models."""
    from v2skit.evaluate.report import write_results
    from v2skit.evaluate.score import score as score_files

    config, directory = recipe.config, recipe.data(recipe.config.data.test)
    utterances = read_manifest(directory)
    folders = {row: recipe.exp / "synth" / row for row in ("copy_synthesis", *ROWS) if row != "scratch" or config.scratch}
    sources = {row: _speech_source(recipe, row, folder) for row, folder in folders.items()}
    made_from = {"speech": sources, "scoring": to_tree(config.scoring), "seed": config.seed, "data": _digest(directory)}
    record = recipe.exp / "scored.json"
    if recipe.force or not record.exists() or json.loads(record.read_text(encoding="utf-8")) != made_from:
        metrics, asr = recipe.build_scorers()
        rows = {
            row: score_files(utterances, folder, metrics, asr, config.clock.sample_rate, config.scoring.jobs)
            for row, folder in {"ground_truth": None, **folders}.items()
        }
        write_results(rows, recipe.exp, bootstrap=config.scoring.bootstrap, seed=config.seed)
        _picture(recipe, next((u for u in utterances if u.audio), None), rows)
        write_text(record, json.dumps(made_from))
    print((recipe.exp / "results.md").read_text(encoding="utf-8"))
    print(f"results: {recipe.exp}/results.json, results.md and spectrograms.png")


STAGES = {
    "obtain": obtain,
    "prepare": prepare,
    "pretrain": pretrain,
    "transfer": transfer,
    "finetune": finetune,
    "synth": synth,
    "score": score,
}


def _picture(recipe: Recipe, utterance: Utterance | None, rows: Iterable[str]) -> None:
    """``spectrograms.png``: one test clip, as every row of the results has it."""
    if utterance is None:
        return
    rate = recipe.config.clock.sample_rate
    files = {row: recipe.exp / "synth" / row / f"{utterance.id}.wav" for row in rows}
    files["ground_truth"] = utterance.audio
    sounds = {row.replace("_", " "): read_audio(path, rate) for row, path in files.items() if path.exists()}
    spectrogram_picture(recipe.exp / "spectrograms.png", sounds, recipe.config.clock, recipe.config.mel)


def _train(
    recipe: Recipe, task: str, name: str, settings: Training, train: list[str], valid: str, init: Path | None = None
) -> None:
    with alone(recipe.exp / name):
        _train_alone(recipe, task, name, settings, train, valid, init)


def _train_alone(
    recipe: Recipe, task: str, name: str, settings: Training, train: list[str], valid: str, init: Path | None
) -> None:
    from v2skit.train.loop import Trainer

    config, run = recipe.config, recipe.exp / name
    directories, valid_directory = [recipe.data(d) for d in train], recipe.data(valid)
    for directory in (*directories, valid_directory):
        check_prepared(config, directory, task == "v2a")
    digests = {d.name: _digest(d) for d in (*directories, valid_directory)}
    made_from = {"init": checkpoint.digest(init) if init else None, "data": digests}
    newest = None if recipe.force else checkpoint.latest(run)
    if newest is not None:
        check_made_with(config, run, name, made_from)
        if checkpoint.read_meta(newest).step >= settings.steps:
            print(f"{name} is done: {newest} (--force does it again)")
            return
    if newest is not None or init is not None:
        speakers = checkpoint.read_meta(newest or init).speakers
    else:
        every = [*map(recipe.data, config.data.pretrain), recipe.data(config.data.train)]
        speakers = sorted({u.speaker for d in every if d.exists() for u in read_manifest(d)})
    model = build_model(config, task, speakers)
    parts: dict[str, PartTransfer] = {}
    if init is not None:
        model.load_state_dict(checkpoint.load(init).weights)
        parts = config.transfer

    def dataset(directories: list[Path], training: bool) -> SpeechDataset:
        return SpeechDataset(
            directories,
            [model.speaker.reader(d) for d in directories],
            config.clock,
            with_video=task == "v2a",
            augmentation=config.augmentation,
            training=training,
            segment_frames=settings.segment_frames,
            seed=config.seed,
            cache_mb=settings.cache_mb,
        )

    count = sum(p.numel() for p in model.parameters())
    print(f"{name}: {count / 1e6:.2f} M parameters, {settings.steps} steps, into {run}/")
    train_set, valid_set = dataset(directories, True), dataset([valid_directory], False)
    EndlessBatches(train_set.lengths, settings.batch_frames, config.seed)  # may refuse, before anything is deleted
    start(config, run, made_from, recipe.force)
    Trainer(run, task, config, settings, model, train_set, valid_set, speakers, parts, recipe.device).train()
    print(f"{name}: best checkpoint {checkpoint.best(run)}; log.jsonl, samples/ and tensorboard/ beside it")


def _digest(directory: Path) -> str | None:
    """Changes with the content of a prepared data directory."""
    return read_settings(directory).get("digest")


def _speech_source(recipe: Recipe, row: str, folder: Path) -> dict:
    """What a row's speech was made from. Raises UserError where it is not whole, or not of the current model."""
    record = folder / "source.json"
    clips = read_silent(recipe.data(recipe.config.data.test))
    if not record.exists() or (row in ROWS and any(not (folder / f"{c.id}.wav").exists() for c in clips)):
        raise UserError(f"{folder} has no speech to score, or not all of it; stage 5 makes it")
    source = json.loads(record.read_text(encoding="utf-8"))
    if row in ROWS:
        best = trained(recipe.config, recipe.exp / ROWS[row], recipe.config.finetune, "stage 4")
        if source["digest"] != checkpoint.digest(best):
            raise UserError(f"{folder} was spoken by another checkpoint than {best}; run stage 5 again")
    return source


def _fresh(recipe: Recipe, row: str, source: dict) -> Path:
    """The folder for a row's speech, emptied where it was made from another source or --force is given."""
    out = recipe.exp / "synth" / row
    tree = to_tree(recipe.config)
    source = {**source, "vocoder": tree["vocoder"], "clock": tree["clock"], "mel": tree["mel"]}
    source["data"] = _digest(recipe.data(recipe.config.data.test))
    speech_folder(out, source, recipe.force)
    return out


def _next(stage: str) -> None:
    print(f"next: stage {stage}")
