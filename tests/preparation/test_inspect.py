"""The report on prepared data directories finds the faults that they are made with."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from tests.conftest import ROOT, make_data
from tests.media_files import every
from tests.preparation.test_prepare import Folder, clip, prepared
from v2skit.cli.main import main
from v2skit.config.prepare import Filters
from v2skit.config.schema import Data
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.data.data_dir import read_manifest, read_settings, write_manifest
from v2skit.media.audio import read_audio, write_audio
from v2skit.media.crops import write_crops
from v2skit.preparation import survey
from v2skit.preparation.inspect import LIMITS, check
from v2skit.preparation.overlap import find_leaks

NAMES = Data(pretrain=["audio"], pretrain_valid="valid")


def speech(path: Path, seconds: float = 1.0, loudness: float = 0.1, seed: int = 0) -> CorpusUtterance:
    """An audio-only utterance."""
    write_audio(path, np.random.default_rng(seed).normal(0, loudness, round(24000 * seconds)), 24000)
    return CorpusUtterance(path.stem, path.stem.partition("-")[0], path)


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> tuple[Path, dict]:
    """A folder of prepared data, and the report on it."""
    folder = tmp_path_factory.mktemp("planted")
    raw = folder / "raw"
    first = clip(raw / "s1-a.mp4", times=every(25, 1.04), audio_seconds=1.04)
    train = [
        first,
        CorpusUtterance("s1-again", "s1", first.audio, first.video, "NOW"),
        clip(raw / "s2-thirty.mp4", times=every(30, 1.0), fps=30, loudness=0.2),
        clip(raw / "s2-short.mp4", audio_seconds=0.8),
    ]
    test = [
        CorpusUtterance("s1-test", "s1", first.audio, first.video, "NOW"),
        clip(raw / "s3-b.mp4", times=every(25, 1.2)),
    ]
    train[2:] = [CorpusUtterance(s.id, "s2", s.audio, s.video, s.text) for s in train[2:]]
    test[1] = CorpusUtterance("s3-b", "s3", test[1].audio, test[1].video, None)
    audio = [
        speech(raw / "s4-long.flac", 2.0),
        speech(raw / "s4-brief.flac", 0.4, seed=1),
        speech(raw / "s4-quiet.flac", 1.0, 0.002, seed=2),
    ]
    parts = {"train": train, "test": test, "audio": audio}
    data = prepared(folder, parts, video_only_ok={"test"})
    directories = {name: data / name for name in parts}
    text = check(directories, NAMES, Filters(min_seconds=0.5), data, [Folder(parts)])
    assert text == (data / "check.md").read_text()
    return data, json.loads((data / "check.json").read_text())


def test_properties_of_a_directory(planted):
    facts = planted[1]["directories"]
    train, audio = facts["train"], facts["audio"]
    assert (train["utterances"], train["speakers"], train["hours"]) == (4, 2, round(102 / 25 / 3600, 3))
    assert train["length, s"] == [1.0, 1.02, 1.04] and audio["length, s"] == [0.4, 1.0, 2.0]
    assert train["frames/s of the sources"] == {"25": 3, "30": 1} and "frames/s of the sources" not in audio
    assert train["audio minus video, s"][0] == pytest.approx(-0.2, abs=0.03)
    assert audio["level, dBFS"] == pytest.approx([-54, -20, -20], abs=0.3)
    assert train["audio delay, frames"] == {"clips": 0, "frames": None, "low": None, "high": None}
    assert "audio delay, frames" not in audio


def test_warnings(planted):
    found = "\n".join(planted[1]["warnings"])
    for text in (
        "train: 1 videos do not have 25 frames/s",
        "train: 1 utterances (25.0%) audio over 0.1 s shorter than video; the worst is s2-short (-0.",
        "train: 1 utterances have the audio of another, e.g. s1-a and s1-again",
        "audio: 1 utterances (33.3%) shorter than 0.5 s; the worst is s4-brief (0.4)",
        "audio: 1 utterances (33.3%) below -50 dBFS; the worst is s4-quiet (-5",
        "train, test: 1 recordings are in both, e.g. s1-a and s1-test",
        "train, test: 1 source files are in both",
        "test: partly seen, 1 of its 2 speakers are in train",
    ):
        assert text in found
    assert planted[1]["speakers"][-1] == "test: unseen, 0 of its 2 speakers are in audio"
    assert planted[1]["errors"] == {} and "audio, " not in found


def test_overlap_of_two_directories(planted):
    shared = planted[1]["shared"]["train, test"]
    assert shared.pop("example") == "s1-a and s1-test"
    assert shared == {"speaker": 1, "audio": 1, "text": 1, "id": 0, "source": 1}
    nothing = {"speaker": 0, "audio": 0, "text": 0, "id": 0, "source": 0}
    assert planted[1]["shared"]["test, audio"] == nothing, "no text is no text in common"


def test_only_held_out_data_must_differ():
    counts = {"audio": 2, "source": 1, "example": "a and b"}
    found = find_leaks({"audio, train": counts, "train, test": counts}, NAMES)
    assert found == ["train, test: 2 recordings are in both, e.g. a and b", "train, test: 1 source files are in both"]


def test_shared_limits_are_those_of_the_recipes_of_audio_corpora():
    config = yaml.safe_load((ROOT / "egs/conf/audio.yaml").read_text())
    assert Filters(**config["prepare"]["filters"]) == LIMITS


def run(folder: Path, tiny: Path, *options: str) -> int:
    return main(["data", "check", "--config", str(tiny), "--work_dir", str(folder), *options])


def test_the_command(recipe_folder, tiny, capsys):
    assert run(recipe_folder, tiny) == 0
    printed = capsys.readouterr().out
    assert "source files are not compared" in printed, "the corpus is missing"
    assert "| | audio | train | valid | test |" in printed
    assert "valid: seen, 2 of its 2 speakers are in train" in printed
    report = json.loads((recipe_folder / "data/check.json").read_text())
    assert report["shared"]["train, test"]["source"] is None and not report["errors"]


def test_a_directory_that_is_not_prepared_is_named(recipe_folder, tiny, capsys):
    (recipe_folder / "data/valid/utt2num_frames").unlink()
    assert run(recipe_folder, tiny) == 0
    assert "- valid: not prepared; stage 1 prepares it, or reports why it can't" in capsys.readouterr().out


def test_an_empty_directory_is_named(recipe_folder, tiny, capsys):
    write_manifest(recipe_folder / "data/audio", [], read_settings(recipe_folder / "data/train"))
    assert run(recipe_folder, tiny) == 0
    assert "- audio: it has no utterances; its report.md has the reasons" in capsys.readouterr().out


@pytest.mark.parametrize("limit", ["max_seconds=0.4", "min_seconds=60"])
def test_limits_that_a_default_would_contradict(recipe_folder, tiny, capsys, limit):
    assert run(recipe_folder, tiny, "--set", f"prepare.filters.{limit}") == 0
    length = {"max_seconds=0.4": "longer than 0.4 s", "min_seconds=60": "shorter than 60 s"}[limit]
    assert length in capsys.readouterr().out


@pytest.mark.parametrize("settings", ["[]", "{}", '{"clock": {"foo": 1}}', '{"clock": 25}'])
def test_settings_without_a_clock(recipe_folder, tiny, capsys, settings):
    (recipe_folder / "data/train/settings.json").write_text(settings)
    assert run(recipe_folder, tiny) == 1
    assert "stage 1" in (message := capsys.readouterr().err) and "train/settings.json" in message


def test_negative_seed(tmp_path, tiny, capsys):
    assert run(tmp_path, tiny, "--seed", "-1") == 1
    assert "--seed -1 must not be negative" in capsys.readouterr().err


def test_nothing_prepared(tmp_path, tiny, capsys):
    assert run(tmp_path, tiny) == 1
    assert "has none of audio, train, valid, test; stage 1 (v2skit stage prepare) makes them" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda u: u.audio.write_bytes(b"fLaC"), "can't be read"),
        (lambda u: u.audio.unlink(), "can't be read"),
        (lambda u: write_audio(u.audio, np.zeros(9600, np.float32), 24000), "9600 samples in 1 channels at 24000 Hz"),
        (lambda u: soundfile.write(u.audio, np.zeros((u.frames * 960, 2)), 24000), "in 2 channels"),
        (lambda u: u.video.write_bytes(b"no video"), "mouth crops"),
        (lambda u: u.video.unlink(), "mouth crops"),
        (lambda u: write_crops(u.video, np.zeros((3, 96, 96), np.uint8), 25), "has 3 frames, "),
    ],
)
def test_damaged_entries_are_errors(spoil, message, recipe_folder, tiny, capsys):
    spoil(read_manifest(recipe_folder / "data/train")[2])
    assert run(recipe_folder, tiny) == 1
    assert message in capsys.readouterr().err
    text = (recipe_folder / "data/check.md").read_text()
    assert "## Errors" in text and message in text and text.count("s0-1004: ") == 1


def test_wrong_lengths_are_errors(recipe_folder, tiny, capsys):
    table = recipe_folder / "data/valid/utt2num_frames"
    name, frames = table.read_text().splitlines()[0].split()
    table.write_text(table.read_text().replace(f"{name} {frames}", f"{name} {int(frames) + 1}", 1))
    assert run(recipe_folder, tiny) == 1
    assert f"{name}: " in capsys.readouterr().err


def test_the_same_audio_in_another_format(tmp_path):
    make_data(tmp_path / "a", 3, video=False)
    first = read_manifest(tmp_path / "a")[0]
    wave = tmp_path / "a/audio/copy.wav"
    write_audio(wave, read_audio(first.audio, 24000), 24000)
    scp = tmp_path / "a/wav.scp"
    lines = scp.read_text().splitlines()
    frames = (tmp_path / "a/utt2num_frames").read_text().splitlines()
    lines[1], frames[1] = f"{lines[1].split()[0]} audio/copy.wav", f"{frames[1].split()[0]} {first.frames}"
    scp.write_text("\n".join(lines) + "\n")
    (tmp_path / "a/utt2num_frames").write_text("\n".join(frames) + "\n")
    found = survey.survey(tmp_path / "a")
    assert found.hashes["audio"][0] == found.hashes["audio"][1] != found.hashes["audio"][2]
    assert not found.errors.ids
