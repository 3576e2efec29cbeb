"""Tiny data directories and configs, made on the spot."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from v2skit.cli.main import main
from v2skit.config.features import Clock, Crop
from v2skit.data.data_dir import Utterance, read_manifest, write_manifest
from v2skit.media.audio import write_audio
from v2skit.media.crops import write_crops
from v2skit.models.speakers import stored_vectors

ROOT = Path(__file__).parent.parent

TINY = {
    "base": str(ROOT / "egs/conf/mel.yaml"),
    "corpus": {"type": "mini"},
    "networks": {
        "visual_frontend": {"type": "resnet3d_small", "channels": [4, 8]},
        "audio_frontend": {"type": "mel_conv", "channels": [8], "out_dim": 8},
        "speaker": {"type": "table", "dim": 4},
        "encoder": {
            "type": "conformer", "size": None, "blocks": 1, "dim": 16, "heads": 2, "ff_dim": 16, "conv_kernel": 3,
        },
    },
    "vocoder": {"type": "griffin_lim", "iterations": 2, "fit_iterations": 2},
    "pretrain": {"steps": 4, "batch_frames": 60, "segment_frames": 12, "log_every": 1, "workers": 0},
    "finetune": {"steps": 4, "batch_frames": 60, "segment_frames": 12, "log_every": 1, "workers": 0},
    "scoring": {"bootstrap": 200, "jobs": 1},
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    """Tests of tiny models are quickest, and share the cores best, with one thread."""
    torch.set_num_threads(1)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A config file of tiny models."""
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY, sort_keys=False))
    return path


def make_data(directory: Path, count: int = 6, video: bool = True, seed: int = 0) -> list[Utterance]:
    """A prepared data directory: hums whose loudness follows a bright square's size, 10 to 20 frames long."""
    random, clock, utterances = np.random.default_rng(seed), Clock(), []
    for number in range(count):
        frames = int(random.integers(10, 21))
        size = 8 + 30 * (0.5 + 0.5 * np.sin(np.arange(frames) / 3 + random.uniform(0, 6)))
        name, speaker = f"s{number % 2}-{seed}{number:03d}", f"s{number % 2}"
        loud = np.repeat(size / 40, clock.samples_per_frame)
        time = np.arange(len(loud)) / clock.sample_rate
        sound = 0.3 * loud * np.sin(2 * np.pi * random.uniform(150, 300) * time)
        crops = np.full((frames, 96, 96), 60, np.uint8)
        for crop, side in zip(crops, size.astype(int), strict=True):
            crop[48 - side // 2 : 48 + side // 2, 48 - side // 2 : 48 + side // 2] = 200
        audio, picture = directory / "audio" / f"{name}.flac", directory / "video" / f"{name}.mp4"
        write_audio(audio, sound.astype(np.float32), clock.sample_rate)
        if video:
            picture.parent.mkdir(parents=True, exist_ok=True)
            write_crops(picture, crops, clock.fps)
        words = "BIN BLUE AT F TWO NOW"
        utterances.append(Utterance(name, speaker, frames, audio, picture if video else None, words))
    settings = {"clock": dataclasses.asdict(clock), "crop": dataclasses.asdict(Crop())}
    write_manifest(directory, utterances, settings)
    return utterances


def make_d_vectors(directory: Path) -> None:
    """Random d-vectors of a data directory, as its preparation writes them."""
    utterances = sorted(read_manifest(directory), key=lambda u: u.id)
    vectors = np.random.default_rng(0).random((len(utterances), stored_vectors.DIM))
    clips = stored_vectors.clips_of_speakers(utterances, len(utterances))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    stored_vectors.write(directory, clips, ((u.id, vector) for u, vector in zip(utterances, unit, strict=True)))


@pytest.fixture
def recipe_folder(tmp_path: Path) -> Path:
    """A recipe's folder with prepared data: audio, train, valid, test."""
    for seed, (name, video) in enumerate({"audio": False, "train": True, "valid": True, "test": True}.items()):
        make_data(tmp_path / "data" / name, 6 if name in ("audio", "train") else 3, video, seed)
    return tmp_path


WAVEFORM = str(ROOT / "egs/conf/waveform.yaml")
ISTFT = {"type": "istft", "dim": 8, "blocks": 1}


MODERN = {
    "type": "adversarial", "weight": 1.0, "objective": "hinge", "feature_matching": 2.0, "start_after": 2,
    "window_frames": 4,
    "discriminators": {
        "multi_period": {"type": "multi_period", "periods": [2, 3], "channels": 1},
        "multi_resolution": {"type": "multi_resolution", "n_ffts": [256], "channels": 2},
    },
}  # fmt: skip


def stages(folder: Path, config: Path, *names: str, sets: tuple[str, ...] = (), more: tuple[str, ...] = ()) -> int:
    """Run stages. Returns the largest exit status."""
    changes = [x for value in ("scoring.asr=null", *sets) for x in ("--set", value)]
    options = ["--config", str(config), "--work_dir", str(folder), "--device", "cpu", *changes, *more]
    return max(main(["stage", name, *options]) for name in names)


def write(path: Path, tiny: Path, bases: list[str], **sections) -> Path:
    """A config on top of the tiny one and of others."""
    path.write_text(yaml.safe_dump({"base": [str(tiny), *bases], **sections}))
    return path


def vocoder_config(tmp_path: Path, tiny: Path, **more) -> Path:
    """A config of a tiny vocoder with modern discriminators."""
    bases, losses = [str(ROOT / "egs/conf/vocoder.yaml")], {"adversarial": MODERN}
    return write(tmp_path / "vocoder.yaml", tiny, bases, vocoder=ISTFT, losses=losses, **more)


@pytest.fixture
def mel_run(recipe_folder, tiny) -> Path:
    """A finished V2A run of the mel family."""
    assert stages(recipe_folder, tiny, "pretrain", "transfer", "finetune", sets=("scratch=false",)) == 0
    return recipe_folder / "exp/tiny/finetune"


@pytest.fixture(scope="session")
def torchaudio():
    """The package, where it is and works with this torch."""
    try:
        return importlib.import_module("torchaudio")
    except (ImportError, RuntimeError, OSError) as error:
        pytest.skip(f"no torchaudio that works with torch {torch.__version__}: {error}")
