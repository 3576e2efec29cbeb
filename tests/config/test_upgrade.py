"""Stored configs of earlier versions are read; a user's file with the old keys is an error that names the new ones."""

from copy import deepcopy
from typing import Annotated

import pytest

from v2skit.config.check import check
from v2skit.config.load import check_config, load_config, to_tree
from v2skit.config.upgrade import upgrade
from v2skit.errors import UserError
from v2skit.registry import plugins
from v2skit.registry.component import Component
from v2skit.registry.registry import Registry

OLD = {"type": "adversarial", "weight": 1.0, "critics": {"waveform": {"type": "waveform"}}, "learn_steps": 6}
NEW = {
    "type": "adversarial",
    "weight": 1.0,
    "discriminators": {"waveform": {"type": "waveform"}},
    "discriminator_steps": 6,
}


class Adversarial:
    def __init__(self, discriminators: dict, discriminator_steps: int = 1) -> None:
        pass


def test_keys_of_losses_are_renamed_and_nothing_else():
    tree = {"seed": 1, "losses": {"l1": {"type": "l1", "weight": 2}, "gan": OLD}, "prepare": {"slurm": {"critics": 1}}}
    before = deepcopy(tree)
    assert upgrade(tree) == {**tree, "losses": {"l1": tree["losses"]["l1"], "gan": NEW}}
    assert tree == before
    assert upgrade(upgrade(tree)) == upgrade(tree)


def test_a_loss_of_a_plugin_keeps_its_arguments():
    tree = {"losses": {"own": {"type": "own", "weight": 1.0, "critics": 3, "learn_steps": 2}}}
    assert upgrade(tree) == tree


def test_d_vectors_of_a_stored_config_keep_their_scale():
    def networks(**speaker):
        return {"networks": {"speaker": speaker}}

    before = networks(type="d_vector", clips=3)
    assert upgrade(before) == networks(type="d_vector", clips=3, dropout=0.0, scale=1.0)
    assert upgrade(upgrade(before)) == upgrade(before) and "scale" not in before["networks"]["speaker"]
    for same in (networks(type="d_vector", dropout=0.1, scale=16.0), networks(type="table", dim=4)):
        assert upgrade(same) == same


def test_the_whole_training_part_of_a_stored_corpus_needs_no_share():
    now = {"corpus": {"type": "grid", "split": "available"}}
    assert upgrade({"corpus": {"type": "grid", "split": "available", "train_share": 1.0}}) == now == upgrade(now)
    for other in ({"type": "grid", "train_share": 0.25}, {"type": "own", "train_share": 1.0}):
        assert upgrade({"corpus": other}) == {"corpus": other}


def test_another_share_of_a_stored_corpus_is_an_error_that_names_the_command(tiny):
    stored = to_tree(load_config(tiny))
    stored["corpus"] = {"type": "grid", "train_share": 0.25}
    with pytest.raises(UserError, match=r"corpus.train_share 0.25 is of an earlier .* `v2skit data subset` writes"):
        check_config(stored)


@pytest.mark.parametrize("name", ["power", "mfcc", "multi_resolution_stft"])
def test_losses_of_a_stored_config_keep_their_floor(tiny, name):
    stored = to_tree(load_config(tiny, [f"losses.own={{type: {name}, weight: 1}}"]))
    assert stored["losses"]["own"]["range_db"] == 60 and upgrade(stored) == stored
    del stored["losses"]["own"]["range_db"]  # as earlier versions stored it
    assert check_config(stored).losses["own"].args["range_db"] is None and "range_db" not in stored["losses"]["own"]


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"losses": None},
        {"losses": {"l1": 3}},
        {"losses": {"l1": {"type": []}}},
        {"networks": {"speaker": 3}},
        {"networks": []},
        {"corpus": {"type": {}}},
        [],
        None,
    ],
)
def test_what_is_no_config_stays_for_the_check_to_refuse(tree):
    assert upgrade(tree) == tree


def test_a_stored_config_is_upgraded(tiny, monkeypatch):
    tree = to_tree(load_config(tiny))
    stored = []
    monkeypatch.setattr("v2skit.config.load.check", lambda tree, *_: stored.append(tree))
    check_config({**tree, "losses": {"gan": OLD}})
    assert stored == [{**tree, "losses": {"gan": NEW}}]


def test_an_old_key_in_a_users_file_is_an_error_with_the_new_key(monkeypatch):
    own = Registry()
    own.add("loss", "adversarial", f"{__name__}:Adversarial", origin="mine")
    monkeypatch.setattr(plugins, "registry", lambda: own)
    for old, new in (("critics", "discriminators"), ("learn_steps", "discriminator_steps")):
        with pytest.raises(UserError, match=f"loss 'adversarial': unexpected argument '{old}'; did you mean '{new}'?"):
            check({"type": "adversarial", old: OLD[old]}, Annotated[Component, "loss"], "mine.yaml")
