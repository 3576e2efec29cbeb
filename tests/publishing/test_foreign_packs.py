"""Packs of others: odd values that the reader accepts, and names that no address has; and a user's own files."""

from __future__ import annotations

from typing import Any

import pytest

from tests.models.test_package import header_of
from tests.publishing.test_card import GRID, changed, parts
from v2skit.cli.main import main
from v2skit.hub.address import Address
from v2skit.publishing.card import readme

WHOLE = {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 9}


def with_config(**config: Any) -> dict:
    """The ``meta`` of the installed model with changes to its config."""
    meta = header_of(GRID)["meta"]
    meta["model"]["config"] |= config
    return {"meta": meta}


def with_meta(**fields: Any) -> dict:
    meta = header_of(GRID)["meta"]
    meta["model"] |= fields
    return {"meta": meta}


ODD = {
    "a number as an entry": {"scores": {"row": {"estoi": 5, "wer": WHOLE}}},
    "text as a mean": {"scores": {"row": {"estoi": {"mean": "x"}, "wer": WHOLE}}},
    "no interval": {"scores": {"row": {"estoi": {"mean": 1.0, "n": 2}, "wer": WHOLE}}},
    "no number of files": {"scores": {"row": {"estoi": {"mean": 1.0, "low": 0.0, "high": 1.0}, "wer": WHOLE}}},
    "NaN": {"scores": {"row": {"estoi": {**WHOLE, "mean": float("nan")}, "wer": WHOLE}}},
    "text as failures": {"scores": {"row": {"estoi": {**WHOLE, "failed": []}, "wer": WHOLE}}},
    "text as a row": {"scores": {"row": "good"}},
    "no row": {"scores": {"rows": 3}},
    "odd protocols": {"scores": {"row": {"wer": WHOLE}, "protocols": "some"}},
    "a protocol that is none": {"scores": {"row": {"wer": WHOLE}, "protocols": {"wer": [1]}}},
    "text as a tracker": with_config(tracker="none"),
    "a tracker of no type": with_config(tracker={"type": ["none"]}),
    "text as a corpus": with_config(corpus="grid", audio_corpus=3),
    "a corpus of no type": with_config(corpus={"type": {}}),
    "no config": with_meta(config={}),
    "no features": with_meta(features={}),
}


@pytest.mark.parametrize("changes", ODD.values(), ids=ODD)
def test_odd_values_are_left_out_as_by_info(tmp_path, capsys, changes):
    pack = changed(GRID, tmp_path / "odd.v2s", **changes)
    assert main(["info", str(pack)]) == 0
    metadata, body = parts(readme(pack, Address("me/odd")))
    assert "estoi" not in metadata.get("metrics", []) or "scores" not in changes
    assert ("| WER % | 0.500 [0.400, 0.600] |" in body) == ("wer" in (changes.get("scores") or {}).get("row", ()))
    assert main(["push", str(pack), "hf://me/odd", "--demo", str(tmp_path / "demo")]) == 0
    assert "sound:" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["grid.bin", "my model.v2s", "grid..v2s", "modèle.v2s", "grid"])
def test_a_name_that_can_not_be_loaded_is_refused_before_anything_is_written(tmp_path, capsys, monkeypatch, name):
    pack = tmp_path / name
    pack.write_bytes(GRID.read_bytes())
    monkeypatch.setattr("v2skit.publishing.push.client", lambda: pytest.fail("the hub is asked"))
    for more in (["--dry-run", str(tmp_path / "out")], []):
        assert main(["push", str(pack), "hf://me/grid@v1", *more]) == 1
        error = capsys.readouterr().err
        assert "can't be loaded from a hub; rename it, or name it in the address: hf://me/grid@v1/model.v2s\n" in error
    assert not (tmp_path / "out").exists()
    assert main(["push", str(pack), "hf://me/grid/model.v2s", "--dry-run", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"model.v2s", "README.md"}


FILES = {"--dry-run": ("README.md", "grid.v2s"), "--demo": ("README.md", "app.py", "requirements.txt")}


@pytest.mark.parametrize(("option", "name"), [(option, name) for option, names in FILES.items() for name in names])
def test_files_of_the_user_with_names_of_generated_ones_are_kept(tmp_path, capsys, option, name):
    command = ["push", str(GRID), "hf://me/grid", option, str(tmp_path)]
    (tmp_path / name).write_text("mine")
    assert main(command) == 1
    assert f"{tmp_path} has other files ({name}); name a new folder" in capsys.readouterr().err
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]
    (tmp_path / name).unlink()
    assert main(command) == 0 and main(command) == 0
    assert {path.name for path in tmp_path.iterdir()} == set(FILES[option])
