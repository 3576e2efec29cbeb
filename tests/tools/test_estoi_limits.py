"""The two tables on noise in bursts, with a hum in the pauses."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.conftest import ROOT
from tools.estoi_limits import evenly, smoothed, warped
from v2skit.config.features import Clock, Crop
from v2skit.data.data_dir import Utterance, write_manifest
from v2skit.media.audio import write_audio
from v2skit.media.crops import write_crops

FRAMES = 50


def make_clips(directory, hum):
    """A clip of each of two talkers: bursts of noise in pauses with a hum of 60 Hz. Also a copy of each, in copies/."""
    clock, random, utterances = Clock(), np.random.default_rng(0), []
    samples = FRAMES * clock.samples_per_frame
    time = np.arange(samples) / clock.sample_rate
    for talker in ("s0", "s1"):
        name = f"{talker}-clip"
        noise = 0.1 * random.standard_normal(samples) * (time % 0.8 < 0.4) + 1e-5 * random.standard_normal(samples)
        audio, video = directory / "audio" / f"{name}.wav", directory / "video" / f"{name}.mp4"
        for path in (audio, directory / "copies" / f"{name}.wav"):
            write_audio(path, (noise + hum * np.sin(2 * np.pi * 60 * time)).astype(np.float32), clock.sample_rate)
        video.parent.mkdir(parents=True, exist_ok=True)
        write_crops(video, random.integers(0, 255, (FRAMES, 96, 96), dtype=np.uint8), clock.fps)
        utterances.append(Utterance(name, talker, FRAMES, audio, video, "BIN"))
    settings = {"clock": dataclasses.asdict(clock), "crop": dataclasses.asdict(Crop())}
    write_manifest(directory, utterances, settings)
    return directory


def run(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, ROOT / "tools/estoi_limits.py", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def tables(output):
    """Values by row of both tables."""
    rows = [line.strip("| ").split(" | ") for line in output.splitlines() if "---" not in line and line]
    return {name: list(map(float, values)) for name, *values in rows if name not in ("talker", "mel")}


def test_a_hum_is_kept_in_the_pauses_and_pauses_limit_estoi(tmp_path, mel_run):
    data = make_clips(tmp_path / "clips", hum=0.01)
    done = run(data, mel_run, data / "copies")
    assert done.returncode == 0, done.stderr
    found = tables(done.stdout)
    assert found["clips"] == [1, 1] and min(found["kept"]) > 0.9
    assert max(found["without what is below 120 Hz"]) < 0.7
    late = [found[f"ESTOI, {delay} ms late"] for delay in (2, 5, 10)]
    assert all(1 > early > later for early, later in zip(late[0], late[1], strict=True)) and max(late[2]) < min(late[0])
    assert found["ground truth, with the lag of the prediction"][1] > 0.99  # the copy has none
    copy = found["copy synthesis"]
    assert copy[0] == copy[1]
    assert all(found[row][1] == pytest.approx(copy[1], abs=2e-3) for row in found if row.startswith("predicted, w"))
    in_speech, elsewhere = (
        found[f"{first} in frames of speech, {second} elsewhere"][0]
        for first, second in (("ground truth", "predicted"), ("predicted", "ground truth"))
    )
    late_speech = found["ground truth in frames of speech, with the lag of the prediction, predicted elsewhere"]
    assert late_speech[1] == pytest.approx(copy[1], abs=0.02)  # of a copy without a lag, which is right elsewhere too
    assert found["predicted"][0] < min(in_speech, elsewhere) and max(in_speech, elsewhere) < copy[0]
    assert found["ground truth, smoothed over 9 frames"][0] < found["ground truth, smoothed over 3 frames"][0] < copy[0]


def test_talkers_are_chosen_and_the_second_table_needs_a_source(tmp_path):
    data = make_clips(tmp_path / "clips", hum=0)
    done = run(data, "--talkers", "s1")
    assert done.returncode == 0 and done.stdout.startswith("| talker | s1 |\n") and "| mel |" not in done.stdout
    assert tables(done.stdout)["kept"] == tables(done.stdout)["without what is below 120 Hz"]
    assert "no clips with audio and video of these talkers" in run(data, "--talkers", "s9").stderr
    assert "--clips: give a number from 1" in run(data, "--clips", "0").stderr


def test_warping_undoes_repeated_frames():
    truth = torch.randn(1, 12, 8, generator=torch.Generator().manual_seed(0))
    late = torch.cat([truth[:, :1].repeat(1, 3, 1), truth[:, 1:-2]], dim=1)
    assert torch.allclose(warped(late, truth)[:, :-3], truth[:, :-3])
    assert torch.equal(warped(truth, truth), truth)


def test_smoothing_keeps_means_and_shape():
    mel = torch.randn(1, 12, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(smoothed(mel, frames=3)[:, 5], mel[:, 4:7].mean(1))
    assert torch.allclose(smoothed(mel, bins=5)[..., 3], mel[..., 1:6].mean(-1))
    assert smoothed(mel, frames=9, bins=5).shape == mel.shape


def test_clips_are_chosen_at_equal_distances():
    assert evenly(list(range(10)), 3) == [0, 3, 6] and evenly([1, 2], 8) == [1, 2]


def test_the_vocoder_of_the_model_may_be_used(tmp_path, mel_run):
    data = make_clips(tmp_path / "clips", hum=0)
    done = run(data, mel_run, "--own_vocoder", "--talkers", "s1")
    assert done.returncode == 0, done.stderr
    other = run(data, mel_run, "--talkers", "s1")
    few_iterations, default = (tables(each.stdout)["copy synthesis"][0] for each in (done, other))
    assert few_iterations < default  # the run's config has Griffin-Lim with two iterations
    done = run(data, data / "copies", "--own_vocoder")
    assert done.returncode == 1 and "has no vocoder; leave --own_vocoder out" in done.stderr
