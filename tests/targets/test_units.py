"""Units are the clusters of an extractor's features: fitted, stored, and computed for each utterance."""

import base64
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from v2skit.config.features import Clock
from v2skit.errors import UserError
from v2skit.targets.units import Units
from v2skit.testing import check_target

CLOCK = Clock()
STEP = CLOCK.samples_per_frame


class Level(nn.Module):
    """The mean of every ``samples`` samples, as two features; the second layer is its negative."""

    digest = "0123"

    def __init__(self, samples=STEP):
        super().__init__()
        self.samples = samples

    def forward(self, waveform):
        mean = waveform.unflatten(1, (-1, self.samples)).mean(2)
        features = torch.stack([mean, 0.5 * mean], dim=2)
        return [features, -features]


def extractor(samples=STEP):
    """As the toolkit gives a component that is not always needed: a function that builds it."""
    return lambda: Level(samples)


def utterance(levels):
    """A clip whose frames have these levels."""
    waveform = np.repeat(np.asarray(levels, np.float32), STEP)
    return SimpleNamespace(id="a", text=None, waveform=lambda: waveform)


def utterances(seed=0, count=20):
    random = np.random.default_rng(seed)
    return [utterance(random.integers(0, 4, 10) + random.uniform(-0.1, 0.1, 10)) for _ in range(count)]


def fitted(**args):
    target = Units(CLOCK, extractor(), **{"clusters": 4, "frames": 100, **args})
    return target, target.fit(utterances())


def test_units_are_the_clusters_of_the_features():
    target, state = fitted()
    units = target.compute(utterance([0, 1, 2, 3, 3, 0.05]).waveform())
    assert units.dtype == np.int32 and units.shape == (6,)
    assert len(set(units[:4].tolist())) == 4 and units[4] == units[3] and units[5] == units[0]
    assert state["shape"] == [4, 2] and state["extractor"] == target.settings_digest() == "0123"


def test_the_contract_of_targets():
    check_target(fitted()[0], utterance([0, 1, 2]).waveform(), 3, None)
    check_target(fitted(per_frame=3)[0], utterance([0, 1, 2]).waveform(), 3, None)


def test_a_state_is_plain_and_restored_without_the_extractor():
    target, state = fitted()

    def missing():
        raise UserError("the extractor is not there")

    loaded, clip = Units(CLOCK, missing, clusters=4), utterance([3, 2, 1]).waveform()
    loaded.load_state(json.loads(json.dumps(state)))
    with pytest.raises(UserError, match="the extractor is not there"):
        loaded.compute(clip)
    loaded = Units(CLOCK, extractor(), clusters=4)
    loaded.load_state(state)
    assert np.array_equal(loaded.compute(clip), target.compute(clip))


def test_a_state_depends_on_seed_and_data_only():
    (_, first), (_, again), (_, other) = (fitted(seed=seed) for seed in (1, 1, 2))
    assert first == again and first["centroids"] != other["centroids"]


def test_features_of_another_rate_are_interpolated():
    target, state = fitted(per_frame=2)
    units = target.compute(utterance([0, 0, 3, 3]).waveform())
    assert units.shape == (8,) and len(set(units[:3].tolist())) == 1 and units[0] != units[7]
    halves = Units(CLOCK, extractor(STEP // 2), clusters=4)
    halves.load_state(state)
    assert np.array_equal(halves.compute(utterance([0, 0, 3, 3]).waveform()), units[[0, 2, 5, 7]])


def test_the_layer_is_chosen_and_checked():
    first, last = fitted(layer=0)[1], fitted()[1]
    assert first["centroids"] != last["centroids"]
    with pytest.raises(UserError, match="layer 2: the extractor gives 2 layers; -1 is the last"):
        fitted(layer=2)


@pytest.mark.parametrize("count", [0, 2])
def test_fewer_frames_than_clusters_are_refused(count):
    message = f"there are {10 * count} frames for 100 clusters; give it more frames of more training data"
    with pytest.raises(UserError, match=message):
        Units(CLOCK, extractor()).fit(utterances(count=count))


@pytest.mark.parametrize("wrong", [{"shape": [5, 2]}, {"shape": [2, 4]}, {"centroids": "no base 64"}])
def test_a_state_that_is_none_is_refused(wrong):
    target, state = fitted()
    with pytest.raises(ValueError):
        target.load_state({**state, **wrong})


def test_a_state_that_is_not_finite_is_refused():
    target, state = fitted()
    content = base64.b64encode(np.full((4, 2), np.nan, "<f4").tobytes()).decode()
    with pytest.raises(ValueError, match="not finite"):
        target.load_state({**state, "centroids": content})


def test_units_of_another_extractor_are_refused(monkeypatch):
    target, _ = fitted()
    monkeypatch.setattr(Level, "digest", "4567")
    target._extractor.digest = "4567"
    with pytest.raises(UserError, match="the extractor has other weights than the one that the units were fitted with"):
        target.compute(utterance([0, 1]).waveform())


def test_units_without_centroids_name_the_stage_that_fits_them():
    with pytest.raises(UserError, match="units have no centroids yet; stage 2 or 4"):
        Units(CLOCK, extractor(), clusters=4).compute(utterance([0, 1]).waveform())
