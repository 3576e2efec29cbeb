"""Recognisers of torchaudio: greedy CTC of what the bundle's model outputs."""

import importlib

import numpy as np
import pytest
import torch

from tests.evaluation.signals import RATE, babble
from tests.losses.test_perceptual import SMALL
from v2skit import testing
from v2skit.errors import UserError
from v2skit.evaluation.torchaudio_asr import TorchaudioAsr

LABELS = ("|", "A", "B")


@pytest.fixture
def file(monkeypatch, tmp_path):
    """The weights of a small bundle with the labels ``-``, ``|``, ``A``, ``B``."""
    try:
        torchaudio = importlib.import_module("torchaudio")
    except (ImportError, RuntimeError, OSError) as error:
        pytest.skip(f"no torchaudio that works with torch {torch.__version__}: {error}")
    params = {**SMALL, "aux_num_out": 4}
    bundle = torchaudio.pipelines.Wav2Vec2ASRBundle("small.pth", params, 16000, False, "Wav2Vec2", LABELS, ())
    monkeypatch.setattr(torchaudio.pipelines, "SMALL_ASR", bundle, raising=False)
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)
    torch.manual_seed(1)
    torch.save(torchaudio.models.wav2vec2_model(**params).state_dict(), tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


@pytest.mark.parametrize(
    "path, words",
    [("-AA-A||B-", ["AA", "B"]), ("||--", []), ("A-|-A", ["A", "A"]), ("BBBB", ["B"]), ("|AB|BA|", ["AB", "BA"])],
)
def test_repeated_labels_and_blanks_are_removed(file, path, words, monkeypatch):
    asr = TorchaudioAsr("SMALL_ASR", str(file))
    labels = ["-", *LABELS]
    logits = torch.eye(4)[[labels.index(label) for label in path]][None]
    monkeypatch.setattr(asr, "_model", lambda waveform: (logits, None))
    assert asr(babble(), RATE) == words


def test_the_contract(file):
    asr = TorchaudioAsr("SMALL_ASR", str(file))
    testing.check_asr(asr, babble(), RATE)
    assert "SMALL_ASR" in asr.protocol and asr.digest in asr.protocol
    assert asr(np.zeros(0), RATE) == []
    with pytest.raises(UserError, match="2 samples are too few"):
        asr(np.ones(2), RATE)


def test_a_bundle_without_labels_or_a_missing_file_is_refused(file, tmp_path):
    with pytest.raises(UserError, match="no bundle 'HUBERT_BASE'; did you mean 'HUBERT_ASR_LARGE'|no bundle"):
        TorchaudioAsr("HUBERT_BASE", str(file))
    with pytest.raises(UserError, match="missing.pth is missing; the weights of WAV2VEC2_ASR_BASE_960H are published"):
        TorchaudioAsr("WAV2VEC2_ASR_BASE_960H", str(tmp_path / "missing.pth"))
