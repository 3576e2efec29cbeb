"""New plug-ins of every kind: packages whose components keep their contracts and are used by all stages."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from tests.conftest import stages
from tests.registry.test_plugins import v2skit
from v2skit.cli.main import main
from v2skit.config.load import components_in, load_config
from v2skit.config.yaml_tree import parse_yaml
from v2skit.errors import UserError
from v2skit.models.pack_header import read_header
from v2skit.recipes.new_plugin import new_plugin
from v2skit.recipes.plugin_template.kinds.metric import MyComponent as MyMetric
from v2skit.registry import plugins
from v2skit.registry.kinds import KINDS
from v2skit.synthesis.synthesiser import load
from v2skit.testing import check_corpus, check_plugin

OF_WAVEFORMS = ("discriminator", "extractor")
"""Kinds that are used in models that output waveforms."""
SIZES = {
    "corpus": {"utterances": 24, "audio_utterances": 6},
    "pretrain": {"steps": 2, "batch_frames": 400, "workers": 0, "validate_every": 2},
    "finetune": {"steps": 2, "batch_frames": 400, "workers": 0, "validate_every": 2},
    "prepare": {"jobs": 1},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Iterator[Path]:
    """The folder of a plug-in ``my_KIND`` of each kind, all of which this process has as if they were installed."""
    folder = tmp_path_factory.mktemp("made")
    paths = [str(folder)]
    for kind in KINDS:
        name = f"my_{kind}"
        text = new_plugin(kind, name, folder)
        assert f"v2skit check-plugin {name}" in text and (folder / "egs/mini/run.sh").exists()
        info = folder / f"{name}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
        (info / "entry_points.txt").write_text(f"[v2skit]\n{name} = {name}\n")
        paths.append(str(folder / name / "src"))
    sys.path[:0] = paths
    plugins.load.cache_clear()
    yield folder
    sys.path[: len(paths)] = []
    plugins.load.cache_clear()


@pytest.mark.parametrize("kind", KINDS)
def test_it_keeps_its_contract_and_its_config_uses_it(kind, made):
    assert [str(finding) for finding in check_plugin(f"my_{kind}")] == []
    config = load_config(made / f"my_{kind}/conf/mel.yaml")
    assert [choice.kind for choice in components_in(config) if choice.type == f"my_{kind}"] == [kind]
    component = made / f"my_{kind}/src/my_{kind}/{kind}.py"
    assert "my_component" not in component.read_text().lower() and len(component.read_text().splitlines()) <= 60


def merged(tree: dict, other: dict) -> dict:
    """The keys of both, those of ``other`` first."""
    return {
        **tree,
        **{k: merged(tree[k], v) if isinstance(v, dict) and isinstance(tree.get(k), dict) and "type" not in v else v
           for k, v in other.items()},
    }  # fmt: skip


def check_pack_with_weights(vocoder, command, path, capsys, monkeypatch):
    """A pack holds the weights that a plug-in's vocoder has from files: here one that depends on an argument."""
    build = vocoder.__init__

    def build_with_weight(self, clock, mel, gain: float = 1.0):
        build(self, clock, mel, gain)
        self.register_buffer("weight", torch.tensor(gain))
        self.digest = "of files"

    monkeypatch.setattr(vocoder, "__init__", build_with_weight)
    assert main(command) == 1
    assert "vocoder 'my_vocoder' reads its weights from files and has no pack_arguments()" in capsys.readouterr().err
    monkeypatch.setattr(vocoder, "pack_arguments", lambda self: {"gain": 0.5}, raising=False)
    assert main(command) == 0
    loaded = load(path, "cpu")
    assert loaded.vocoder.weight == 1 and loaded.config.vocoder.args == {"gain": 0.5}
    assert loaded.vocoder.digest == read_header(path).digest["vocoder"]


