"""The models that are installed with v2skit: they are used where none is named, and their cards are complete."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

import v2skit
from tests.cases.model import untrained_run
from tests.conftest import ROOT, make_data
from tests.media_files import every, make_video
from v2skit.cli.main import main
from v2skit.cli.options import chosen_model
from v2skit.config.load import load_config
from v2skit.config.parts import parts_of
from v2skit.errors import UserError
from v2skit.hub import installed
from v2skit.hub.address import SUFFIX
from v2skit.hub.fetch import local_path
from v2skit.models import checkpoint
from v2skit.models.build import build_model
from v2skit.models.pack_header import Card, read_card, read_header
from v2skit.models.package import pack
from v2skit.training.initialise import initialise

MEGABYTES = 12
DEFAULT = "model: tiny, installed with v2skit; --model names another"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty folder in place of that of the installed models."""
    (tmp_path / "pretrained").mkdir()
    monkeypatch.setattr(installed, "FOLDER", tmp_path / "pretrained")
    return tmp_path / "pretrained"


@pytest.fixture
def model_file(folder, tmp_path) -> Path:
    """An installed model."""
    path = folder / installed.OFFLINE
    pack(untrained_run(tmp_path), path, None, Card("tiny", "nothing", "CC0", made_for="gray squares"))
    return path


def test_the_installed_model_is_loaded_where_none_is_named(model_file):
    assert installed.default_model() == model_file
    model = v2skit.load(device="cpu")
    assert model.card.headline == "tiny: gray squares" and model.digest == read_header(model_file).digest["model"]


def test_an_installed_model_has_a_name(model_file):
    assert local_path("installed:grid") == model_file
    assert v2skit.load("installed:grid", "cpu").digest == read_header(model_file).digest["model"]
    with pytest.raises(
        UserError, match=r"installed:gird: no such model is installed with v2skit; there are: installed:grid"
    ):
        local_path("installed:gird")
    model_file.unlink()
    with pytest.raises(UserError, match=r"there are: none"):
        local_path("installed:grid")


def test_a_config_with_an_unknown_name_is_refused_before_work_starts(model_file, tiny):
    assert load_config(tiny, ["parts.encoder.init=installed:grid"]).parts["encoder"].init == "installed:grid"
    for key in ("parts.encoder.init=installed:gird", "vocoder={type: trained, run: installed:gird}"):
        with pytest.raises(UserError, match=rf"--set: {key[:7]}.*: installed:gird: no such model is installed"):
            load_config(tiny, [key])


def test_a_run_has_no_card(tmp_path):
    assert v2skit.load(untrained_run(tmp_path), "cpu").card == Card()


@pytest.mark.parametrize("named", [False, True], ids=["default", "named"])
def test_a_clip_is_all_that_the_command_needs(model_file, tmp_path, capsys, named):
    clip = make_video(tmp_path / "clip.mp4", every(25, 0.6), (96, 96))
    assert main(["synth", str(clip), "--report", *(["--model", str(model_file)] if named else [])]) == 0
    shown = capsys.readouterr()
    assert (DEFAULT in shown.err.splitlines()) != named
    lines = shown.out.splitlines()
    assert lines[:2] == ["tiny: gray squares", f"{tmp_path / 'speech/clip.wav'}: 0.60 s"]
    report = (tmp_path / "speech/clip.html").read_text()
    assert "<th>made for</th><td>tiny: gray squares</td>" in report and str(model_file) in report


