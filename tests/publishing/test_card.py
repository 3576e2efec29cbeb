"""README.md of a repository: what the pack says, with a header that the hub can read."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file, save_file

from tests.models.test_package import header_of
from v2skit.cli.main import main
from v2skit.errors import UserError
from v2skit.hub import installed
from v2skit.hub.address import Address
from v2skit.publishing.card import licence_id, readme

GRID = installed.FOLDER / installed.OFFLINE
ADDRESS = Address("me/grid")


def parts(text: str) -> tuple[dict, str]:
    """The metadata and the Markdown of a README.md."""
    start, metadata, body = text.split("---\n", 2)
    assert start == ""
    return yaml.safe_load(metadata), body


def changed(path: Path, out: Path, **changes) -> Path:
    """A pack with changes to its header."""
    save_file(load_file(path), out, {"v2skit": json.dumps({**header_of(path), **changes})})
    return out


def test_the_installed_model_has_a_whole_card():
    metadata, body = parts(readme(GRID, ADDRESS, ["en"]))
    header = header_of(GRID)
    row = header["scores"]["row"]
    assert (
        metadata["license"] == "cc-by-4.0"
        and metadata["language"] == ["en"]
        and metadata["datasets"] == ["grid", "neural_voices"]
    )
    assert {"video-to-speech", "v2skit"} <= set(metadata["tags"]) and metadata["metrics"] == list(row)
    results = metadata["model-index"][0]["results"][0]["metrics"]
    assert {entry["type"]: entry["value"] for entry in results} == {name: entry["mean"] for name, entry in row.items()}
    assert 'v2skit.load("hf://me/grid")' in body and "--model hf://me/grid" in body
    assert "pip install 'v2skit[hub,tracker]'" in body and "| WER % | 15.2 [11.0, 19.3] | WER over all words" in body
    card = header["card"]
    assert all(text in body for text in (card["made_for"], card["data"], card["limits"], *card["credits"]))
    assert "plug-ins" not in body
    assert "s1, s2, s3, s31, s32, s4; default: s1" in body


def test_the_hub_library_reads_it():
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is missing; pip install 'v2skit[hub]'")
    data = hub.ModelCard(readme(GRID, ADDRESS)).data
    assert data.license == "cc-by-4.0" and data.library_name == "v2skit" and data.model_name == "GRID model"
    assert {result.metric_type for result in data.eval_results} == set(header_of(GRID)["scores"]["row"])


def test_what_is_not_stated_is_said(tmp_path):
    bare = {"name": "bare", "data": "", "licence": "", "notes": ""}
    pack = changed(GRID, tmp_path / "bare.v2s", card=bare, scores=None)
    metadata, body = parts(readme(pack, ADDRESS))
    assert not {"license", "language", "metrics", "model-index"} & metadata.keys()
    assert body.count("not stated") == 3 and "None are packed with the model." in body and "## Notes" not in body


def test_plug_ins_are_named(tmp_path):
    meta = header_of(GRID)["meta"]
    meta["model"]["plugins"]["my_plugin"] = "0.3"
    _, body = parts(readme(changed(GRID, tmp_path / "plugged.v2s", meta=meta), ADDRESS))
    assert "It needs these plug-ins as well: my_plugin 0.3." in body


def test_a_licence_that_the_hub_does_not_know_is_named(tmp_path):
    pack = changed(GRID, tmp_path / "own.v2s", card={**header_of(GRID)["card"], "licence": "ask: us"})
    metadata, _ = parts(readme(pack, ADDRESS))
    assert (metadata["license"], metadata["license_name"]) == ("other", "ask-us")
    assert licence_id("Apache-2.0") == "apache-2.0" and licence_id("CC0") == "cc0-1.0" and licence_id("MIT") == "mit"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("hf://me/a.b-c", Address("me/a.b-c")),
        ("hf://me/x@v1.0/sub/file.v2s", Address("me/x", "v1.0", "sub/file.v2s")),
        ("hf://me/x@refs/pr/3", Address("me/x", "refs/pr/3")),
    ],
)
def test_addresses_have_one_text_form(text, address):
    assert Address.parse(text) == address and str(address) == text


INJECTION = '"); __import__("os").system("id") #'


@pytest.mark.parametrize(
    "text",
    [
        *("hf://", "hf://me", "hf://me/x/model.pt", "hf://me/x@", "hf://me/x/y", "hf://../x"),
        *("hf://me/x/../../y.v2s", "hf://me/x/a/../y.v2s", "hf://me/x//etc/y.v2s", "hf://me/x@.."),
        *(f"hf://me/x@{INJECTION}", f"hf://me/x/{INJECTION}.v2s", "hf://me/x@v1;id", "hf://me/x/$(id).v2s"),
    ],
)
def test_other_texts_are_no_addresses(text):
    with pytest.raises(UserError, match="is no address of a packed model; give hf://owner/name"):
        Address.parse(text)


@pytest.mark.parametrize(
    "fields",
    [{"file": "../y.v2s"}, {"file": "/etc/y.v2s"}, {"file": ""}, {"revision": INJECTION}, {"revision": "v1/y.v2s"}],
)
def test_addresses_are_checked_however_they_are_made(fields):
    with pytest.raises(UserError, match="is no address of a packed model"):
        Address("me/x", **fields)


def test_a_dry_run_keeps_other_files(tmp_path, capsys):
    command = ["push", str(GRID), "hf://me/grid/models/grid.v2s", "--dry-run", str(tmp_path)]
    assert main(command) == 0 and main(command) == 0
    card = (tmp_path / "README.md").read_text()
    for name in ("thesis.txt", "models/thesis.txt"):
        (tmp_path / name).write_text("mine")
        assert main(command) == 1
        assert f"{tmp_path} has other files ({name}); name a new folder" in capsys.readouterr().err
        (tmp_path / name).unlink()
    assert (tmp_path / "README.md").read_text() == card


def test_bars_of_a_protocol_are_escaped(tmp_path):
    scores = header_of(GRID)["scores"]
    scores["protocols"]["wer"] = "words | all\nof them"
    _, body = parts(readme(changed(GRID, tmp_path / "barred.v2s", scores=scores), ADDRESS))
    assert r"| words \| all of them |" in body


def test_a_dry_run_needs_no_hub(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    out = tmp_path / "out"
    assert main(["push", str(GRID), "hf://me/grid", "--language", "en", "--dry-run", str(out)]) == 0
    assert capsys.readouterr().out.split() == [f"{out}/grid.v2s", f"{out}/README.md"]
    assert (out / "grid.v2s").read_bytes() == GRID.read_bytes()
    assert (out / "README.md").read_text() == readme(GRID, ADDRESS, ["en"])
    assert main(["push", str(GRID), "hf://me/grid"]) == 1
    assert "v2skit push needs a package that can't be imported" in capsys.readouterr().err
    assert main(["push", str(out / "README.md"), "hf://me/grid", "--dry-run", str(out)]) == 1
    assert "README.md is no v2skit model" in capsys.readouterr().err
