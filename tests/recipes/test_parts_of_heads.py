"""Heads are parts: initialised from a file, frozen, and refused where they were trained on other targets."""

import json

import pytest
import torch

from tests.conftest import make_data, stages
from tests.open_components import open_components
from v2skit.models import checkpoint

__all__ = ["open_components"]  # a fixture

HEAD = (
    "targets.loudness={type: loudness}",
    "networks.heads.loud={type: linear_test, on: encoder}",
    "losses.loud={type: squared_test, weight: 0.5}",
)


@pytest.mark.usefixtures("open_components")
def test_a_head_is_initialised_frozen_and_fits_its_targets(recipe_folder, tiny, tmp_path, capsys):
    assert stages(recipe_folder, tiny, "pretrain", sets=HEAD) == 0
    first = checkpoint.load(checkpoint.best(recipe_folder / "exp/tiny/pretrain")).inference_weights
    again = tmp_path / "again.yaml"
    again.write_text(tiny.read_text())
    init = f"parts={{heads.loud: {{init: {recipe_folder / 'exp/tiny'}, frozen: all}}}}"
    assert stages(recipe_folder, again, "pretrain", sets=(*HEAD, init)) == 0
    run = recipe_folder / "exp/again/pretrain"
    assert json.loads((run / "ledger.json").read_text())["shares"] == {"heads.loud": 1.0}
    second = checkpoint.load(checkpoint.latest(run)).weights
    heads = [name for name in second if name.startswith("heads.loud.")]
    assert heads and all(torch.equal(second[name], first[name]) for name in heads)
    assert not torch.equal(second["decoder.linear.weight"], first["decoder.linear.weight"])
    other = tmp_path / "other"
    for seed, name in enumerate(("audio", "train", "valid")):
        make_data(other / "data" / name, 4, name != "audio", seed + 10)
    assert stages(other, again, "pretrain", sets=(*HEAD, init)) == 1
    message = capsys.readouterr().err
    assert "have different targets 'loudness', fitted to other data or with other settings" in message
    assert stages(recipe_folder, again, "pretrain", sets=(init,)) == 1
    assert "parts.heads.loud: no such part; known: audio_frontend, decoder, encoder" in capsys.readouterr().err
