"""The mean of the weights of two models."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from tests.cases.model import untrained_run
from tests.conftest import TINY
from v2skit.cli.main import main
from v2skit.hub import installed
from v2skit.models import checkpoint
from v2skit.models.pack_header import Card
from v2skit.models.package import pack


def weights(run):
    return checkpoint.load(checkpoint.folder_in(run, "")).inference_weights


@pytest.fixture
def runs(tmp_path):
    """Two runs of the same networks with other weights."""
    for name in ("fine-tuned", "before"):
        (tmp_path / name).mkdir()
    found = [untrained_run(tmp_path / name) for name in ("fine-tuned", "before")]
    folder = checkpoint.folder_in(found[1], "")
    saved = checkpoint.load(folder)
    for value in saved.weights.values():
        if value.is_floating_point():
            value.add_(torch.randn_like(value))
    saved.averaged = None
    checkpoint.save(saved, folder)
    return found


def test_an_installed_model_is_one_of_two(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(installed, "FOLDER", tmp_path)
    pack(runs[1], tmp_path / "grid.v2s", None, Card())
    assert main(["average", str(runs[0]), "installed:grid", "-o", str(tmp_path / "a.safetensors")]) == 0
    assert main(["average", *map(str, runs), "-o", str(tmp_path / "b.safetensors")]) == 0
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_it_is_between_both_and_init_reads_it(runs, tmp_path, capsys):
    out = tmp_path / "new/mean.safetensors"
    assert main(["average", *map(str, runs), "--share", "0.25", "-o", str(out)]) == 0
    assert f"{out}: " in capsys.readouterr().out
    assert main(["average", *map(str, runs), "-o", str(out)]) == 1
    assert f"{out} exists; name another file with -o, or replace it with --force" in capsys.readouterr().err
    ours, theirs = map(weights, runs)
    mean = load_file(out)
    assert mean.keys() == ours.keys()
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours)
    for name, value in mean.items():
        wanted = 0.25 * ours[name] + 0.75 * theirs[name] if value.is_floating_point() else ours[name]
        assert torch.allclose(value, wanted, atol=1e-5), name


def test_what_has_no_mean_is_refused_and_nothing_is_written(runs, tmp_path, capsys):
    (tmp_path / "wider").mkdir()
    wider = untrained_run(tmp_path / "wider", encoder={**TINY["networks"]["encoder"], "dim": 32})
    scales = []
    for scale in (1.0, 16.0):
        (tmp_path / f"scale{scale:g}").mkdir()
        scales.append(untrained_run(tmp_path / f"scale{scale:g}", speaker={"type": "d_vector", "scale": scale}))
    for arguments, wrong in (
        ([*runs, "--share", "1"], "share 1 must be above 0 and below 1"),
        ([runs[0], wider], "have different networks (decoder.linear.weight)"),
        (scales, "have different networks (networks.speaker.scale)"),
        ([runs[0], tmp_path / "absent"], "absent"),
    ):
        assert main(["average", *map(str, arguments), "-o", str(tmp_path / "mean.safetensors")]) == 1
        assert wrong in capsys.readouterr().err
    assert main(["average", *map(str, runs), "-o", str(tmp_path / "mean.pt")]) == 1
    assert "ends in .safetensors" in capsys.readouterr().err
    assert not list(tmp_path.glob("mean*"))


@pytest.mark.parametrize("speaker", ["d_vector", "table"])
def test_other_speakers_matter_only_where_the_weights_have_a_table_of_them(tmp_path, capsys, speaker):
    runs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        runs.append(untrained_run(tmp_path / name, speaker={"type": speaker}))
        folder = checkpoint.folder_in(runs[-1], "")
        saved = checkpoint.load(folder)
        saved.meta = replace(saved.meta, speakers=[f"{old}{name}" for old in saved.meta.speakers])
        checkpoint.save(saved, folder)
    assert saved.meta.speakers
    status = main(["average", *map(str, runs), "-o", str(tmp_path / "mean.safetensors")])
    assert status == (speaker == "table")
    assert ("different networks (speakers)" in capsys.readouterr().err) == (speaker == "table")
