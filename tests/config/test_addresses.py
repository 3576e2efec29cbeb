"""Addresses on a hub in configs are pinned where the config is read, for every key; errors name the key."""

from __future__ import annotations

import pytest

from tests.hub.hub_server import Repository, as_the_hub
from v2skit.config.load import flatten, load_config, to_tree
from v2skit.errors import UserError
from v2skit.models.checkpoint import new_meta
from v2skit.models.places import place_in

pytest.importorskip("huggingface_hub", reason="huggingface_hub is missing; pip install 'v2skit[hub]'")

MODEL = "hf://me/model"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with one packed model, whose content is not read here."""
    with as_the_hub(monkeypatch, tmp_path / "cache") as server:
        server.repositories["me/model"] = Repository(commits=[{"model.v2s": b"a pack"}])
        yield server


def test_the_record_of_an_address_names_the_same_weights_when_the_model_is_replaced(hub, tiny):
    repository = hub.repositories["me/model"]
    first = f"{MODEL}@{repository.sha()}/model.v2s"
    config = load_config(tiny, [f"predictor={MODEL}"])
    assert config.predictor == first == new_meta(config, "v2a", []).config["predictor"]
    repository.commits.append({"model.v2s": b"of a later version"})
    assert load_config(tiny, [f"predictor={MODEL}"]).predictor == f"{MODEL}@{repository.sha()}/model.v2s" != first
    hub.requests.clear()
    assert load_config(tiny, [f"predictor={first}"]) == config
    assert place_in(first, "").read_bytes() == b"a pack" and not hub.requests  # a commit does not change


@pytest.mark.parametrize(
    ("key", "override"),
    [
        ("pretrained", "pretrained={}"),
        ("predictor", "predictor={}"),
        ("parts.encoder.init", "parts.encoder={{init: {}}}"),
        ("vocoder.run", "vocoder={{type: trained, run: {}}}"),
        ("losses.words.run", "losses.words={{type: recognition, weight: 1, run: {}}}"),
        (
            "losses.p.extractor.run",
            "losses.p={{type: perceptual, weight: 1, extractor: {{type: audio_frontend, run: {}}}}}",
        ),
    ],
)
def test_every_key_that_names_a_model_may_have_an_address(hub, tiny, key, override):
    pinned = f"{MODEL}@{hub.repositories['me/model'].sha()}/model.v2s"
    assert flatten(to_tree(load_config(tiny, [override.format(MODEL)])))[key] == pinned
    for address, message in (
        ("hf://me/none", "can't be fetched: .*/me/none does not exist or is private; check the name"),
        ("hf://me", "is no address of a packed model; give hf://owner/name"),
    ):
        with pytest.raises(UserError, match=f"^--set: {key}: {address} {message}") as error:
            load_config(tiny, [override.format(address)])
        assert error.value.fields["key"] == key


def test_a_hub_that_is_down_does_not_stop_a_training_from_the_cache(hub, tiny, capsys):
    before = load_config(tiny, [f"predictor={MODEL}"])
    hub.failing = True
    assert load_config(tiny, [f"predictor={MODEL}"]) == before
    assert "the hub fails (503); using the copy in the cache, of commit" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"^--set: predictor: hf://me/other can't be fetched: .* and the cache has no"):
        load_config(tiny, ["predictor=hf://me/other"])


def test_other_keys_are_left_as_they_are(hub, tiny):
    config = load_config(tiny, ["data.folder=hf://me/none"])
    assert config.data.folder == "hf://me/none" and not hub.requests
