"""Streams that are computed once for each utterance of a data directory and stored next to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np

from v2skit.data.data_dir import TABLES, read_settings
from v2skit.data.index import open_index
from v2skit.data.streams import StoredStream, write_stream
from v2skit.data.targets import state_digest
from v2skit.errors import UserError
from v2skit.system.atomic import waiting_lock
from v2skit.system.progress import ProgressBar

LONG = 10_000.0
"""Factor on the timeout of processes that wait: streams of a large corpus take hours."""


def store_stream(
    folder: Path,
    directory: Path,
    name: str,
    values: Callable[[int], np.ndarray],
    dtype: str,
    sequence: bool = False,
) -> None:
    """Compute a stream for all utterances of a data directory, unless that is done. Interrupted, it resumes.

    Args:
        folder: where it is stored.
        directory: the data directory.
        name: of the stream, for people.
        values: number of an utterance in the index -> its values (L,...).
        dtype: NumPy type of the stored values.
        sequence: L is not a multiple of the video frames.

    Raises:
        UserError: values don't fit the clock, or the folder can't be written or is damaged.
    """
    index = open_index(directory)

    def computed(start: int) -> Iterator[tuple[int, np.ndarray]]:
        numbers = range(start, len(index))
        bar = ProgressBar(numbers, f"{name} of {directory.name}", len(index), initial=start, unit="clip")
        for number in bar:
            yield index[number].frames, values(number)

    with waiting_lock(folder):
        if folder.exists():
            StoredStream(folder)
            return
        try:
            write_stream(folder, computed, dtype, sequence)
        except UserError as error:
            raise UserError(f"stream '{name}' of {directory}: {error}", **error.fields) from error
        except OSError as error:
            raise UserError(
                f"{folder} can't be written ({error}); make {directory} writable, or free some disk space"
            ) from error


def content_digest(directory: Path) -> str:
    """What identifies the content of a data directory: its tables, which may have been edited, and the files in it."""
    states = tuple((t, (directory / t).stat().st_mtime_ns) for t in TABLES if (directory / t).exists())
    return state_digest([read_settings(directory).get("digest"), _tables_digest(directory, states)])


@cache
def _tables_digest(directory: Path, states: tuple[tuple[str, int], ...]) -> str:
    """Of the tables as they were at these times, ns."""
    content = hashlib.sha256()
    for table, _ in states:
        content.update(f"{table}\n".encode() + (directory / table).read_bytes())
    return content.hexdigest()
