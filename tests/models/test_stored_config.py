"""A checkpoint's config is usable where code that only trained or scored the model is missing."""

import copy
import json

import pytest

from v2skit.config.load import check_config, load_config, to_tree
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.stored_config import check_available, packable_tree, usable_config
from v2skit.registry.component import Component
from v2skit.registry.files import PluginFile, digest_of

HEAD = """
import v2skit


@v2skit.hookimpl
def register_components(register):
"""
OWN = {
    "loss": ("own_loss", lambda tree, choice: tree["losses"].update(own={**choice, "weight": 1.0})),
    "metric": ("own_metric", lambda tree, choice: tree["scoring"]["metrics"].update(own=choice)),
    "asr": ("own_asr", lambda tree, choice: tree["scoring"].update(asr=choice)),
    "corpus": ("own_corpus", lambda tree, choice: tree.update(corpus=choice)),
    "audio_corpus": ("own_corpus", lambda tree, choice: tree.update(audio_corpus=choice)),
    "tracker": ("own_tracker", lambda tree, choice: tree.update(tracker=choice)),
}


def plugin_file(name, body):
    source = HEAD + "".join(f"    {line}\n" for line in body)
    return PluginFile(name, digest_of(source), source)


@pytest.fixture
def stored(tiny):
    """The config of a checkpoint, as a plain tree."""
    return copy.deepcopy(to_tree(load_config(tiny)))


def test_what_can_be_used_stays(stored, tiny):
    assert usable_config(stored, {"v2skit"}, "stored") == load_config(tiny)


@pytest.mark.parametrize("section", OWN)
@pytest.mark.parametrize("by_path", [False, True])
def test_code_that_a_model_does_not_need_is_left_out(stored, section, by_path):
    name, add = OWN[section]
    add(stored, {"type": f"{name}:Own" if by_path else name, "size": 3})
    before = copy.deepcopy(stored)
    config = usable_config(stored, {"v2skit"}, "stored")
    assert stored == before, "the checkpoint's description is changed"
    assert name not in str(to_tree({**vars(config), "tracker": None}))
    assert config.losses.keys() >= {"l1"} and config.networks == usable_config(packable_tree(stored), (), "").networks


def test_the_file_of_a_missing_loss_is_not_run(stored):
    file = plugin_file("own.py", ['raise RuntimeError("run")'])
    stored["losses"]["own"] = {"type": "own_loss", "weight": 1.0}
    stored["plugins"] = [to_tree(file)]
    config = usable_config(stored, {"v2skit"}, "stored")
    assert config.plugins == [] and "own" not in config.losses
    assert packable_tree(stored)["plugins"] == []
    with pytest.raises(UserError, match=r"stored runs the plug-in file own.py saved in it"):
        usable_config(stored, {"v2skit", "own.py"}, "stored")  # the model is made of its components


@pytest.mark.parametrize("kept", ["own_tracker", "own:Tracker"])
def test_a_missing_tracker_is_named_where_one_is_needed(stored, kept):
    stored["tracker"] = {"type": kept}
    for tree in (stored, packable_tree(stored)):
        with pytest.raises(UserError, match=r"tracker 'own.*' of the model's training can't be used.*--tracker"):
            check_available(usable_config(tree, {"v2skit"}, "stored").tracker)
    check_available(Component("none", {}))


def test_a_trusted_file_keeps_its_tracker(stored):
    from v2skit.registry.trust import trusting

    file = plugin_file("own.py", ['register("tracker", "own_tracker", "v2skit.tracking.none:NoTracker")'])
    stored["tracker"] = {"type": "own_tracker"}
    stored["plugins"] = [to_tree(file)]
    with trusting():
        config = usable_config(stored, {"v2skit"}, "stored")
    assert config.tracker.origin == "own.py" and config.plugins == [file]
    check_available(config.tracker)
    assert usable_config(stored, {"v2skit"}, "stored").plugins == []


def test_the_plug_ins_of_a_checkpoint_are_those_of_its_model(stored, tiny):
    from v2skit.config.load import check_config
    from v2skit.registry.trust import trusting

    file = plugin_file("own.py", ['register("metric", "own_metric", "v2skit.evaluation.stoi:Stoi")'])
    stored["scoring"]["metrics"]["own"] = {"type": "own_metric"}
    stored["plugins"] = [to_tree(file)]
    with trusting():
        config = check_config(stored)
    meta = checkpoint.new_meta(config, "v2a", [])
    assert meta.plugins.keys() == {"v2skit"}
    assert [entry["name"] for entry in meta.config["plugins"]] == ["own.py"], "resuming compares its digest"
    assert "own" not in checkpoint.config_of(meta).scoring.metrics


def test_a_pack_does_not_tell_where_data_and_runs_were(tiny):
    sets = [
        "corpus={type: custom, corpus_dir: /home/ann/videos}",
        "audio_corpus={type: audio_folder, directories: [/data/librispeech, speech]}",
        "pretrained=/scratch/ann/exp/mel",
        "parts.encoder={init: /scratch/ann/encoder}",
        "vocoder={type: trained, run: /home/ann/exp/voc}",
    ]
    stored = to_tree(load_config(tiny, sets))
    packed = packable_tree(stored)
    assert not [line for line in json.dumps(packed).split('"') if line.startswith("/")]
    assert packed["corpus"]["corpus_dir"] == "videos" and packed["pretrained"] == "mel"
    assert packed["audio_corpus"]["directories"] == ["librispeech", "speech"]
    assert check_config(packed) and stored["pretrained"] == "/scratch/ann/exp/mel"
