"""Errors of FFmpeg while a file is read: those of the file, and those of the process that reads it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av

from v2skit.errors import UserError

TRIAL_BYTES = 1 << 28
"""Memory that a process must be able to allocate; otherwise a failed allocation says nothing about the file."""

TOO_LARGE = "has frames larger than 8192x4320 pixels; scale it down first: ffmpeg -i VIDEO -vf scale=1920:-2 SCALED.mp4"


class ResourcesExhaustedError(MemoryError, OSError):
    """The process lacks memory or file handles, so that a file, which may be intact, can't be read for now."""


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Around demuxing and decoding: FFmpeg's errors become a UserError.

    Raises:
        UserError: the file is damaged, or its frames are too large.
        ResourcesExhaustedError: the process lacks memory or file handles.
    """
    try:
        yield
    except av.ArgumentError as error:
        raise UserError.about(path, f"can't be decoded ({error.strerror}): it is damaged, or {TOO_LARGE}") from error
    except av.FFmpegError as error:
        raise_if_exhausted(error, path)
        raise UserError.about(path, f"is damaged or cut off ({error.strerror}); fetch or record it again") from error
    except IndexError as error:  # PyAV, where a packet belongs to a stream that the header lacks
        raise UserError.about(path, "is damaged: its header lacks a stream; fetch or record it again") from error


def raise_if_exhausted(error: av.FFmpegError | OSError, path: Path) -> None:
    """Raise ResourcesExhaustedError where an error is of the process and not of the file, which may be intact."""
    exhausted = error.errno in (errno.EMFILE, errno.ENFILE)
    if error.errno == errno.ENOMEM:
        try:
            bytearray(TRIAL_BYTES)
        except MemoryError:  # a damaged file may also ask for absurd amounts
            exhausted = True
    if exhausted:
        reason = f"{path} can't be read for now: {error.strerror}; free memory, or raise the limit (ulimit)"
        raise ResourcesExhaustedError(reason) from error
