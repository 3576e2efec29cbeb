"""Prepared audio files: mono at the sample rate of the data, read and written through libsndfile."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from v2skit.errors import UserError
from v2skit.media.ark import missing_file_hint, open_location, split_location
from v2skit.system.atomic import atomic_write
from v2skit.system.state_file import check_permission

FULL_BYTES = 1_000_000
"""A disk with less free space is full."""


def read_audio(
    path: Path,
    sample_rate: int,
    start_sample: int = 0,
    num_samples: int | None = None,
    remedy: str = "prepare the data again (stage 1)",
) -> np.ndarray:
    """Read a prepared mono audio file, or a segment of it.

    :func:`v2skit.media.audio_stream.decode_audio` reads the audio of any container at any rate.

    Args:
        path: any file that libsndfile reads, or an entry of an archive (:mod:`v2skit.media.ark`).
        sample_rate: that the file must have, Hz.
        start_sample: first sample of the segment.
        num_samples: length of the segment, which is zero-padded beyond the end of the file; None: to the end.
        remedy: for a file of another form, the end of its error message.

    Returns:
        float32 (N,).

    Raises:
        UserError: the file cannot be read, or is not mono at ``sample_rate``.
    """
    try:
        place = open_location(path)
        with _SequentialFile(os.fsencode(place) if isinstance(place, str) else place) as file:
            if file.samplerate != sample_rate or file.channels != 1:
                raise UserError(
                    f"{path}: {file.channels} channels at {file.samplerate} Hz, expected mono at {sample_rate} Hz; "
                    f"{remedy}",
                    path=path,
                )
            start = file.seek(min(start_sample, file.frames))
            waveform = np.empty(file.frames - start if num_samples is None else num_samples, np.float32)
            return file.read(out=waveform, fill_value=None if num_samples is None else 0.0)
    except (soundfile.LibsndfileError, OSError) as error:
        check_permission(split_location(path)[0])
        raise UserError(f"audio file {path} can't be read: {error}{missing_file_hint(path)}", path=path) from error


class _SequentialFile(soundfile.SoundFile):
    """A file with a single read. After each read soundfile seeks to the end of what was read in every file that says it
    is seekable, and in FLAC a seek decodes the same block again."""

    def seekable(self) -> bool:
        return False


def write_audio(path: Path, waveform: np.ndarray, sample_rate: int) -> None:
    """Write a mono 16-bit PCM file atomically.

    Args:
        path: its extension is the format: .wav or .flac.
        waveform: (N,); samples beyond [-1, 1] are clipped.
        sample_rate: Hz.

    Raises:
        OSError: the file cannot be written, for example because the disk is full.
    """
    write_audio_chunks(path, [waveform], sample_rate)


def write_audio_chunks(path: Path, chunks: Iterable[np.ndarray], sample_rate: int, comment: str = "") -> int:
    """As :func:`write_audio`, for a waveform that arrives in chunks (N,) of any lengths.

    Args:
        path: as there.
        chunks: of the waveform.
        sample_rate: Hz.
        comment: of the file, in its metadata.

    Returns:
        the number of samples written.
    """
    samples = 0
    with open_sound(path, sample_rate, comment) as write:
        for chunk in chunks:
            write(chunk)
            samples += len(chunk)
    return samples


@contextmanager
def open_sound(path: Path, sample_rate: int, comment: str = "") -> Iterator[Callable[[np.ndarray], None]]:
    """A function that appends a waveform (N,) to a new sound file, which is there when the block has succeeded.

    Arguments and errors are as of :func:`write_audio_chunks`.
    """

    def write(chunk: np.ndarray) -> None:
        try:
            file.write(np.clip(chunk, -1.0, 1.0))
        except soundfile.LibsndfileError as error:
            raise _write_error(path, error) from error

    file_format = path.suffix[1:].upper()
    with atomic_write(path) as part:
        try:
            with soundfile.SoundFile(os.fsencode(part), "w", sample_rate, 1, "PCM_16", format=file_format) as file:
                if comment:
                    file.comment = comment
                yield write
        except soundfile.LibsndfileError as error:
            raise _write_error(path, error) from error


def _write_error(path: Path, error: soundfile.LibsndfileError) -> OSError:
    """Of a full disk libsndfile says nothing but "System error"."""
    if shutil.disk_usage(path.parent).free < FULL_BYTES:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    return OSError(f"{path} can't be written: {error}")
