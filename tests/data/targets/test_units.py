"""Units are the clusters of an extractor's features: fitted, stored, and computed for each utterance."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from v2skit.config.features import Clock
from v2skit.data.targets.units import Units
from v2skit.errors import UserError

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


def utterance(levels):
    """A clip whose frames have these levels."""
    waveform = np.repeat(np.asarray(levels, np.float32), STEP)
    return SimpleNamespace(id="a", text=None, waveform=lambda: waveform)


def utterances(seed=0, count=20):
    random = np.random.default_rng(seed)
    return [utterance(random.integers(0, 4, 10) + random.uniform(-0.1, 0.1, 10)) for _ in range(count)]


def fitted(folder, **args):
    target = Units(CLOCK, Level(), **{"clusters": 4, "frames": 100, **args})
    return target, target.fit(utterances(), folder)


def test_units_are_the_clusters_of_the_features(tmp_path):
    target, state = fitted(tmp_path)
    units = target.compute(utterance([0, 1, 2, 3, 3, 0.05]).waveform())
    assert units.dtype == np.int32 and units.shape == (6,)
    assert len(set(units[:4].tolist())) == 4 and units[4] == units[3] and units[5] == units[0]
    assert state["clusters"] == 4 and state["dim"] == 2 and state["extractor"] == "0123"


def test_a_state_is_loaded_with_its_centroids_or_for_networks_without(tmp_path):
    target, state = fitted(tmp_path)
    loaded, clip = Units(CLOCK, Level(), clusters=4), utterance([3, 2, 1]).waveform()
    loaded.load_state(state, tmp_path)
    assert np.array_equal(loaded.compute(clip), target.compute(clip))
    network = Units(CLOCK, Level())
    network.load_state(state, None)
    assert network.clusters == 4


def test_a_state_depends_on_seed_and_data_only(tmp_path):
    (_, first), (_, again), (_, other) = (fitted(tmp_path, seed=seed) for seed in (1, 1, 2))
    assert first == again and first["digest"] != other["digest"]
    assert len(list(tmp_path.iterdir())) == 2


def test_features_of_another_rate_are_interpolated(tmp_path):
    target, _ = fitted(tmp_path, per_frame=2)
    units = target.compute(utterance([0, 0, 3, 3]).waveform())
    assert units.shape == (8,) and len(set(units[:3].tolist())) == 1 and units[0] != units[7]
    halves = Units(CLOCK, Level(STEP // 2), clusters=4)
    halves.load_state(target.fit(utterances(), tmp_path), tmp_path)
    assert halves.compute(utterance([0, 0, 3, 3]).waveform()).shape == (4,)


def test_the_layer_is_chosen_and_checked(tmp_path):
    first, last = (Units(CLOCK, Level(), layer=layer, clusters=4, frames=100) for layer in (0, -1))
    assert first.fit(utterances(), tmp_path)["digest"] != last.fit(utterances(), tmp_path)["digest"]
    with pytest.raises(UserError, match="layer 2: the extractor gives 2 layers; -1 is the last"):
        Units(CLOCK, Level(), layer=2).fit(utterances(), tmp_path)


@pytest.mark.parametrize("clips", [[], utterances(count=2)])
def test_fewer_frames_than_clusters_are_refused(tmp_path, clips):
    message = f"there are {10 * len(clips)} frames for 100 clusters; give the target more frames of more training data"
    with pytest.raises(UserError, match=message):
        Units(CLOCK, Level()).fit(clips, tmp_path)


def test_missing_and_damaged_centroids_are_named(tmp_path):
    _, state = fitted(tmp_path)
    path = tmp_path / state["file"]
    np.save(path, np.load(path) + 1)
    with pytest.raises(UserError, match="its content does not match its digest.*stage 1 makes it again"):
        Units(CLOCK, Level()).load_state(state, tmp_path)
    path.write_bytes(b"no array")
    with pytest.raises(UserError, match="is damaged"):
        Units(CLOCK, Level()).load_state(state, tmp_path)
    path.unlink()
    with pytest.raises(UserError, match="No such file"):
        Units(CLOCK, Level()).load_state(state, tmp_path)