def test_speech_for_a_data_directory_begins_with_what_the_model_was_made_for(model_file, tmp_path, capsys):
    make_data(tmp_path / "data", count=1)
    assert main(["synth-data", str(tmp_path / "data"), "-o", str(tmp_path / "out"), "--device", "cpu"]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"tiny: gray squares\nspeech: {tmp_path / 'out'}/\n" and DEFAULT in shown.err.splitlines()


def test_the_default_is_named_once_by_every_command(model_file, capsys):
    for option in ("--model", "MODEL"):
        options = Namespace(model=None, live=False)
        assert chosen_model(options, option) == chosen_model(options, option) == model_file
        assert capsys.readouterr().err == DEFAULT.replace("--model", option) + "\n"
    model_file.unlink()
    pack(untrained_run(model_file.parent), model_file, None, Card())
    chosen_model(Namespace(model=None, live=False))
    assert capsys.readouterr().err == DEFAULT.replace("tiny", model_file.name) + "\n"


def test_info_describes_every_installed_model(model_file, capsys):
    other = model_file.with_name(f"other{SUFFIX}")
    other.write_bytes(model_file.read_bytes())
    assert main(["info"]) == 0
    info = capsys.readouterr().out
    assert info.count("licence:   CC0") == 2 and f"{model_file}\ntiny: video-to-speech" in info and str(other) in info


@pytest.mark.parametrize("command", ["info", "synth clip.mp4", "serve", "synth-data data -o out"])
def test_without_a_model_the_remedy_is_named(folder, command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "clip.mp4", every(25, 0.6), (96, 96))
    assert main(command.split()) == 1
    error = capsys.readouterr().err
    assert "v2skit has no model installed; give --model, " in error and "v2skit pack egs/mini/exp/mel" in error
    with pytest.raises(UserError, match="give --model"):
        v2skit.load()


@pytest.mark.parametrize("path", installed.installed_models(), ids=lambda path: path.name)
def test_what_is_installed_is_small_scored_and_says_what_it_is(path):
    assert path.stat().st_size <= MEGABYTES * 1e6
    header = read_header(path)
    check_card(header.card)
    assert header.scores is not None
    assert v2skit.load(path, "cpu").card == header.card


@pytest.mark.parametrize("path", sorted(ROOT.glob("egs/*/card.yaml")), ids=lambda path: path.parent.name)
def test_cards_of_recipes_are_complete(path):
    check_card(read_card(path))


def test_the_installed_card_adds_what_only_its_data_have():
    grid = ROOT / "egs/grid"
    recipe, both = read_card(grid / "card.yaml"), read_card(grid / "card.yaml", grid / "card_installed.yaml")
    check_card(both)
    assert both.headline == recipe.headline and both.credits[: len(recipe.credits)] == recipe.credits
    for corpus in ("LibriSpeech", "LJSpeech", "commands", "819 clips"):
        assert corpus in both.data and corpus not in "".join(recipe.lines())


@pytest.mark.parametrize(("name", "further"), [(installed.OFFLINE, []), (installed.LIVE, ["card_streaming.yaml"])])
def test_the_installed_models_have_their_cards_of_the_recipe(name, further):
    cards = [ROOT / "egs/grid" / card for card in ("card.yaml", *further, "card_installed.yaml")]
    assert read_header(ROOT / "v2skit/pretrained" / name).card == read_card(*cards), "pack it again"


def test_the_installed_model_for_live_video_has_the_latency_of_its_card():
    model = v2skit.load(installed.default_model(live=True), "cpu")
    frames = model.pipeline(model.voice(None), chunk=1).right_context_frames + model.config.crop.look_ahead_frames
    assert f"after {frames} frames ({frames / model.fps:g} s)" in " ".join(model.card.notes.split())


@pytest.mark.parametrize("recipe", ["custom", "mini"])
def test_the_installed_model_fits_the_config_that_trains_it_further(recipe):
    config = load_config(ROOT / f"egs/{recipe}/conf/installed.yaml")
    model = build_model(config, "v2a", ["a", "b"])
    ledger = initialise(model, parts_of("v2a", config.parts, config.transfer), "v2a", config, ["a", "b"])
    assert set(ledger.shares.values()) == {1.0} and {"decoder", "encoder", "visual_frontend"} <= ledger.shares.keys()
    theirs = checkpoint.config_of(read_header(installed.default_model()).meta["model"])
    assert config.crop == theirs.crop and config.augmentation.crop == theirs.augmentation.crop


def check_card(card: Card) -> None:
    assert all((card.name, card.made_for, card.data, card.licence, card.limits, card.credits))
    assert "\n" not in card.made_for and len(card.headline) <= 160
