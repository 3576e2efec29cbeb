"""Each utterance once an epoch, within the budget, in an order that is a function of (seed, epoch), however many
processes share it."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from v2skit.data.by_length import ByLength, runs_of
from v2skit.data.sampler import BatchSampler, EpochBatches
from v2skit.errors import UserError

LENGTHS = np.random.default_rng(0).integers(10, 200, 500)
CLIPS = ByLength([runs_of(LENGTHS)])


def of_epoch(epoch: int, seed: int = 1) -> list[list[int]]:
    return list(EpochBatches(CLIPS, 800, seed, epoch))


def take(count: int, position=(0, 0), group=1, rank=0, world=1, clips=CLIPS) -> list[list]:
    return list(itertools.islice(BatchSampler(clips, 800, 1, position, group, rank, world), count))


@pytest.mark.parametrize(
    ("lengths", "budget", "padding"),
    [
        (LENGTHS, 800, 0.05),
        (np.random.default_rng(1).gamma(4, 60, 5000).clip(25, 800).astype(int), 4000, 0.05),
        (np.full(1000, 50), 800, 0.0),
        (np.random.default_rng(2).integers(10, 21, 12), 60, 0.1),
        ([10] * 10 + [500] * 10, 800, 0.0),
        ([7], 7, 0.0),
        ([1, 1, 2], 2, 0.0),
    ],
    ids=["500", "5000", "segments", "a dozen", "short and long", "one", "three"],
)
def test_every_utterance_once_within_the_budget_with_little_padding(lengths, budget, padding):
    lengths = np.asarray(lengths)
    for epoch in range(3):
        batches = EpochBatches(ByLength([runs_of(lengths)]), budget, 1, epoch)
        assert sorted(itertools.chain(*batches)) == list(range(len(lengths)))
        padded = [len(batch) * lengths[batch].max() for batch in batches]
        assert max(padded) <= budget and 1 - lengths.sum() / sum(padded) <= padding


def test_few_batches_are_not_full():
    lengths = np.full(1000, 50)
    assert len(EpochBatches(ByLength([runs_of(lengths)]), 800, 1, 0)) == 63
    assert len(of_epoch(0)) < 1.15 * LENGTHS.sum() / 800


def test_order_is_a_function_of_seed_and_epoch():
    assert of_epoch(2) == of_epoch(2)
    assert of_epoch(2) != of_epoch(3) and of_epoch(2) != of_epoch(2, seed=2)


def test_other_processes_have_the_same_order():
    code = (
        "import numpy as np; from v2skit.data.by_length import ByLength, runs_of; "
        "from v2skit.data.sampler import EpochBatches; "
        "clips = ByLength([runs_of(np.arange(300) % 97 + 10)]); print(list(EpochBatches(clips, 800, 1, 5)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    clips = ByLength([runs_of(np.arange(300) % 97 + 10)])
    assert done.stdout.strip() == str(list(EpochBatches(clips, 800, 1, 5)))


def test_every_epoch_has_other_neighbours():
    clips = ByLength([runs_of(np.random.default_rng(0).integers(100, 300, 5000))])

    def pairs(epoch: int) -> set:
        return {pair for b in EpochBatches(clips, 2000, 1, epoch) for pair in itertools.combinations(sorted(b), 2)}

    assert len(pairs(0) & pairs(1)) < 0.1 * len(pairs(0))


def test_batches_of_an_epoch_are_in_no_order_of_length():
    clips = ByLength([runs_of(np.random.default_rng(0).integers(100, 300, 5000))])
    sizes = [len(batch) for batch in EpochBatches(clips, 2000, 1, 0)]
    assert abs(np.corrcoef(sizes, range(len(sizes)))[0, 1]) < 0.15
    assert abs(np.corrcoef(sizes[1:], sizes[:-1])[0, 1]) < 0.15


def test_joined_sets_are_sorted_as_one():
    parts = [LENGTHS[:100], LENGTHS[100:101], LENGTHS[101:]]
    joined = ByLength([runs_of(part) for part in parts])
    order = joined[np.arange(500)]
    assert sorted(order) == list(range(500)) and (np.diff(LENGTHS[order]) >= 0).all() and joined.longest == 199
    capped = ByLength([runs_of(part) for part in parts], longest=50)
    batches = list(EpochBatches(capped, 800, 1, 0))
    assert capped.longest == 50 and sorted(itertools.chain(*batches)) == list(range(500))
    assert max(map(len, (b for b in batches if LENGTHS[b].min() >= 50))) == 16
    mixed = [b for b in batches if LENGTHS[b].min() >= 50 and len(b) == 16]
    assert np.mean([LENGTHS[b].max() / LENGTHS[b].min() for b in mixed]) > 2


@pytest.mark.parametrize("group", [1, 3])
def test_resuming_after_any_step_is_exact(group):
    whole = take(240, group=group)
    for cut in (group, 75, 78, 81, 150):
        assert take(240 - cut, whole[cut - 1][0].position, group) == whole[cut:]


@pytest.mark.parametrize("clips", [CLIPS, ByLength([runs_of(np.array([10, 10, 20]))])], ids=["500", "three"])
def test_processes_share_one_sequence_and_may_change_in_number(clips):
    steps, group = 30, 8
    whole = take(steps * group, group=group, clips=clips)
    found, position = [], (0, 0)
    for step in range(steps):
        world = (1, 2, 8, 4)[step % 4]
        shares = [take(group // world, position, group, rank, world, clips) for rank in range(world)]
        found += [batch for turn in zip(*shares, strict=True) for batch in turn]
        positions = {key.position for share in shares for batch in share for key in batch}
        assert len(positions) == 1
        (position,) = positions
    assert found == whole


def test_position_of_an_epoch_that_has_fewer_batches():
    assert take(1, (0, 10_000))[0][0].epoch == 1


def test_clip_longer_than_the_budget_is_an_error():
    with pytest.raises(UserError, match="exceeds batch_frames"):
        BatchSampler(ByLength([runs_of(np.array([10, 900]))]), 800, 1)


def test_a_step_that_can_not_be_shared_is_an_error():
    with pytest.raises(UserError, match="make accumulate a multiple of 4"):
        BatchSampler(CLIPS, 800, 1, group=6, world=4)
