"""The mark of synthesised files: it keeps them out of training data, and recordings from being overwritten."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from v2skit.errors import UserError
from v2skit.media.audio import write_audio_chunks
from v2skit.media.container import open_container

MARK = "synthesised by v2skit"
"""In the metadata of every file of speech, video with speech and report, and in files of text with times. FFmpeg keeps
it when it converts a file."""

_HEAD_BYTES, _END_BYTES = 4096, 64


def write_speech(path: Path, chunks: Iterable[np.ndarray], sample_rate: int) -> int:
    """As :func:`v2skit.media.audio.write_audio_chunks`, with the mark."""
    return write_audio_chunks(path, chunks, sample_rate, comment=MARK)


def is_synthesised(path: Path) -> bool:
    """Whether a file has the mark; False where it can't be read."""
    try:
        if not path.is_file():  # opening a named pipe would wait for its writer
            return False
        with path.open("rb") as file:
            if MARK.encode() in file.read(_HEAD_BYTES):  # of sound files, pages and pictures
                return True
            file.seek(max(0, path.stat().st_size - _END_BYTES))
            if MARK.encode() in file.read():  # of TextGrids, whose readers accept no comment before
                return True
        if path.suffix.lower() in (".wav", ".flac"):  # opening them takes a tenth as long as decoding
            return False
        with open_container(path) as container:
            found = [container.metadata, *(stream.metadata for stream in container.streams)]
            return any(MARK in value for metadata in found for value in metadata.values())
    except (OSError, UserError):
        return False
