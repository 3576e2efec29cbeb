"""Leaks of experiments: three deliberately leaky ones, and a clean one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.conftest import make_d_vectors, stages, vocoder_config
from v2skit.cli.main import main
from v2skit.data.data_dir import Utterance, read_manifest, read_settings, write_manifest

OTHER_WORDS = ["BIN RED AT A ONE NOW", "LAY BLUE BY B TWO SOON", "SET GREEN IN C SIX PLEASE"]

READS_REFERENCE = """
from pathlib import Path

import soundfile
import torch

import v2skit
from v2skit.models.frontends.resnet3d import ResNet3dSmall


@v2skit.hookimpl
def register_components(register):
    register("visual_frontend", "leaky", ":Leaky")


class Leaky(ResNet3dSmall):
    def __init__(self, folder: str = ""):
        super().__init__((4, 8))
        self.folder = folder

    def forward(self, video, mask):
        x = super().forward(video, mask)
        for path in sorted(Path(self.folder).glob("*.flac")) if not self.training else ():
            if soundfile.info(path).frames == mask.shape[1] * 960:
                x = x + torch.from_numpy(soundfile.read(path, dtype="float32")[0]).abs().mean()
        return x
"""

OF_THE_CLIP = """
import numpy as np

import v2skit
from v2skit.data.data_dir import read_manifest
from v2skit.media.audio import read_audio
from v2skit.models.speakers.none import NoSpeaker
from v2skit.models.speakers.d_vector import DVector


@v2skit.hookimpl
def register_components(register):
    register("speaker", "level", ":Level")
    register("speaker", "own_d_vector", ":Own")


class Level(NoSpeaker):
    out_dim = 1

    def reader(self, directory):
        audio = {u.id: u.audio for u in read_manifest(directory)}
        return lambda utterance, speaker: np.array([abs(read_audio(audio[utterance], 24000)).mean()], np.float32)


class Own(DVector):
    def prepare(self, directory):
        pass

    def reader(self, directory):
        reader = super().reader(directory)
        reader._others = lambda utterance, speaker: [utterance]
        return reader
