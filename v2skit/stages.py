"""The stages of a recipe: each reads what the ones before it wrote, and says where its output is."""

from __future__ import annotations

import dataclasses
import json
import shutil
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
from v2skit.errors import UserError
from v2skit.evaluate.pictures import spectrogram_picture
from v2skit.settings import Config, PartTransfer, Training
from v2skit.train import checkpoint
from v2skit.train.runs import alone, is_finished, trained

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

    def build_corpora(self) -> list[Any]:
        """The corpus, and the audio-only one where there is one."""
        choices = [self.config.corpus, self.config.audio_corpus]
        return [build("corpus", choice, work_dir=self.work_dir) for choice in choices if choice]


def obtain(recipe: Recipe) -> None:
    """Stage 0: the corpus is generated, or looked for."""
    for corpus in recipe.build_corpora():
        print(corpus.obtain())
    _next("1 (preparation)")


def prepare(recipe: Recipe) -> None:
    """Stage 1: data directories, with reports of what was left out and why."""
    from v2skit.data.prepare import prepare as prepare_corpus

    config = recipe.config
    speaker = build("speaker", config.networks.speaker, speakers=[])
    for corpus in recipe.build_corpora():
        corpus.obtain()
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
        for name in corpus.splits():
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
    source = trained(recipe.exp / "pretrain", config.pretrain, "stage 2")
    saved = checkpoint.load(source)
    record = {"source": str(source), "step": saved.meta.step, "digest": checkpoint.digest(source)}
    if is_finished(recipe.config, recipe.force, out, "transfer", (out / "ledger.json").exists(), record):
        print(f"transfer is done: {out}/ledger.md (--force does it again)")
        return _next("4 (V2S fine-tuning)")
    ours = feature_settings(config.clock, config.mel)
    check_same_features(ours, saved.meta.features, "this config", f"checkpoint {source}")
    model = build_model(config, "v2a", saved.meta.speakers)
    ledger = move(saved.averaged or saved.weights, model, sorted(config.transfer))
    meta = checkpoint.new_meta(config, "v2a", saved.meta.speakers)
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
        source = trained(recipe.exp / run, config.finetune, "stage 4")
        out = _fresh(recipe, row, {"checkpoint": str(source), "digest": checkpoint.digest(source)})
        synthesise(Synthesiser.load(source, recipe.device, config), read_silent(directory), directory, out)
    out = _fresh(recipe, "copy_synthesis", {})
    copy_synthesis(config, read_manifest(directory), out)
    print(f"speech: {out.parent}/")
    _next("6 (scoring)")


def score(recipe: Recipe) -> None:
    """Stage 6: scores of ground truth, copy synthesis and the models."""
    from v2skit.evaluate.report import write_results
    from v2skit.evaluate.score import score as score_files

    config, utterances = recipe.config, read_manifest(recipe.data(recipe.config.data.test))
    metrics = {name: build("metric", choice) for name, choice in config.scoring.metrics.items()}
    grammar = build("corpus", config.corpus, work_dir=recipe.work_dir).grammar()
    asr = build("asr", config.scoring.asr, grammar=grammar) if config.scoring.asr else None
    rows = {}
    for row in ("ground_truth", "copy_synthesis", *ROWS):
        folder = recipe.exp / "synth" / row
        if row == "ground_truth":
            folder.mkdir(parents=True, exist_ok=True)
        elif row == "scratch" and not config.scratch:
            continue
        elif not any(folder.glob("*.wav")):
            raise UserError(f"{folder} has no speech to score; stage 5 makes it")
        hypotheses = None if row == "ground_truth" else folder
        rows[row] = score_files(utterances, hypotheses, metrics, asr, config.clock.sample_rate, config.scoring.jobs)
    write_results(rows, recipe.exp, bootstrap=config.scoring.bootstrap, seed=config.seed)
    _picture(recipe, next((u for u in utterances if u.audio), None), rows)
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
    newest = checkpoint.latest(run)
    done = newest is not None and checkpoint.read_meta(newest).step >= settings.steps
    if is_finished(recipe.config, recipe.force, run, name, done, {"init": checkpoint.digest(init) if init else None}):
        print(f"{name} is done: {newest} (--force does it again)")
        return
    directories, valid_directory = [recipe.data(d) for d in train], recipe.data(valid)
    for directory in (*directories, valid_directory):
        _check_prepared(recipe, directory, task == "v2a")
    if init is not None:
        speakers = checkpoint.read_meta(init).speakers
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
    Trainer(run, task, config, settings, model, train_set, valid_set, speakers, parts, recipe.device).train()
    print(f"{name}: best checkpoint {checkpoint.best(run)}; log.jsonl, samples/ and tensorboard/ beside it")


def _check_prepared(recipe: Recipe, directory: Path, with_video: bool) -> None:
    """Raises UserError where a data directory was prepared with another clock or crop than the config's."""
    read_manifest(directory)
    made = read_settings(directory)
    for name in ("clock", "crop") if with_video else ("clock",):
        now = dataclasses.asdict(getattr(recipe.config, name))
        differs = [f"{name}.{k}: {made[name].get(k)} there, {v} now" for k, v in now.items() if made[name].get(k) != v]
        if differs:
            raise UserError(f"{directory} was prepared with other settings ({'; '.join(differs)}); run stage 1 --force")


def _fresh(recipe: Recipe, row: str, source: dict) -> Path:
    """The folder for a row's speech, emptied where it was made from another source or --force is given."""
    out = recipe.exp / "synth" / row
    tree = to_tree(recipe.config)
    source = {**source, "vocoder": tree["vocoder"], "clock": tree["clock"], "mel": tree["mel"]}
    source["data"] = recipe.config.data.test
    record = out / "source.json"
    if recipe.force or not record.exists() or json.loads(record.read_text(encoding="utf-8")) != source:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        record.write_text(json.dumps(source, indent=1) + "\n", encoding="utf-8")
    return out


def _next(stage: str) -> None:
    print(f"next: stage {stage}")
