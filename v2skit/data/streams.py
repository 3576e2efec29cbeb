"""Streams that targets computed once for each utterance, stored next to a data directory and mapped into memory."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from v2skit.errors import UserError
from v2skit.system.atomic import flush, unfinished, write_text
from v2skit.system.state_file import read_state

FOLDER = "targets"
VALUES, OFFSETS, META, JOURNAL = "values.bin", "offsets.npy", "meta.json", "journal.jsonl"
_REMEDY = "delete its folder; the next training stage computes it again"


class StoredStream:
    """The values of a target for all utterances of a data directory, in the order of its index.

    Args:
        folder: where :func:`write_stream` wrote them.

    Attributes:
        per_frame: values per video frame; 0: a sequence with a length of its own.

    Raises:
        UserError: the files are missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            meta = read_state(folder / META, _REMEDY) or {}
            self.per_frame = int(meta["per_frame"])
            self._offsets = np.load(folder / OFFSETS, mmap_mode="r")
            shape = (int(self._offsets[-1]), *map(int, meta["shape"]))
            dtype = np.dtype(meta["dtype"])
            if (folder / VALUES).stat().st_size != math.prod(shape) * dtype.itemsize:
                raise ValueError(f"{VALUES} has another length")
            empty = not math.prod(shape)  # no file of length 0 can be mapped
            self._values = np.zeros(shape, dtype) if empty else np.memmap(folder / VALUES, dtype, "r", shape=shape)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise UserError(f"{folder} is damaged ({error}); {_REMEDY}", path=folder) from error

    def __reduce__(self) -> tuple:
        return StoredStream, (self.folder,)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Number of values of each utterance, int64 (U,)."""
        return np.diff(self._offsets)

    def is_empty(self) -> bool:
        """Whether it has no values, or on the clock none other than 0."""
        values = (self._values[start : start + 1_000_000] for start in range(0, len(self._values), 1_000_000))
        return not any(bool(np.any(part)) or not self.per_frame for part in values)

    def check(self, frames: np.ndarray) -> None:
        """Raises UserError where the values are not those of utterances of these lengths, video frames (U,)."""
        fits = len(self) == len(frames) and (
            not self.per_frame or np.array_equal(self.lengths, frames * self.per_frame)
        )
        if not fits:
            raise UserError(f"{self.folder} has the values of other utterances; {_REMEDY}", path=self.folder)

    def read(self, number: int, start: int, frames: int, whole: bool) -> np.ndarray:
        """The values of a segment of an utterance.

        Args:
            number: of the utterance in the directory's index.
            start: first video frame of the segment.
            frames: number of video frames.
            whole: the segment is the whole utterance; of others a sequence has no values.
        """
        first, last = self._offsets[number : number + 2]
        if self.per_frame:
            first += start * self.per_frame
            last = first + frames * self.per_frame
        elif not whole:
            last = first
        return np.array(self._values[first:last])


def write_stream(
    folder: Path, values: Callable[[int], Iterable[tuple[int, np.ndarray]]], dtype: str, sequence: bool
) -> None:
    """Write a folder atomically for :class:`StoredStream`; interrupted, the next call continues after the last value.

    Args:
        folder: to be written.
        values: (number of the first utterance) -> (video frames, values (L,...)) of each, in the order of the index.
        dtype: NumPy type of the stored values.
        sequence: the lengths are not those of the clock.

    Raises:
        UserError: the number of values is not the same multiple of the video frames in all utterances.
    """
    part = unfinished(folder)
    part.mkdir(parents=True, exist_ok=True)
    shape, lengths = _written(part, np.dtype(dtype))
    per_frame = lengths[-1][1] if lengths else 0
    with (part / VALUES).open("ab") as file, (part / JOURNAL).open("a", encoding="utf-8") as journal:
        for frames, array in values(len(lengths)):
            found = np.asarray(array, dtype)
            shape = found.shape[1:] if shape is None else shape
            count = len(found) if found.ndim else 0
            per_frame = per_frame or (0 if sequence else count // max(1, frames))
            fits = sequence or count == frames * per_frame > 0
            if not found.ndim or found.shape[1:] != shape or not fits:
                raise UserError(
                    f"the target of utterance {len(lengths) + 1} has values of shape {found.shape} for {frames} video "
                    "frames, not the same whole number of them for each frame as in other utterances; correct the "
                    "target, or declare rate = 'sequence'"
                )
            file.write(np.ascontiguousarray(found).data)
            file.flush()
            journal.write(f"{json.dumps([len(found), list(shape), per_frame])}\n")
            journal.flush()
            lengths.append((len(found), per_frame))
    counts = [length for length, _ in lengths]
    np.save(part / OFFSETS, np.cumsum([0, *counts], dtype=np.int64))
    per_frame = lengths[-1][1] if lengths else 0
    write_text(
        part / META, json.dumps({"per_frame": per_frame, "shape": list(shape or ()), "dtype": np.dtype(dtype).str})
    )
    (part / JOURNAL).unlink()
    for path in part.iterdir():
        flush(path)
    part.rename(folder)


def _written(part: Path, dtype: np.dtype) -> tuple[tuple[int, ...] | None, list[tuple[int, int]]]:
    """What an interrupted write left: the shape of a value, and (length, values per frame) of each utterance. The file
    of values is cut back to these."""
    shape, lengths = None, []
    lines = (part / JOURNAL).read_text(encoding="utf-8").splitlines(keepends=True) if (part / JOURNAL).exists() else []
    whole = [line for line in lines if line.endswith("\n")]
    for line in whole:
        length, found, per_frame = json.loads(line)
        shape = tuple(found)
        lengths.append((length, per_frame))
    (part / JOURNAL).write_text("".join(whole), encoding="utf-8")
    size = sum(length for length, _ in lengths) * math.prod(shape or ()) * dtype.itemsize
    with (part / VALUES).open("ab") as file:
        if file.tell() < size:  # the journal was on the disk before the values
            file.truncate(0)
            (part / JOURNAL).write_text("", encoding="utf-8")
            return None, []
        file.truncate(size)
    return shape, lengths
