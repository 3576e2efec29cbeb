"""Models by their address on a hub: fetched, kept for times without a connection, and refused in one sentence."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import v2skit
from tests.cases.model import untrained_run
from tests.conftest import make_data
from tests.hub.hub_server import OWNERS_TOKEN, Repository, as_the_hub, described
from tests.models.test_package import header_of
from v2skit.cli.main import _parser, main
from v2skit.cli.options import chosen_model
from v2skit.errors import UserError
from v2skit.hub.fetch import local_path
from v2skit.models.pack_header import Card, read_header
from v2skit.models.package import pack

MISSING = "huggingface_hub is missing; pip install 'v2skit[hub]'"
huggingface_hub = pytest.importorskip("huggingface_hub", reason=MISSING)
constants = pytest.importorskip("huggingface_hub.constants", reason=MISSING)

TINY = "hf://me/tiny"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with as_the_hub(monkeypatch, tmp_path / "cache") as server:
        yield server


@pytest.fixture
def packed(tmp_path) -> Path:
    path = tmp_path / "tiny.v2s"
    pack(untrained_run(tmp_path), path, None, Card("tiny", "nothing", "CC0", made_for="gray squares"))
    return path


@pytest.fixture
def tiny(hub, packed) -> Repository:
    """A repository with one pack."""
    hub.repositories["me/tiny"] = Repository(commits=[{"README.md": b"", "tiny.v2s": packed.read_bytes()}])
    return hub.repositories["me/tiny"]


def test_a_model_is_loaded_by_its_address(tiny, packed):
    assert v2skit.load(TINY, "cpu").digest == read_header(packed).digest["model"]
    assert v2skit.load(f"{TINY}/tiny.v2s", "cpu").card.name == "tiny"


def test_a_revision_is_that_of_the_address(tiny, packed, hub):
    first = tiny.sha()
    tiny.commits.append({"tiny.v2s": b"of a later version"})
    assert local_path(f"{TINY}@{first}").read_bytes() == packed.read_bytes()
    assert local_path(TINY).read_bytes() == local_path(f"{TINY}@main").read_bytes() == b"of a later version"
    downloads = [request for request in hub.requests if request == f"GET /me/tiny/resolve/{tiny.sha()}/tiny.v2s"]
    assert len(downloads) == 1


def test_commands_accept_an_address(tiny, tmp_path, capsys):
    make_data(tmp_path / "data", count=1)
    command = ["synth-data", str(tmp_path / "data"), "-o", str(tmp_path / "out"), "--device", "cpu"]
    assert main([*command, "--model", TINY, "--vocoder", f"{TINY}@main"]) == 1
    assert "has no vocoder in it" in capsys.readouterr().err
    assert main([*command, "--model", TINY]) == 0
    assert capsys.readouterr().out.startswith("tiny: gray squares\n")
    assert main(["info", TINY]) == 0
    assert capsys.readouterr().out.startswith("tiny: video-to-speech")


@pytest.mark.parametrize("command", ["synth clip.mp4", "synth-data data -o out", "serve", "stream"])
def test_every_command_with_a_model_resolves_it_once(tiny, hub, command):
    options = _parser().parse_args([*command.split(), "--model", TINY])
    path = chosen_model(options)
    assert path.is_file() and chosen_model(options) == path
    assert hub.requests.count("GET /api/models/me/tiny") == 1


@pytest.mark.parametrize("how", ["offline", "disconnected", "failing"])
def test_without_a_connection_the_cached_one_is_used(tiny, hub, monkeypatch, capsys, how):
    path = local_path(TINY)
    assert not capsys.readouterr().err
    if how == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    elif how == "failing":
        hub.failing = True
    else:
        hub.shutdown()
        hub.server_close()
    assert local_path(TINY) == path
    reason = {"offline": "HF_HUB_OFFLINE is set", "failing": "the hub fails (503)"}.get(how, "no connection to the hub")
    said = capsys.readouterr().err
    assert (
        said.startswith(f"v2skit: {TINY}: {reason}") and f"the copy in the cache, of commit {tiny.sha()[:12]}\n" in said
    )
    with pytest.raises(UserError, match=r"hf://me/other can't be fetched: .*, and the cache has no copy of it; load"):
        local_path("hf://me/other")


def test_a_damaged_copy_in_the_cache_is_fetched_again(tiny, packed):
    copy = local_path(TINY).resolve()
    data = bytearray(packed.read_bytes())
    data[-1] ^= 1
    copy.write_bytes(data)
    assert local_path(TINY).read_bytes() == packed.read_bytes()


def test_what_is_damaged_on_the_hub_is_refused_by_its_digest(tiny):
    data = bytearray(tiny.commits[0]["tiny.v2s"])
    data[-1] ^= 1
    tiny.commits.append({"tiny.v2s": bytes(data)})
    with pytest.raises(UserError, match="tiny.v2s is damaged: its weights do not match their digest"):
        v2skit.load(TINY, "cpu")


def test_what_never_matches_the_digest_of_the_hub_is_refused(tiny, monkeypatch):
    def wrong(name: str, content: bytes) -> dict:
        entry = described(name, content)
        return {**entry, "lfs": {**entry["lfs"], "sha256": "0" * 64}} if "lfs" in entry else entry

    monkeypatch.setattr("tests.hub.hub_server.described", wrong)
    with pytest.raises(UserError, match=f"{TINY}: tiny.v2s does not match the hub's digest of it, fetched twice; push"):
        local_path(TINY)


def test_the_commit_that_was_checked_is_fetched(tiny, packed, monkeypatch):
    def overtaken(api, *args, **named):
        info = model_info(api, *args, **named)
        tiny.commits.append({"tiny.v2s": b"of a later version"})
        return info

    model_info = huggingface_hub.HfApi.model_info
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", overtaken)
    assert local_path(TINY).read_bytes() == packed.read_bytes()


def test_repositories_with_pickles_are_refused_unless_trusted(tiny, capsys):
    tiny.commits[0]["old/model.pt"] = b""
    with pytest.raises(UserError, match="old/model.pt there is a pickle, .*; v2skit loads the .v2s file only"):
        local_path(TINY)
    assert main(["info", TINY]) == 1 and "give --trust-plugins" in capsys.readouterr().err
    assert main(["info", TINY, "--trust-plugins"]) == 0
    assert v2skit.load(TINY, "cpu", trust_plugins=True).card.name == "tiny"


def test_packs_with_code_are_refused(tiny, tmp_path):
    source = local_path(TINY)
    header = header_of(source)
    header["meta"]["model"]["config"]["plugins"] = [{"name": "evil.py", "source": "raise SystemExit"}]
    save_file(load_file(source), tmp_path / "evil.v2s", {"v2skit": json.dumps(header)})
    tiny.commits.append({"tiny.v2s": (tmp_path / "evil.v2s").read_bytes()})
    with pytest.raises(UserError, match="needs the plug-in file evil.py"):
        v2skit.load(TINY, "cpu")


@pytest.mark.parametrize(
    ("files", "address", "message"),
    [
        (
            {"README.md": b""},
            TINY,
            "hf://me/tiny has no packed model; v2skit pack and v2skit push put a .v2s",
        ),
        ({"a.v2s": b"", "b/c.v2s": b""}, TINY, r"hf://me/tiny has several packed models; name one of a.v2s, b/c.v2s"),
        ({"a.v2s": b""}, f"{TINY}/b.v2s", "hf://me/tiny/b.v2s: there is no such file; name one of a.v2s"),
        ({"a.v2s": b""}, f"{TINY}@v9", "hf://me/tiny@v9 can't be fetched: it has no such revision; name a branch, tag"),
        (
            {"a.v2s": b""},
            "hf://me/none",
            "/me/none does not exist or is private; check the name, or log in with",
        ),
        (
            {"a.v2s": b""},
            "hf://tiny",
            "hf://tiny is no address of a packed model; give hf://owner/name, hf://owner/name@",
        ),
        ({"a.v2s": b""}, "hf://me/ti--ny", "hf://me/ti--ny can't be fetched: .*; correct that"),
    ],
)
def test_what_is_not_there_is_named(hub, files, address, message):
    hub.repositories["me/tiny"] = Repository(commits=[files])
    with pytest.raises(UserError, match=message) as error:
        local_path(address)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("token", [None, "hf_other"])
def test_gated_repositories_name_the_page_where_access_is_asked_for(tiny, hub, monkeypatch, token):
    tiny.gated = True
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(UserError, match=f"it is gated; ask for access at {hub.url}/me/tiny, then log in with hf auth"):
        local_path(TINY)
    monkeypatch.setenv("HF_TOKEN", OWNERS_TOKEN)
    assert local_path(TINY).is_file()


def test_a_full_disk_is_one_sentence(tiny):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # smaller than the pack
    try:
        with pytest.raises(UserError, match="can't be fetched: .*File too large.*; HF_HOME names a folder elsewhere"):
            local_path(TINY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_failed_transfer_is_one_sentence(tiny, monkeypatch):
    def fail(*_args, **_named):
        raise RuntimeError("Data processing error:\n no server")

    monkeypatch.setattr("huggingface_hub.HfApi.hf_hub_download", fail)
    with pytest.raises(UserError, match=r"fetched: the transfer failed \(RuntimeError: Data processing error: no ser"):
        local_path(TINY)


def test_paths_are_not_asked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert local_path("run/hf") == Path("run/hf") and local_path(tmp_path) == tmp_path
    with pytest.raises(UserError, match=r"the address hf://me/tiny needs a package .*pip install 'v2skit\[hub\]'"):
        local_path(TINY)
