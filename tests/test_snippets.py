"""The code of the pages runs: blocks of Python, configs, and commands that take seconds, on a tiny trained model."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
import torch
import yaml
from torch import nn

import v2skit
from tests.cases.model import untrained_run
from tests.conftest import ROOT, TINY, make_data, stages
from tests.media_files import make_video
from tests.test_readme import DOCS, NEW_RECIPE, TEXT, commands
from v2skit.cli.main import main
from v2skit.config.features import Clock, Mel
from v2skit.config.load import load_config
from v2skit.registry.component import Component
from v2skit.synthesis.synthesiser import Synthesiser
from v2skit.testing import check_audio_frontend

PAGES = [page for page in DOCS if page.stem != "plugin_tutorial"]
"""Those without a test of their own that follows them word for word."""
BLOCKS = [
    (page, language, block)
    for page in PAGES
    for language, block in re.findall(r"```(python|yaml)\n(.*?)```", TEXT[page], re.DOTALL)
]
NOT_HERE = (
    r"serve|stream( |$)|listen-score",  # for people, with devices
    r"hf://\S+$|--private",  # of a hub
    r"^new-|^check-|^data |^audit|^evaluate /data|egs/mine",  # of plug-ins, corpora and recipes
    r"exp/text/finetune|exp/cpu|--voices? [^s]|--metric wer|exp/mel_1|--align|onnx",  # not of the tiny experiment
)
"""Commands that other tests run, or that can't end; test_readme.py parses them."""


def quick() -> list[tuple[str, ...]]:
    """The commands of v2skit in the pages, in their order, each once."""
    found = [tuple(words[1:]) for page in PAGES for _, words in commands(page) if words[0].endswith("v2skit")]
    return [words for words in dict.fromkeys(found) if not re.search("|".join(NOT_HERE), " ".join(words))]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with what the pages name: videos, mini's experiment with scores, others that are copies of it, packs."""
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("place")
    recipe = place / "egs/mini"
    for seed, (name, count) in enumerate({"test": 8, "audio": 6, "train": 6, "valid": 3}.items()):
        make_data(recipe / "data" / name, count, name != "audio", seed)
    config = recipe / "conf/mel.yaml"
    config.parent.mkdir()
    config.write_text(
        yaml.safe_dump({**TINY, "scoring": {**TINY["scoring"], "metrics": {"pesq_wb": None, "pesq_nb": None}}})
    )
    assert stages(recipe, config, "pretrain", "transfer", "finetune", "synth", "score") == 0
    for copy in ("mini/exp/flow_mel", "grid/exp/mel", "grid/exp/text"):
        shutil.copytree(recipe / "exp/mel", place / "egs" / copy)
    for name in ("clip.mp4", "long.mp4", "videos/one.mp4"):
        (place / name).parent.mkdir(exist_ok=True)
        make_video(place / name, [n / 25 for n in range(12)], (96, 96))
    for name in ("mini.v2s", "model.v2s"):
        assert main(["pack", str(recipe / "exp/mel"), "-o", str(place / name)]) == 0
    return place


@pytest.fixture
def there(place, monkeypatch) -> Path:
    """The place as working directory; its videos are mouth crops, so no tracker looks for a face."""
    tracker = Synthesiser.tracker
    monkeypatch.setattr(Synthesiser, "tracker", lambda self, choice=None: tracker(self, "none"))
    monkeypatch.chdir(place)
    return place


@pytest.mark.parametrize("words", quick(), ids=" ".join)
def test_a_quick_command_runs(there, words, capsys):
    force = ["--force"] if words[0] in ("synth", "pack") and "--force" not in words else []
    status, printed = main([*words, *force]), capsys.readouterr().err
    if "needs a package that can't be imported" in printed:
        pytest.skip(printed)
    assert status == 0, printed


def test_most_commands_are_quick():
    assert len(quick()) >= 18


class MyFrontend(nn.Module):
    """The frontend whose test docs/contracts.md shows: mel and F0, four values a frame."""

    input = ("mel", "f0")
    out_dim = 8

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(84, 8)

    def forward(self, mel, f0, mask):
        x = torch.cat([mel.unflatten(1, (-1, 4)).mean(2), f0.unflatten(1, (-1, 4)) / 100], -1)
        return self.linear(x) * mask[..., None]


def streaming_run(folder: Path) -> Path:
    """An untrained model of the tiny size with limited look-ahead."""
    encoder = {**TINY["networks"]["encoder"], "look_ahead_frames": 1, "attention_frames": 8}
    return untrained_run(folder, crop={"look_ahead_frames": 1}, encoder=encoder)


GIVEN = {
    "Annotated": Annotated, "Clock": Clock, "Component": Component, "Mel": Mel, "MyFrontend": MyFrontend,
    "check_audio_frontend": check_audio_frontend, "nn": nn, "torch": torch, "v2skit": v2skit,
}  # fmt: skip
"""What a block may use without an import: what the text around it names."""
PYTHON = [(page, block) for page, language, block in BLOCKS if language == "python" and "setuptools" not in block]


@pytest.mark.parametrize(("page", "block"), PYTHON, ids=lambda value: getattr(value, "stem", None))
def test_python_runs(there, tmp_path, page, block):
    names = {**GIVEN, "__name__": "block", "frames": np.zeros((30, 96, 96, 3), np.uint8)}
    if "crops" in block:
        names |= {"crops": np.zeros((30, 96, 96), np.uint8), "model": v2skit.load(streaming_run(tmp_path))}
    exec(compile(block, f"{page.name}", "exec"), names)
    for name, value in list(names.items()):
        if name.startswith("test_"):
            value()
    if "crops" in block:
        whole = names["model"].synthesise_crops(names["crops"], names["model"].voice(None))
        assert np.allclose(names["speech"], whole, atol=1e-5)
    if "sample_rate" in block:
        assert names["speech"].sample_rate == 24000


CONFIGS = [(page, block) for page, language, block in BLOCKS if language == "yaml"]


@pytest.mark.parametrize(("page", "block"), CONFIGS, ids=lambda value: getattr(value, "stem", None))
def test_a_config_can_be_read(tmp_path, page, block):
    """A file of the new recipe, or a part of one on top of mini's; paths of files in it need not exist."""
    shutil.copytree(ROOT / "egs/conf", tmp_path / "egs/conf")
    recipe = tmp_path / NEW_RECIPE
    shutil.copytree(ROOT / "egs/custom/conf", recipe / "conf")
    for other, _, text in BLOCKS:  # the plug-in file that a config of the same page names
        named = re.match(rf"# ({NEW_RECIPE}/\S+\.py)\n", text)
        if named and other == page:
            (tmp_path / named[1]).write_text(text)
    path = re.match(rf"# ({NEW_RECIPE}/\S+)\n", block)
    config = tmp_path / path[1] if path else recipe / "conf/part.yaml"
    config.write_text(block if path else f"base: {ROOT / 'egs/mini/conf/mel.yaml'}\n{block}")
    if "my_corpus" in block:
        pytest.skip("its corpus is a package: test_readme.py installs it")
    assert load_config(config)
