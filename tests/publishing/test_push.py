"""A pack is pushed with its card, and loads from there; what the hub refuses is one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

import v2skit
from tests.cases.model import untrained_run
from tests.hub.hub_server import OWNERS_TOKEN, Repository, as_the_hub
from v2skit.cli.main import main
from v2skit.hub.address import Address
from v2skit.models.pack_header import Card
from v2skit.models.package import pack
from v2skit.publishing.card import readme

pytest.importorskip("huggingface_hub", reason="huggingface_hub is missing; pip install 'v2skit[hub]'")

TINY = "hf://me/tiny"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with as_the_hub(monkeypatch, tmp_path / "cache") as server:
        monkeypatch.setenv("HF_TOKEN", OWNERS_TOKEN)
        yield server


@pytest.fixture
def packed(tmp_path) -> Path:
    path = tmp_path / "tiny.v2s"
    card = Card("tiny", "nothing", "CC0", made_for="gray squares", limits="no words", credits=["squares: nobody"])
    pack(untrained_run(tmp_path), path, None, card)
    return path


def test_what_is_pushed_is_loaded_again(hub, packed, capsys):
    assert main(["push", str(packed), TINY, "--language", "en"]) == 0
    said = capsys.readouterr()
    assert f"pushed: {hub.url}/me/tiny/commit/" in said.out and f"--model {TINY}" in said.out
    assert "does not state" not in said.err
    repository = hub.repositories["me/tiny"]
    card = readme(packed, Address("me/tiny"), ["en"])
    assert repository.commits[-1] == {"tiny.v2s": packed.read_bytes(), "README.md": card.encode()}
    assert len(repository.commits) == 2 and not repository.private  # both files in one commit
    assert v2skit.load(TINY, "cpu").card.name == "tiny"
    assert main(["push", str(packed), f"{TINY}/models/other.v2s"]) == 0
    assert set(repository.commits[-1]) == {"tiny.v2s", "README.md", "models/other.v2s"}
    assert f'v2skit.load("{TINY}/models/other.v2s")' in repository.commits[-1]["README.md"].decode()


def test_private_is_private(hub, packed, capsys):
    assert main(["push", str(packed), TINY, "--private"]) == 0
    assert hub.repositories["me/tiny"].private
    hub.repositories["me/open"] = Repository()
    assert main(["push", str(packed), "hf://me/open", "--private"]) == 1
    assert "me/open is public already; make it private on its page, or leave --private" in capsys.readouterr().err
    assert hub.repositories["me/open"].commits == [{}]


@pytest.mark.parametrize("token", [None, "hf_other"])
def test_without_rights_the_remedy_is_to_log_in(hub, packed, monkeypatch, capsys, token):
    monkeypatch.delenv("HF_TOKEN")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    hub.repositories["me/tiny"] = Repository()
    for address in (TINY, "hf://me/new"):
        assert main(["push", str(packed), address]) == 1
        error = capsys.readouterr().err
        assert f"{address} can't be pushed to: " in error and "log in with hf auth login, or set HF_TOKEN" in error
        assert error.count("\n") == 1
    assert hub.repositories["me/tiny"].commits == [{}]


def test_metadata_that_the_hub_does_not_accept_is_named(hub, packed, capsys):
    assert main(["push", str(packed), TINY, "--language", "english"]) == 1
    error = capsys.readouterr().err
    assert '"language" must be an ISO 639-1, 639-2 or 639-3 code: english; correct that\n' in error
    assert error.count("\n") == 1 and hub.repositories["me/tiny"].commits == [{}]


def test_without_a_connection_nothing_is_pushed(hub, packed, capsys):
    hub.shutdown()
    hub.server_close()
    assert main(["push", str(packed), TINY]) == 1
    assert "can't be pushed to: no connection to the hub (" in capsys.readouterr().err


def test_an_incomplete_card_is_named(hub, tmp_path, capsys):
    pack(untrained_run(tmp_path), tmp_path / "bare.v2s", None, Card("bare"))
    assert main(["push", str(tmp_path / "bare.v2s"), "hf://me/bare"]) == 0
    assert "the card does not state made_for, data, licence, limits, credits; pack again" in capsys.readouterr().err
