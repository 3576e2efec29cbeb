"""Sound files and the ONE mel."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

from v2skit.errors import UserError
from v2skit.media.ark import missing_file_hint, open_location
from v2skit.system.atomic import beside


def read_audio(path: Path, sample_rate: int, start: int = 0, samples: int | None = None) -> np.ndarray:
    """Read a prepared mono sound file, or a part of it.

    Args:
        path: any file that soundfile reads, or an archive's entry (:mod:`v2skit.media.ark`).
        sample_rate: what it must have, Hz.
        start: first sample.
        samples: how many; what is missing at the end is zero. None: all.

    Returns:
        float32 (N,).

    Raises:
        UserError: the file can't be read, or is not mono at ``sample_rate``.
    """
    try:
        with _Sound(open_location(path)) as file:
            if file.samplerate != sample_rate or file.channels != 1:
                raise UserError(
                    f"{path}: {file.channels} channels at {file.samplerate} Hz, expected mono at {sample_rate} Hz; "
                    "prepare the data again (stage 1)"
                )
            start = file.seek(min(start, file.frames))
            sound = np.empty(file.frames - start if samples is None else samples, np.float32)
            return file.read(out=sound, fill_value=None if samples is None else 0.0)
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(f"sound file {path} can't be read: {error}{missing_file_hint(path)}") from error


class _Sound(soundfile.SoundFile):
    """A sound file that is read once, after which soundfile would seek to where it is: of FLAC, that decodes again."""

    def seekable(self) -> bool:
        return False


def write_audio(path: Path, waveform: np.ndarray, sample_rate: int) -> None:
    """Write mono 16-bit PCM, by extension (.wav, .flac); samples beyond [-1, 1] are clipped. Raises OSError where
    that fails, for want of disk space for instance."""
    write_audio_chunks(path, [waveform], sample_rate)


def write_audio_chunks(path: Path, pieces: Iterable[np.ndarray], sample_rate: int) -> int:
    """As :func:`write_audio`, a sound that comes in pieces (N,), of any length. Returns the number of samples."""
    kind, samples = path.suffix[1:].upper(), 0
    try:
        with beside(path) as part:
            part.touch()  # Python tells why that fails, libsndfile does not
            with soundfile.SoundFile(part, "w", sample_rate, 1, "PCM_16", format=kind) as file:
                for piece in pieces:
                    file.write(np.clip(piece, -1.0, 1.0))
                    samples += len(piece)
    except soundfile.LibsndfileError as error:
        raise OSError(f"{path} can't be written: {error}") from error
    return samples
