"""Targets of F0 and voicing."""

import sys

import numpy as np
import pytest
import torch

from v2skit.config.features import Clock, Mel
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.targets.f0 import F0, Voicing
from v2skit.testing import check_target

CLOCK = Clock()
TONE = (0.3 * np.sin(2 * np.pi * 220 * np.arange(24000) / 24000)).astype(np.float32)


def test_f0_keeps_its_contract_and_has_a_value_for_each_mel_frame():
    pytest.importorskip("parselmouth", reason="praat-parselmouth is not installed")
    target = F0(CLOCK, Mel())
    check_target(target, TONE, 25, None)
    assert target.compute(TONE, None) == pytest.approx(np.full(100, 220), rel=1e-3)
    assert not target.compute(0 * TONE, None).any()


def test_f0_is_built_without_its_package_since_synthesis_builds_it():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "parselmouth", None)
        target = F0(CLOCK, Mel())
        with pytest.raises(UserError, match=r"pip install 'v2skit\[f0\]'"):
            target.compute(TONE, None)


def test_an_empty_range_is_an_error():
    with pytest.raises(UserError, match="floor_hz 90 must be below ceiling_hz 80"):
        F0(CLOCK, Mel(), floor_hz=90, ceiling_hz=80)


def test_voicing_follows_f0():
    batch = Batch(["a"], torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 0), torch.zeros(1, 960))
    with pytest.raises(UserError, match="no stream 'f0'.*targets"):
        Voicing()(batch)
    batch = Batch(**{**vars(batch), "extras": {"f0": torch.tensor([[0.0, 99.0, 0.0, 0.0]])}})
    assert Voicing()(batch).tolist() == [[0.0, 1.0, 0.0, 0.0]]
