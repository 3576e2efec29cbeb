"""Frame-budget batches, bucketed by length, in an order that is a function of (seed, epoch)."""

from __future__ import annotations

from typing import Iterator, NamedTuple

import numpy as np
from torch.utils.data import Sampler

from v2skit.errors import UserError


class Key(NamedTuple):
    """What the dataset is asked for; ``position`` is the (epoch, batch) at which training goes on after this one."""

    epoch: int
    index: int
    position: tuple[int, int]


def batches_of_epoch(lengths: np.ndarray, batch_frames: int, seed: int, epoch: int) -> list[list[int]]:
    """Shuffle, sort within pools of like length, cut where the padded batch would exceed the budget, shuffle again.

    Args:
        lengths: of the utterances, video frames.
        batch_frames: largest ``clips * longest clip`` of a batch.

    Returns:
        lists of utterance indices; each utterance exactly once.
    """
    random = np.random.default_rng([seed, epoch])
    # Noise of up to a tenth of the length lets neighbours vary from epoch to epoch at little padding.
    order = np.argsort(lengths * random.uniform(0.9, 1.0, len(lengths)) + random.uniform(0, 1e-3, len(lengths)))
    batches: list[list[int]] = []
    batch: list[int] = []
    longest = 0
    for index in order:
        longest = max(longest, lengths[index])
        if batch and longest * (len(batch) + 1) > batch_frames:
            batches.append(batch)
            batch, longest = [], lengths[index]
        batch.append(int(index))
    batches.append(batch)
    return [batches[i] for i in random.permutation(len(batches))]


class EndlessBatches(Sampler):
    """Batches of keys, epoch after epoch, from a position on.

    Raises:
        UserError: an utterance is longer than the budget.
    """

    def __init__(self, lengths: np.ndarray, batch_frames: int, seed: int, position: tuple[int, int] = (0, 0)) -> None:
        if lengths.max() > batch_frames:
            raise UserError(
                f"an utterance of {lengths.max()} video frames exceeds batch_frames ({batch_frames}); "
                "raise batch_frames or set segment_frames"
            )
        self.lengths, self.batch_frames, self.seed, self.position = lengths, batch_frames, seed, position

    def __iter__(self) -> Iterator[list[Key]]:
        epoch, first = self.position
        while True:
            batches = batches_of_epoch(self.lengths, self.batch_frames, self.seed, epoch)
            for number in range(first, len(batches)):
                after = (epoch, number + 1) if number + 1 < len(batches) else (epoch + 1, 0)
                yield [Key(epoch, index, after) for index in batches[number]]
            epoch, first = epoch + 1, 0
