"""Batches of utterances of similar length within a frame budget: batch n of an epoch is a function of (seed, epoch, n),
computed on access without a list of the utterances."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from v2skit.data.by_length import ByLength
from v2skit.data.lazy_sequence import LazySequence
from v2skit.data.permutation import Permutation
from v2skit.errors import UserError

SPREAD = 12
"""Utterances of a group, which are shuffled together, differ in length by less than a 12th."""


class Key(NamedTuple):
    """The dataset's key of an example; ``position`` is the (epoch, batch) at which training resumes after the optimiser
    step of this example."""

    epoch: int
    number: int
    position: tuple[int, int]


class EpochBatches(LazySequence[list[int]]):
    """The batches of one epoch, lists of utterance numbers: each utterance once, in pseudo-random order.

    Utterances are shuffled within groups of similar length, whose borders differ between epochs; the sequence is cut
    into batches, and the batches are shuffled.

    Args:
        clips: the utterances, at least one.
        batch_frames: largest ``number of utterances * longest utterance`` of a batch, not below the longest utterance.
        seed: of the order.
        epoch: its number.
    """

    def __init__(self, clips: ByLength, batch_frames: int, seed: int, epoch: int) -> None:
        self._clips, self._keys = clips, (seed, epoch)
        self._groups, longest = self._borders()
        self._cuts = _cut(self._groups, longest, batch_frames)
        # Stream 0 orders the batches; the stream of a group is the end of its range, which is above 0.
        self._order = Permutation(len(self), seed, epoch, 0)
        self._shuffle = lru_cache(maxsize=None)(lambda first, last: Permutation(last - first, seed, epoch, last))

    def _borders(self) -> tuple[np.ndarray, np.ndarray]:
        """The first place of each group, and the end (G+1,); the longest length in each, frames (G,)."""
        clips, high = self._clips, self._clips.longest
        width = 1 + int(np.random.default_rng(self._keys).integers(max(1, high // SPREAD)))
        borders, longest = [len(clips)], []
        while borders[-1]:
            run = np.searchsorted(clips.lengths, high - width, "right")  # the first longer one
            if (first := int(clips.firsts[run])) < borders[-1]:
                borders.append(first)
                longest.append(high)
            high = int(clips.lengths[run - 1]) if run else 0
            width = max(1, high // SPREAD)
        return np.array(borders[::-1]), np.array(longest[::-1])

    def __len__(self) -> int:
        return int(self._cuts[-1, 2])

    def item(self, number: int) -> list[int]:
        """The utterances of a batch."""
        slot = self._order(np.array([number]))[0]
        cut = np.searchsorted(self._cuts[:, 2], slot, "right") - 1
        place, size, before = self._cuts[cut]
        first = place + (slot - before) * size
        places = np.arange(first, first + size)
        group = np.searchsorted(self._groups, places, "right") - 1
        for here in np.unique(group):
            first, last = (int(border) for border in self._groups[here : here + 2])
            inside = group == here
            places[inside] = first + self._shuffle(first, last)(places[inside] - first)
        return self._clips[places].tolist()


def _cut(groups: np.ndarray, longest: np.ndarray, batch_frames: int) -> np.ndarray:
    """Cut shuffled groups into batches.

    The remainder of a group is put into the first batch of the next one, unless it alone fills that.

    Returns:
        (C+1, 3): runs of batches of equal size: the first place, the size of a batch, and the number of batches before;
            the last row is the end.
    """
    place, before, cuts = 0, 0, []
    for first, last, high in zip(groups, groups[1:], longest, strict=False):
        size = batch_frames // high
        if first - place >= size:
            cuts.append((place, first - place, before))
            place, before = first, before + 1
        if whole := (last - place) // size:
            cuts.append((place, size, before))
            place, before = place + whole * size, before + whole
    if place < groups[-1]:
        cuts.append((place, groups[-1] - place, before))
        before += 1
    return np.array([*cuts, (groups[-1], 0, before)])


class BatchSampler:
    """Batches of keys, epoch after epoch, from a position on; one sequence, whatever the number of processes.

    Each optimiser step uses the next ``group`` batches of the sequence, divided evenly among the processes.

    Args:
        clips: the utterances.
        batch_frames: largest ``number of utterances * longest utterance`` of a batch.
        seed: of the order.
        position: (epoch, batch) of the first batch.
        group: batches of an optimiser step, in all processes together.
        rank: number of this process.
        world: number of processes.

    Raises:
        UserError: an utterance is longer than the budget, or a group can't be divided evenly.
    """

    def __init__(
        self,
        clips: ByLength,
        batch_frames: int,
        seed: int,
        position: tuple[int, int] = (0, 0),
        group: int = 1,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if clips.longest > batch_frames:
            raise UserError(
                f"an utterance of {clips.longest} video frames exceeds batch_frames ({batch_frames}); "
                "raise batch_frames or set segment_frames"
            )
        if group % world:
            raise UserError(
                f"{group} batches of an optimiser step can't be shared evenly by {world} processes; "
                f"make accumulate a multiple of {world}, or start as many processes as divide it"
            )
        self.position, self.group, self.rank, self.world = position, group, rank, world
        self._epoch = lru_cache(maxsize=2)(lambda epoch: EpochBatches(clips, batch_frames, seed, epoch))

    def __iter__(self) -> Iterator[list[Key]]:
        epoch, number = self.position
        while True:
            step: list[tuple[int, int]] = []
            while len(step) < self.group:
                if number < len(self._epoch(epoch)):
                    step.append((epoch, number))
                    number += 1
                else:
                    epoch, number = epoch + 1, 0
            for its_epoch, its_number in step[self.rank :: self.world]:
                yield [Key(its_epoch, index, (epoch, number)) for index in self._epoch(its_epoch)[its_number]]
