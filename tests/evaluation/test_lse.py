"""LSE-C and LSE-D: MFCCs as their package computes them, known offsets, and clips of a whole scoring."""

import numpy as np
import pytest
import torch

from tests.cases.clips import frame_times, write_clip
from tests.conftest import make_data
from tests.evaluation.signals import RATE, babble
from tests.evaluation.test_face_crops import Poses
from tests.evaluation.test_syncnet import random_weights
from v2skit.errors import UserError
from v2skit.evaluation import lse
from v2skit.evaluation.lse import MAX_SHIFT, LipSyncError, mfccs, sync_scores
from v2skit.evaluation.metrics import MetricError
from v2skit.evaluation.score import score
from v2skit.media.audio import read_audio, write_audio
from v2skit.testing import check_metric
from v2skit.tracking.tracker import MouthPose

FRAMES = 7
OF_PACKAGE = {
    0: [19.5101, 19.2251, 3.053, -11.9635, -24.7574, -32.0629],
    50: [19.7217, 10.2664, -25.1429, -29.5728, -3.8563, 10.1854],
    98: [20.4798, 0.4896, -34.0461, 15.0186, 25.5296, -24.2309],
}
"""Frame -> its first MFCCs of :func:`chirp` by python_speech_features 0.6."""


def chirp():
    time = np.arange(16000) / 16000
    decaying = 0.5 * np.sin(2 * np.pi * 440 * time) * np.exp(-3 * time)
    return np.round(20000 * (decaying + 0.2 * np.sin(2 * np.pi * (300 * time + 900 * time * time))))


def test_mfccs_are_those_of_python_speech_features():
    found = mfccs(chirp())
    assert found.shape == (99, 13) and mfccs(chirp()[:300]).shape == (1, 13) and mfccs(chirp()[:401]).shape == (2, 13)
    for frame, expected in OF_PACKAGE.items():
        assert found[frame, :6] == pytest.approx(expected, abs=1e-4)
    silence = mfccs(np.zeros(8000))
    assert silence[3, 0] == pytest.approx(-36.0437, abs=1e-4) and np.abs(silence[3, 1:]).max() < 1e-9
    package = pytest.importorskip("python_speech_features", reason="python_speech_features is not installed")
    assert np.allclose(found, package.mfcc(chirp(), 16000))


@pytest.mark.parametrize("late", [-9, 0, 4, MAX_SHIFT])
def test_the_offset_of_embeddings_is_found(late):
    windows, random = 60, np.random.default_rng(0)
    signal = torch.from_numpy(random.standard_normal((windows + 40, 32)))
    faces, audio = signal[20 : 20 + windows], signal[20 - late : 20 - late + windows]
    distance, confidence, found = sync_scores(faces, audio)
    beyond = faces[windows - late :] if late > 0 else faces[: abs(late)]  # the windows whose speech is not there
    assert found == late
    assert distance == pytest.approx(float(beyond.norm(dim=1).sum()) / windows, abs=1e-4)
    others = [float((a - b).norm()) for a, b in zip(faces, audio[random.permutation(windows)], strict=True)]
    assert confidence == pytest.approx(np.mean(others) - distance, rel=0.2)


@pytest.fixture
def metric(tmp_path, monkeypatch):
    monkeypatch.setattr(lse, "FaceMesh", lambda: Poses(*[MouthPose(40, 44, 16)] * 100))
    return LipSyncError(str(random_weights(tmp_path / "syncnet_v2.model")))


def clip(path, seed=0, frames=FRAMES):
    pictures = np.random.default_rng(seed).integers(0, 255, (frames, 10, 10, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    return write_clip(path, lambda time: pictures[round(25 * time)], frame_times(25, frames / 25))


def test_the_metric_keeps_its_contract_and_scores_silence(metric, tmp_path):
    video, speech = clip(tmp_path / "clip.mp4"), babble(FRAMES / 25)
    check_metric(metric, speech, speech[::-1].copy(), RATE, video)
    silent = metric(speech, np.zeros_like(speech), RATE, video=video)
    assert silent.keys() == {"lse_d", "lse_c"} and np.isfinite(list(silent.values())).all()
    assert len(metric.ledger) == 88 and "SyncNet v2 (weights " in metric.protocol
    with pytest.raises(MetricError, match="5 frames are too few"):
        metric(speech[:4800], speech[:4800], RATE, video=video)
    with pytest.raises(MetricError, match="has 4 frames"):
        metric(speech, speech, RATE, video=clip(tmp_path / "short.mp4", frames=4))


def test_wrong_weights_are_refused(tmp_path):
    with pytest.raises(UserError, match="syncnet_v2.model, from https"):
        LipSyncError(str(tmp_path / "none"))


def test_clips_without_a_video_are_counted_and_the_others_scored(metric, tmp_path):
    utterances = make_data(tmp_path / "data", 2)
    speech = tmp_path / "speech"
    for utterance in utterances:
        write_audio(speech / f"{utterance.id}.wav", read_audio(utterance.audio, RATE), RATE)
    first, second = (u.id for u in utterances)
    videos = {first: clip(tmp_path / "clip.mp4")}
    found = score(utterances, speech, {"lse": metric}, None, RATE, jobs=1, videos=videos).files
    assert set(found[0].values) == {"lse_d", "lse_c"} and not found[0].failures
    assert set(found[0].aligned.values) == {"lse_d", "lse_c", "lag_ms"}
    assert found[1].id == second and found[1].failures == dict.fromkeys(
        ("lse_d", "lse_c"), "the corpus has no video of this clip"
    )