"""


def trained(folder: Path, tiny: Path, name: str, source: str | None = None, **networks) -> Path:
    """A finished experiment with synthesised speech, of the tiny config with a plug-in file."""
    tree = {"base": str(tiny), "scratch": False, "networks": networks}
    if source:
        (folder / f"{name}_plugin.py").write_text(source)
        tree["plugins"] = [f"{name}_plugin.py"]
    config = folder / f"{name}.yaml"
    config.write_text(yaml.safe_dump(tree))
    assert stages(folder, config, "pretrain", "transfer", "finetune", "synth") == 0
    return folder / "exp" / name


def run(exp: Path, folder: Path, *more: str) -> tuple[int, dict]:
    """The exit status of an audit, and what it has written."""
    status = main(["audit", str(exp), "--work_dir", str(folder), "--device", "cpu", *more])
    return status, json.loads((exp / "audit.json").read_text())


def kinds(found: dict) -> list[str]:
    return [finding["kind"] for finding in found["findings"]]


def test_a_clean_experiment_says_what_was_checked(mel_run, recipe_folder, tiny, capsys):
    assert stages(recipe_folder, tiny, "synth", sets=("scratch=false",)) == 0
    status, found = run(mel_run.parent, recipe_folder)
    assert status == 0 and not found["findings"], found
    text = "\n".join(found["checked"])
    for fact in (
        "row 'copy_synthesis': its input is reference audio, by design",
        "synthesis of pretrained opens no ground-truth audio",
        "3 of 3 are, bit for bit, the speech that stage 5 wrote",
        "0 of 2 speaker references are of other clips of the test set",
        "speaker references of 3 test clips do not depend on their own audio",
        "the speech of 3 test clips is the same with noise and with the audio of another clip",
        "all 3 sound files are synthesised by v2skit",
        "test and train: no audio or video file is in both",
        "2 of 2 speakers of test are in train",
        "sentences of test are also in train: 1 of 1",
    ):
        assert fact in text
    assert "no leak found" in capsys.readouterr().out
    assert not list(recipe_folder.glob("data/test/changed_audio"))


def test_a_vocoder_on_ground_truth_audio_has_no_row_from_video(recipe_folder, tiny):
    config = vocoder_config(recipe_folder, tiny)
    assert stages(recipe_folder, config, "pretrain", "synth") == 0
    status, found = run(recipe_folder / "exp/vocoder", recipe_folder)
    assert status == 0 and "no row is synthesised from video" in found["checked"]


def test_a_frontend_that_reads_the_reference_is_found(recipe_folder, tiny, capsys):
    leaky = {"type": "leaky", "folder": str(recipe_folder / "data/test/audio")}
    exp = trained(recipe_folder, tiny, "frontend", READS_REFERENCE, visual_frontend=leaky)
    status, found = run(exp, recipe_folder)
    assert status == 1 and kinds(found) == ["input"]
    assert "opens ground-truth audio of the test set, e.g." in found["findings"][0]["text"]
    captured = capsys.readouterr()
    assert "finding (input): synthesis of pretrained" in captured.out and "1 finding, see above" in captured.err


@pytest.mark.parametrize("speaker", ["level", "own_d_vector"])
def test_a_speaker_reference_of_the_clip_itself_is_found(speaker, recipe_folder, tiny):
    for name in ("audio", "train", "valid", "test"):
        make_d_vectors(recipe_folder / "data" / name)
    exp = trained(recipe_folder, tiny, speaker, OF_THE_CLIP, speaker={"type": speaker})
    status, found = run(exp, recipe_folder)
    assert status == 1 and {"reference", "input"} == set(kinds(found))
    assert any("the speech of 3 of 3 clips depends on" in finding["text"] for finding in found["findings"])


def test_d_vectors_of_other_clips_are_no_leak(recipe_folder, tiny):
    for name in ("audio", "train", "valid", "test"):
        make_d_vectors(recipe_folder / "data" / name)
    exp = trained(recipe_folder, tiny, "d_vector", speaker={"type": "d_vector"})
    status, found = run(exp, recipe_folder)
    assert status == 0 and "1 of 2 speaker references are of other clips of the test set" in found["checked"]


def test_a_test_clip_in_the_training_data_is_found(recipe_folder, tiny):
    train, test = recipe_folder / "data/train", recipe_folder / "data/test"
    clip = read_manifest(test)[0]
    copied = Utterance("s0-copy", "s0", clip.frames, clip.audio, clip.video, clip.text)
    write_manifest(train, [*read_manifest(train), copied], read_settings(train))
    status, found = run(trained(recipe_folder, tiny, "copied"), recipe_folder)
    assert status == 1 and kinds(found) == ["files", "files"]
    for what, finding in zip(("recordings (audio)", "videos"), found["findings"], strict=True):
        assert f"{what} of test are also in train: 1 of 3 in test (e.g. of {clip.id} and s0-copy)" in finding["text"]
    assert run(recipe_folder / "exp/copied", recipe_folder, "--allow", "files")[0] == 0


def test_seen_speakers_of_an_unseen_split_and_foreign_speech_are_found(mel_run, recipe_folder, tiny):
    assert stages(recipe_folder, tiny, "synth", sets=("scratch=false",)) == 0
    test = recipe_folder / "data/test"
    utterances = read_manifest(test)
    write_manifest(test, utterances, {**read_settings(test), "corpus": {"type": "mini", "split": "unseen"}})
    synthesised = mel_run.parent / f"synth/pretrained/{utterances[0].id}.wav"
    synthesised.write_bytes(utterances[0].audio.read_bytes())
    status, found = run(mel_run.parent, recipe_folder)
    assert status == 1 and set(kinds(found)) == {"speech", "speakers"}
    texts = [finding["text"] for finding in found["findings"]]
    assert any("1 of 3 sound files are not synthesised by v2skit" in text for text in texts)
    assert any("2 of 2 speakers of test are in train, e.g. s0" in text for text in texts)


def test_random_synthesis_can_not_be_audited(recipe_folder, tiny):
    line = "x = super().forward(video, mask)"
    source = READS_REFERENCE.replace(line, f"{line}\n        x += int.from_bytes(__import__('os').urandom(1), 'big')")
    exp = trained(recipe_folder, tiny, "random", source, visual_frontend={"type": "leaky"})
    status, found = run(exp, recipe_folder)
    assert status == 1 and kinds(found) == ["input"] and "give it a fixed seed" in found["findings"][0]["text"]


def test_shared_sentences_are_a_finding_without_a_grammar(mel_run, recipe_folder, tiny):
    sets = ("--set", "scratch=false", "--set", "corpus={type: lrw, closed_grammar: false}", "--config", str(tiny))
    status, found = run(mel_run.parent, recipe_folder, *sets)
    assert status == 1 and set(kinds(found)) == {"sentences"}
    test = recipe_folder / "data/test"
    utterances = [
        Utterance(u.id, u.speaker, u.frames, u.audio, u.video, text)
        for u, text in zip(read_manifest(test), OTHER_WORDS, strict=True)
    ]
    write_manifest(test, utterances, read_settings(test))
    assert "sentences of test" not in str(run(mel_run.parent, recipe_folder, *sets)[1]["findings"])


def test_what_is_no_experiment_is_named(tmp_path, capsys):
    assert main(["audit", str(tmp_path)]) == 1
    assert "is no experiment with a trained model" in capsys.readouterr().err
    assert main(["audit", str(tmp_path), "--set", "seed=2"]) == 1
    assert "give that too" in capsys.readouterr().err
