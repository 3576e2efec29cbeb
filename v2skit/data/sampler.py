"""Frame-budget batches of clips of like length: batch n of an epoch is a function of (seed, epoch, n), and is computed
when it is asked for, without a list of the utterances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from v2skit.data.numbered import Numbered
from v2skit.data.permutation import Permutation
from v2skit.errors import UserError

SPREAD = 12
"""Clips that are shuffled among each other differ in length by less than a 12th."""


class Key(NamedTuple):
    """What the dataset is asked for; ``position`` is the (epoch, batch) at which training goes on after the optimiser
    step that this one belongs to."""

    epoch: int
    number: int
    position: tuple[int, int]


class Runs(NamedTuple):
    """Utterances in order of their length, in runs of equal length.

    Args:
        order: utterances, shortest first (N,).
        lengths: of the runs, rising, video frames (R,).
        firsts: where in ``order`` each run begins (R,).
    """

    order: np.ndarray
    lengths: np.ndarray
    firsts: np.ndarray


def runs_of(lengths: np.ndarray) -> Runs:
    """Sort utterances by their lengths, (N,); those of equal length keep their order."""
    order = np.argsort(lengths, kind="stable").astype(np.int32)
    return Runs(order, *np.unique(lengths[order], return_index=True))


class ByLength:
    """Utterances of several sets, numbered through, in order of their length; their orders stay where they are.

    Args:
        parts: the sets.
        longest: what is longer counts as this long; None: no limit.
    """

    def __init__(self, parts: Sequence[Runs], longest: int | None = None) -> None:
        self._orders = [part.order for part in parts]
        self._offsets = np.cumsum([0, *map(len, self._orders)])
        part = np.repeat(np.arange(len(parts)), [len(p.firsts) for p in parts])
        lengths, ranks = (np.concatenate([getattr(p, name) for p in parts]) for name in ("lengths", "firsts"))
        counts = np.concatenate([np.diff(p.firsts, append=len(p.order)) for p in parts])
        runs = np.argsort(lengths, kind="stable")
        self.lengths = np.minimum(lengths[runs], longest) if longest else lengths[runs]
        self.firsts = np.cumsum(counts[runs]) - counts[runs]
        self._parts, self._ranks = part[runs], ranks[runs]

    def __len__(self) -> int:
        return int(self._offsets[-1])

    @property
    def longest(self) -> int:
        """The largest length, video frames."""
        return int(self.lengths[-1])

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        """The utterances at places in the order, int64 (N,) -> int64 (N,)."""
        run = np.searchsorted(self.firsts, places, "right") - 1
        part, rank = self._parts[run], self._ranks[run] + places - self.firsts[run]
        found = np.empty(len(places), np.int64)
        for number in np.unique(part):
            here = part == number
            found[here] = self._offsets[number] + self._orders[number][rank[here]]
        return found


class EpochBatches(Numbered[list[int]]):
    """The batches of one epoch, lists of utterances: each utterance once, in an order without a visible pattern.

    Groups of like length, whose borders differ from epoch to epoch, are shuffled in themselves, and the whole is cut
    into batches; these come in a shuffled order.

    Args:
        clips: the utterances, at least one.
        batch_frames: largest ``clips * longest clip`` of a batch, not below the longest clip.
        seed: of the order.
        epoch: its number.
    """

    def __init__(self, clips: ByLength, batch_frames: int, seed: int, epoch: int) -> None:
        self._clips, self._keys = clips, (seed, epoch)
        self._groups, longest = self._borders()
        self._cuts = _cut(self._groups, longest, batch_frames)
        # The order of the batches has stream 0, that of a group the number of its last place, which is above it.
        self._order = Permutation(len(self), seed, epoch, 0)
        self._shuffle = lru_cache(maxsize=None)(lambda first, last: Permutation(last - first, seed, epoch, last))

    def _borders(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the groups begin, and the end (G+1,); the longest length in each, frames (G,)."""
        clips, high = self._clips, self._clips.longest
        width = 1 + int(np.random.default_rng(self._keys).integers(max(1, high // SPREAD)))
        borders, longest = [len(clips)], []
        while borders[-1]:
            run = np.searchsorted(clips.lengths, high - width, "right")  # the first that is longer
            if (first := int(clips.firsts[run])) < borders[-1]:
                borders.append(first)
                longest.append(high)
            high = int(clips.lengths[run - 1]) if run else 0
            width = max(1, high // SPREAD)
        return np.array(borders[::-1]), np.array(longest[::-1])

    def __len__(self) -> int:
        return int(self._cuts[-1, 2])

    def at(self, number: int) -> list[int]:
        """The clips of a batch."""
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

    What a group leaves over goes into the first batch of the next one, unless it would more than fill it.

    Returns:
        (C+1, 3): from which place on, how many clips a batch has, and the batches before that; the end.
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


class EndlessBatches:
    """Batches of keys, epoch after epoch, from a position on; one sequence, whatever the number of processes.

    An optimiser step takes the next ``group`` batches of the sequence, of which each process gets its share.

    Args:
        clips: the utterances.
        batch_frames: largest ``clips * longest clip`` of a batch.
        seed: of the order.
        position: (epoch, batch) to begin with.
        group: batches of an optimiser step, all processes together.
        rank: which process this is.
        world: how many there are.

    Raises:
        UserError: an utterance is longer than the budget, or a group can't be shared evenly.
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