def test_all_stages_use_components_of_every_kind(made, tmp_path, capsys, monkeypatch):
    tree = {"base": str(made / "egs/mini/conf/text.yaml"), "scratch": False}
    for kind in KINDS:
        if kind not in OF_WAVEFORMS:
            own = parse_yaml((made / f"my_{kind}/conf/mel.yaml").read_text(), kind)
            tree = merged(tree, {key: value for key, value in own.items() if key != "base"})
    sizes = {**SIZES, "corpus": {"type": "my_corpus", **SIZES["corpus"]}}
    scoring = {"bootstrap": 100, "jobs": 1, "asr": {"type": "my_asr"}, "metrics": {"pesq_wb": None, "pesq_nb": None}}
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump(merged(merged(tree, sizes), {"scoring": scoring})))
    names = ("obtain", "prepare", "pretrain", "transfer", "finetune", "synth", "score")
    command = ["--config", str(path), "--work_dir", str(tmp_path), "--device", "cpu"]
    assert max(main(["stage", name, *command]) for name in names) == 0
    used = set(json.loads(next((tmp_path / "exp/all/finetune").glob("checkpoint-*/meta.json")).read_text())["plugins"])
    networks = ("visual_frontend", "audio_frontend", "speaker", "encoder", "decoder", "vocoder", "head", "tokenizer")
    assert used >= {f"my_{kind}" for kind in (*networks, "target")}
    row = json.loads((tmp_path / "exp/all/results.json").read_text())["rows"]["pretrained"]
    assert "my_metric" in row and "wer" in row
    log = (tmp_path / "exp/all/pretrain/my_logger.csv").read_text()
    assert "my_loss=" in log and "cross_entropy=" in log
    check_corpus(lambda: plugins.class_of("corpus", load_config(path).corpus)(tmp_path, **SIZES["corpus"]))
    pack = ["pack", str(tmp_path / "exp/all"), "-o", str(tmp_path / "all.v2s")]
    assert main(pack) == 0
    vocoder = type(load(tmp_path / "all.v2s", "cpu").vocoder)
    assert vocoder.__module__ == "my_vocoder.vocoder"
    check_pack_with_weights(vocoder, [*pack, "--force"], tmp_path / "all.v2s", capsys, monkeypatch)

    sets = ("networks.decoder.dim=16", "networks.decoder.blocks=1")
    for kind in OF_WAVEFORMS:
        config = tmp_path / f"{kind}.yaml"
        config.write_text(yaml.safe_dump({"base": str(made / f"my_{kind}/conf/mel.yaml"), **SIZES}))
        assert stages(tmp_path, config, "pretrain", sets=sets) == 0


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("decodr", "mine", "unknown kind 'decodr'; did you mean 'decoder'?"),
        ("decoder", "My-Decoder", "'My-Decoder' is no name for a plug-in; use lower-case letters"),
        ("decoder", "class", "'class' is no name"),
        (
            "loss",
            "my_loss_",
            "'my_loss_' is no name for a plug-in; use lower-case letters, digits and '_' between them",
        ),
        *(("head", name, f"'{name}' is no name .*: choose one such as my_head") for name in ("on", "y", "null", "egs")),
        ("decoder", "istft", "the name 'istft' is taken by plug-in 'v2skit'"),
        ("decoder", "json", "the name 'json' is taken by an installed module"),
        ("decoder", "there", "there exists already; choose another name"),
    ],
)
def test_what_can_not_be_made_is_an_error(kind, name, message, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        new_plugin(kind, name, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_the_metric_of_the_template_scores_silence_lowest():
    random = np.random.default_rng(0)
    speech = 0.1 * random.standard_normal(4800)
    late = np.roll(speech, 300) + 0.05 * random.standard_normal(4800)
    values = [
        MyMetric()(speech, other, 24000)["my_component"] for other in (0 * speech, late, speech + late / 9, speech)
    ]
    assert values == sorted(values) and values[0] == -100 and values[-1] == 100


def test_a_kind_of_a_plugin_has_no_template(tmp_path):
    source = "import v2skit\n@v2skit.hookimpl\ndef register_kinds(register):\n    register('segmenter', 'x -> y')\n"
    (tmp_path / "kinds.py").write_text(source)
    info = tmp_path / "kinds-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kinds\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[v2skit]\nkinds = kinds\n")
    result = v2skit("new-plugin", "segmenter", "mine", site=tmp_path, cwd=tmp_path)
    assert result.returncode == 1 and "kind 'segmenter' is of plug-in 'kinds'" in result.stderr
