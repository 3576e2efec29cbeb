"""``v2skit.load(...)`` from Python does what the command does."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import soundfile
import torch
import yaml

import v2skit
from tests.cases.model import untrained_run
from tests.conftest import ISTFT, TINY
from tests.media_files import every, make_video
from v2skit.cli.main import main
from v2skit.config.load import load_config
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.build import build_model, build_new_vocoder
from v2skit.models.checkpoint import Checkpoint, new_meta
from v2skit.synthesis import synthesiser

NONE = v2skit.tracker("none")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return untrained_run(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def model(run):
    return v2skit.load(run, "cpu")


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """A bright square that grows and shrinks, RGB (30,96,96,3)."""
    pictures = np.full((30, 96, 96, 3), 60, np.uint8)
    for number, picture in enumerate(pictures):
        half = 10 + number % 15
        picture[48 - half : 48 + half, 48 - half : 48 + half] = (200, 150, 100)
    return pictures


def samples(path) -> np.ndarray:
    return soundfile.read(path, dtype="float32")[0]


def test_a_file_is_processed_as_by_the_command(model, run, tmp_path):
    video = make_video(tmp_path / "clip.mp4", every(30, 1.5), (96, 96), fps=30)
    speech = model.synthesise(video, tracker=NONE)
    assert speech.waveform.dtype == np.float32 and speech.waveform.shape == (36000,)
    assert speech.sample_rate == model.sample_rate == 24000 and model.fps == 25
    assert len(speech.track.lost) == round(1.5 * 25) and not speech.track.lost.any()
    out = tmp_path / "speech.wav"
    options = ["--model", str(run), "-o", str(out), "--tracker", "none", "--device", "cpu"]
    assert main(["synth", str(video), *options]) == 0
    assert np.abs(samples(out) - speech.waveform).max() <= 1 / 32768
    assert np.abs(speech.waveform).max() > 0.01
    assert np.array_equal(model.synthesise(str(video), tracker=NONE).waveform, speech.waveform)
    pieces = list(model.synthesise_pieces(video, tracker=NONE))
    assert np.array_equal(np.concatenate(pieces), speech.waveform)


def test_arrays_of_frames_are_processed_at_their_rate(model, frames):
    speech = model.synthesise(frames, fps=25, tracker=NONE)
    assert speech.waveform.shape == (30 * 960,)
    assert np.array_equal(model.synthesise(torch.from_numpy(frames), fps=25, tracker=NONE).waveform, speech.waveform)
    doubled = model.synthesise(np.repeat(frames, 2, axis=0), fps=50.0, tracker=NONE).waveform
    assert np.array_equal(doubled, speech.waveform)
    assert len(model.synthesise(frames, fps=30000 / 1001, tracker=NONE).waveform) == 24024
    assert len(model.synthesise(frames[:1], fps=25, tracker=NONE).waveform) == 960
    other = model.synthesise(frames[::-1], fps=25, tracker=NONE).waveform
    assert not np.allclose(other, speech.waveform, atol=1e-4)


@pytest.mark.parametrize(
    ("spoil", "fps", "message"),
    [
        (lambda x: x, None, "frames need their fps"),
        (lambda x: x, 0, "fps 0"),
        (lambda x: x, -25.0, "fps -25"),
        (lambda x: x, float("nan"), "fps nan"),
        (lambda x: x, float("inf"), "fps inf"),
        (lambda x: x, 1e-9, "fps 1e-09"),
        (lambda x: x / 255, 25, r"uint8 \(frames, height, width, 3\), RGB, not float64"),
        (lambda x: x[..., 0], 25, r"not uint8 \(30, 96, 96\)"),
        (lambda x: x.transpose(0, 3, 1, 2), 25, r"not uint8 \(30, 3, 96, 96\)"),
        (lambda x: x[0], 25, r"not uint8 \(96, 96, 3\)"),
        (lambda x: x[:0], 25, r"not uint8 \(0, 96, 96, 3\)"),
        (lambda x: x[:, :0], 25, r"not uint8 \(30, 0, 96, 3\)"),
    ],
)
def test_wrong_arrays_are_refused(model, frames, spoil, fps, message):
    with pytest.raises(UserError, match=message):
        model.synthesise(spoil(frames), fps=fps, tracker=NONE)


def test_voices_are_named(model, frames):
    assert model.voices == ["s0", "s1"] and not model.accepts_recording
    waveforms = {model.synthesise(frames, 25, voice, NONE).waveform.tobytes() for voice in (None, "s0", "s1")}
    assert len(waveforms) == 3
    with pytest.raises(UserError, match="has no voice 's9'; known: s0, s1"):
        model.synthesise(frames, 25, "s9", NONE)


@pytest.mark.parametrize("fps", [25, 60])
def test_progress_goes_on_to_the_end(model, tmp_path, fps):
    video, calls = make_video(tmp_path / "clip.mp4", every(fps, 1.6), (96, 96), fps=fps), []
    model.synthesise(video, tracker=NONE, progress=lambda done, total: calls.append((done, total)))
    done, totals = zip(*calls, strict=True)
    assert list(done) == sorted(set(done)) and len(done) == 40
    assert {round(total, 3) for total in totals} == {1.6} and done[-1] == 1.6


def test_frames_that_are_not_shown_are_counted_and_what_the_count_raises_ends_the_synthesis(model, tmp_path):
    video, counts = make_video(tmp_path / "clip.mp4", every(100, 0.4), (96, 96), fps=100), []
    assert len(model.synthesise(video, tracker=NONE, decoded=counts.append).waveform) == 0.4 * 24000
    assert counts == list(range(1, 41))

    def stop(count: int) -> None:
        counts.append(count)
        raise InterruptedError("enough")

    counts.clear()
    with pytest.raises(InterruptedError, match="enough"):
        model.synthesise(video, tracker=NONE, decoded=stop)
    assert counts == [1]


def test_a_model_with_another_vocoder_is_built_once(run, frames, tmp_path, monkeypatch):
    (tmp_path / "vocoder.yaml").write_text(yaml.safe_dump({**TINY, "trains": "vocoder", "vocoder": ISTFT}))
    config = load_config(tmp_path / "vocoder.yaml")
    saved = Checkpoint(new_meta(config, "vocoder", []), build_new_vocoder(config).state_dict())
    checkpoint.save(saved, checkpoint.folder_of(tmp_path / "vocoder", 1))
    built = []
    monkeypatch.setattr(synthesiser, "build_model", lambda *given: built.append(given[1]) or build_model(*given))
    model = v2skit.load(run, "cpu", vocoder=tmp_path / "vocoder")
    assert built == ["v2a"] and model.config.vocoder.type == "trained"
    own, other = (m.synthesise(frames, 25, tracker=NONE).waveform for m in (v2skit.load(run, "cpu"), model))
    assert own.shape == other.shape and not np.array_equal(own, other)


def test_a_vocoder_for_a_model_of_waveforms_is_refused(tmp_path):
    with pytest.raises(UserError, match="outputs waveforms and needs no vocoder; leave the vocoder out"):
        v2skit.load(untrained_run(tmp_path, decoder=ISTFT), "cpu", vocoder=tmp_path / "vocoder")


def test_no_model_and_no_video(model, tmp_path):
    with pytest.raises(UserError, match="nothing does not exist; give a packed model"):
        v2skit.load(tmp_path / "nothing")
    with pytest.raises(UserError, match="does not exist"):
        model.synthesise(tmp_path / "nothing.mp4", tracker=NONE)
    with pytest.raises(UserError, match="unknown tracker 'eyes'"):
        v2skit.tracker("eyes")


@pytest.fixture(scope="module")
def voices_folder(tmp_path_factory):
    """A run of a model that accepts recordings, and three of them."""
    pytest.importorskip("resemblyzer", reason="resemblyzer is not installed")
    folder = tmp_path_factory.mktemp("voices")
    untrained_run(folder, speaker={"type": "d_vector"})
    time = np.arange(32000) / 16000
    for name, pitch in (("anna", 220), ("ben", 110), ("cleo", 300)):
        harmonics = sum(np.sin(2 * np.pi * pitch * n * time) / n for n in range(1, 12))
        soundfile.write(folder / f"{name}.wav", 0.1 * harmonics * (1 + np.sin(20 * time)), 16000)
    return folder


def test_a_voice_that_is_packed_needs_no_recording(voices_folder, tmp_path, capsys):
    shutil.copytree(voices_folder, tmp_path / "made")
    video = make_video(tmp_path / "clip.mp4", every(25, 1.0), (96, 96))
    one, both = tmp_path / "one.v2s", tmp_path / "both.v2s"
    anna, ben = (f"{name}={tmp_path / 'made' / name}.wav" for name in ("anna", "ben"))
    assert main(["pack", str(tmp_path / "made"), "-o", str(one), "--voice", anna]) == 0
    assert main(["pack", str(tmp_path / "made"), "-o", str(both), "--voice", anna, "--voice", ben]) == 0
    shutil.rmtree(tmp_path / "made")
    capsys.readouterr()
    assert main(["info", str(both)]) == 0
    assert "voices:    anna, ben\n" in capsys.readouterr().out

    def synth(model, *voice):
        out = tmp_path / "speech.wav"
        options = ["--model", str(model), "-o", str(out), "--tracker", "none", "--device", "cpu", "--force", *voice]
        return main(["synth", str(video), *options]), samples(out).tobytes() if out.exists() else b""

    status, expected = synth(one)
    assert status == 0 and any(expected)  # the only voice is the default
    assert synth(one, "--voice", "anna") == synth(both, "--voice", "anna") == (0, expected)
    others = {synth(both, "--voice", voice) for voice in ("ben", str(voices_folder / "cleo.wav"))}
    assert len(others) == 2 and (0, expected) not in others and {status for status, _ in others} == {0}
    assert synth(both, "--voice", str(voices_folder / "anna.wav")) == (0, expected)
    capsys.readouterr()
    assert synth(both, "--voice", "cleo")[0] == 1
    error = capsys.readouterr().err
    assert "cleo does not exist" in error and "voices of this model: anna, ben" in error
    status, unknown = synth(both)
    assert status == 0 and unknown not in (expected, *(samples for _, samples in others))
    assert "voice: unknown voice, the model's default; --voice names another" in capsys.readouterr().err


def test_properties_of_a_model_that_accepts_recordings(voices_folder):
    model = v2skit.load(voices_folder, "cpu")
    assert model.voices == [] and model.accepts_recording and model.default_voice == "unknown voice"


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_a_recording_without_a_voice_is_refused(voices_folder, tmp_path, seconds):
    soundfile.write(tmp_path / "silence.wav", np.zeros(round(16000 * seconds)), 16000)
    with pytest.raises(UserError, match="silence.wav"):
        v2skit.load(voices_folder, "cpu").voice(tmp_path / "silence.wav")


def test_voices_are_not_packed_with_a_model_that_accepts_no_recording(run, voices_folder, tmp_path, capsys):
    for voice, message in (
        (f"anna={voices_folder / 'anna.wav'}", "accepts no recording of a voice; leave --voice out"),
        ("anna", "is not of the form NAME=RECORDING"),
    ):
        assert main(["pack", str(run), "-o", str(tmp_path / "model.v2s"), "--voice", voice]) == 1
        assert message in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_no_two_videos_share_a_tracker_at_a_time(model, frames):
    first, second = (model.synthesise_pieces(frames, 25) for _ in range(2))
    assert first.tracker is not second.tracker
    for _ in zip(first, second, strict=True):
        pass
    both = {id(first.tracker), id(second.tracker)}
    assert {id(model.synthesise_pieces(frames, 25).tracker) for _ in range(2)} <= both  # some take long to build
    third = model.synthesise_pieces(frames, 25)
    assert id(third.tracker) not in both
