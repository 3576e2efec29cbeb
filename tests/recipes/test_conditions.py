"""Stage 6 under an evaluation protocol: what it writes, and what it refuses."""

import gzip
import json
from pathlib import Path

import pytest
import torch
import yaml

from tests.conftest import stages
from tests.media_files import real_data
from v2skit.cli.main import main
from v2skit.config.load import load_config
from v2skit.corpora.audiovisual.grid import TALKERS, Grid
from v2skit.data.data_dir import Utterance, read_manifest, write_manifest
from v2skit.evaluation.protocol import Protocol, Split, digest_of, load
from v2skit.recipes.conditions import conditions
from v2skit.recipes.recipe import Recipe

SETS = ("scratch=false", "scoring.metrics.pesq_wb=null", "scoring.metrics.pesq_nb=null")


@pytest.fixture
def protocol(tmp_path, recipe_folder) -> Protocol:
    """A protocol of the tiny recipe, in a file."""
    ids = [u.id for u in read_manifest(recipe_folder / "data/test")]
    tree = {
        "split": vars(Split(digest_of(ids), len(ids), unseen_talkers=False)),
        "sample_rate": 24000,
        "metrics": {"stoi": "STOI"},
        "recogniser": None,
        "normaliser": load("mini@1").normaliser,
        "speaker_reference": ["name of the talker"],
    }
    (tmp_path / "tiny@1.yaml").write_text(yaml.safe_dump(tree))
    return load(str(tmp_path / "tiny@1.yaml"))


def test_results_and_scores_have_the_fingerprint(mel_run, recipe_folder, tiny, protocol, tmp_path, capsys):
    exp, more = recipe_folder / "exp/tiny", ("--protocol", str(tmp_path / "tiny@1.yaml"))
    assert stages(recipe_folder, tiny, "synth", "score", sets=SETS) == 0
    results = json.loads((exp / "results.json").read_text())
    assert results["protocol"] is None and results["conditions"]["split"] == protocol.fields["split"]
    assert stages(recipe_folder, tiny, "score", sets=SETS, more=more) == 0
    results = json.loads((exp / "results.json").read_text())
    assert results["protocol"]["name"] == "tiny@1" and results["protocol"]["fingerprint"] == protocol.fingerprint
    assert results["protocol"]["fields"] == protocol.fields
    assert results["conditions"]["speaker_reference"] == "name of the talker"
    assert f"protocol tiny@1, fingerprint {protocol.fingerprint}" in (exp / "results.md").read_text()
    for line in (exp / "synth/pretrained/scores.jsonl").read_text().splitlines():
        assert json.loads(line)["protocol"] == protocol.fingerprint
        assert json.loads(line)["speaker"] in ("s0", "s1")

    before = (exp / "results.json").read_bytes()
    text = (tmp_path / "tiny@1.yaml").read_text().replace("count: 3", "count: 4").replace("24000", "16000")
    (tmp_path / "tiny@1.yaml").write_text(text)
    capsys.readouterr()
    assert stages(recipe_folder, tiny, "score", sets=SETS, more=more) == 1
    wanted = "sample_rate: 16000 in the protocol, 24000 here; split.count: 4 in the protocol, 3 here"
    assert f"protocol tiny@1 does not hold: {wanted}; change the config" in capsys.readouterr().err
    assert (exp / "results.json").read_bytes() == before


def test_stage_0_names_fields_that_the_config_alone_decides(tmp_path, tiny, protocol, capsys):
    options = ["--config", str(tiny), "--work_dir", str(tmp_path), "--set", "scoring.asr=null"]
    assert main(["stage", "obtain", *options, "--protocol", "mini@1"]) == 1
    error = capsys.readouterr().err
    assert "protocol mini@1 does not hold: recogniser" in error and "split" not in error
    assert main(["stage", "obtain", *options, "--protocol", "nothing@1"]) == 1
    assert "no protocol 'nothing@1'" in capsys.readouterr().err


def test_talkers_are_unseen_where_no_training_data_have_them(mel_run, recipe_folder, tiny):
    train = recipe_folder / "data/train/utt2spk"

    def unseen(text):
        train.write_text(text)
        assert stages(recipe_folder, tiny, "score", sets=SETS, more=("--force",)) == 0
        return json.loads((recipe_folder / "exp/tiny/results.json").read_text())["conditions"]["split"][
            "unseen_talkers"
        ]

    assert stages(recipe_folder, tiny, "synth", sets=SETS) == 0
    assert unseen(train.read_text()) is False
    others = train.read_text().replace(" s0", " other").replace(" s1", " another")
    assert unseen(others) is False  # the audio for pre-training has them too
    audio = recipe_folder / "data/audio/utt2spk"
    audio.write_text(audio.read_text().replace(" s0", " other").replace(" s1", " another"))
    assert unseen(others) is True
    (recipe_folder / "data/train/utt2num_frames").unlink()
    assert unseen(others) is None


@pytest.mark.parametrize(("name", "split"), [("grid-unseen@1", "unseen33"), ("grid-seen4@1", "seen4")])
def test_the_test_set_of_the_whole_of_grid_is_that_of_the_protocol(tmp_path, monkeypatch, name, split):
    with gzip.open(real_data("grid_sentences.tsv.gz"), "rt") as file:
        sentences = [line.split("\t")[:2] for line in file][1:]
    clips = {number: [Path(f"s{number}/{c}.mpg") for t, c in sentences if t == f"s{number}"] for number in TALKERS}
    monkeypatch.setattr(Grid, "_clips", lambda corpus: {number: clips[number] for number in corpus.talkers})
    recipe_folder = Path(__file__).parents[2] / "egs/grid"
    config = load_config(recipe_folder / "conf/mel.yaml", [
        f"corpus.split={split}", f"data.test={split}/test",
        f"data.train={split}/train", f"data.valid={split}/valid", f"data.pretrain=[{split}/train]",
    ])  # fmt: skip
    recipe = Recipe(config, tmp_path, tmp_path / "exp", force=False, device=torch.device("cpu"))
    listed = recipe.build_corpora()[0].splits()
    for part in (config.data.train, config.data.test):
        write_manifest(recipe.data(part), [Utterance(u.id, u.speaker, 75) for u in listed[part]], {})
    utterances = read_manifest(recipe.test)
    found = conditions(recipe, {}, None, utterances)
    assert found.split == load(name).split
    assert len({u.speaker for u in utterances}) == (10 if split == "unseen33" else 4)
    assert conditions(recipe, {}, None, utterances[1:]).split != found.split
