"""Miniature audio-visual corpora, and all stages of their recipes' configs on them with tiny networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, TINY, stages
from tests.media_files import every, make_video
from v2skit.data.data_dir import read_manifest
from v2skit.errors import UserError
from v2skit.media.ark import exists
from v2skit.media.crops import read_crops
from v2skit.registry import plugins

FRAMES = 12
STAGES = ("obtain", "prepare", "pretrain", "transfer", "finetune", "synth", "score")


def clip(path: Path, text: str | None = None, frames: int = FRAMES, sound: bool = True) -> Path:
    """A video of 25 frames/s with a tone, and a text file of the same stem."""
    make_video(path, every(25, frames / 25), audio_seconds=frames / 25 if sound else None)
    if text is not None:
        path.with_suffix(".txt").write_text(text, encoding="utf-8")
    return path


def touch(path: Path, text: str | None = None) -> Path:
    """An empty file instead of a clip, where its content is not read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    if text is not None:
        path.with_suffix(".txt").write_text(text, encoding="utf-8")
    return path


def register(name: str, target: str) -> None:
    """Register a corpus unless it is registered."""
    if name not in [entry.name for entry in plugins.registry().entries("corpus")]:
        plugins.registry().add("corpus", name, target, "v2skit")


def check_utterances(splits: dict) -> list:
    """What every corpus keeps to. Returns the utterances of all splits."""
    utterances = [utterance for found in splits.values() for utterance in found]
    names = [utterance.id for utterance in utterances]
    assert len(names) == len(set(names)) > 0
    assert all(s.id.startswith(s.speaker) and s.id.split() == [s.id] and "/" not in s.id for s in utterances)
    assert all(s.video.is_file() and s.audio.is_file() for s in utterances)
    assert all(s.text is None or s.text == s.text.upper() for s in utterances)
    return utterances


def check_absent(corpus: type, folder: Path) -> None:
    """The errors of no corpus, a missing one and an empty one say where to request it."""
    (folder / "empty").mkdir()
    for name, message in (("", "no corpus given"), ("nowhere", "is not a folder"), ("empty", "has no ")):
        with pytest.raises(UserError, match=message) as error:
            corpus(folder, name).obtain()
        assert corpus.info.remedy in str(error.value) and "--corpus_dir" in str(error.value)


def run_recipe(config: Path, folder: Path, corpus: dict, speaker: str = "none") -> dict:
    """Run all stages of a recipe's config, with tiny networks and a corpus whose clips are mouth crops.

    Args:
        config: of the recipe.
        folder: where the experiment is run.
        corpus: config section of the corpus.
        speaker: type of the speaker component.

    Returns:
        the results by row.
    """
    tiny = {
        "base": str(config),
        "corpus": corpus,
        "tracker": {"type": "none"},
        "vocoder": TINY["vocoder"],
        **{key: TINY[key] for key in ("pretrain", "finetune")},
        "networks": {**TINY["networks"], "speaker": {"type": speaker}},
        "prepare": {"jobs": 1},
        "scoring": {"bootstrap": 100, "jobs": 1, "metrics": dict.fromkeys(("stoi", "estoi", "pesq_wb", "pesq_nb"))},
    }
    (folder / "tiny.yaml").write_text(yaml.safe_dump(tiny))
    assert stages(folder, folder / "tiny.yaml", *STAGES) == 0
    rows = json.loads((folder / "exp/tiny/results.json").read_text())["rows"]
    assert {"copy_synthesis", "scratch", "pretrained"} <= rows.keys()
    return rows


def recipe(name: str) -> Path:
    """The config of a recipe's mel family."""
    return ROOT / "egs" / name / "conf/mel.yaml"


def prepared(folder: Path, split: str) -> list:
    """The utterances of a data directory, all of whose clips have FRAMES frames."""
    utterances = read_manifest(folder / "data" / split)
    assert all(u.frames == FRAMES == len(read_crops(u.video)) and exists(u.audio) for u in utterances)
    return utterances
