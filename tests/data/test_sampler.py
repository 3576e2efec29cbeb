"""Each utterance once an epoch, within the budget, in an order that is a function of (seed, epoch)."""

import itertools

import numpy as np
import pytest

from v2skit.data.sampler import EndlessBatches, batches_of_epoch
from v2skit.errors import UserError

LENGTHS = np.random.default_rng(0).integers(10, 200, 500)


def test_every_utterance_once_within_the_budget():
    for epoch in range(3):
        batches = batches_of_epoch(LENGTHS, 800, 1, epoch)
        assert sorted(itertools.chain(*batches)) == list(range(len(LENGTHS)))
        assert max(len(b) * LENGTHS[b].max() for b in batches) <= 800


def test_bucketing_keeps_padding_low():
    batches = batches_of_epoch(LENGTHS, 800, 1, 0)
    padded = sum(len(b) * LENGTHS[b].max() for b in batches)
    assert LENGTHS.sum() / padded > 0.85


def test_order_is_a_function_of_seed_and_epoch():
    assert batches_of_epoch(LENGTHS, 800, 1, 2) == batches_of_epoch(LENGTHS, 800, 1, 2)
    assert batches_of_epoch(LENGTHS, 800, 1, 2) != batches_of_epoch(LENGTHS, 800, 1, 3)
    assert batches_of_epoch(LENGTHS, 800, 1, 2) != batches_of_epoch(LENGTHS, 800, 2, 2)


def test_resuming_from_any_position_goes_on_exactly():
    def take(position, count):
        return list(itertools.islice(iter(EndlessBatches(LENGTHS, 800, 1, position)), count))

    whole = take((0, 0), 200)
    for cut in (1, 60, 119):
        position = whole[cut - 1][0].position
        assert take(position, 200 - cut) == whole[cut:]


def test_clip_longer_than_the_budget_is_an_error():
    with pytest.raises(UserError, match="exceeds batch_frames"):
        EndlessBatches(np.array([10, 900]), 800, 1)
