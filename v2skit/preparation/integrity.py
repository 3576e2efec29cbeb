"""Whether the files of a prepared utterance are readable and of the stated length."""

from __future__ import annotations

import hashlib
from pathlib import Path

import av
import numpy as np

from v2skit.config.features import Clock
from v2skit.data.data_dir import Utterance
from v2skit.errors import UserError
from v2skit.media.ark import missing_file_hint, open_location
from v2skit.media.audio import read_audio
from v2skit.media.crops import read_crops
from v2skit.media.formats import open_input

FLAC_HEADER_BYTES = 42


def check_audio(u: Utterance, clock: Clock) -> int:
    """A hash of an utterance's samples, 64 bits and never 0; from the header of its FLAC file, which has an MD5.

    Raises:
        UserError: the audio is unreadable, or not of the stated length.
    """
    assert u.audio is not None, "only utterances with audio are checked"
    head = _head(u.audio)
    flac = head[:4] == b"fLaC" and len(head) == FLAC_HEADER_BYTES
    rate, channels, samples, md5 = _stream_info(head) if flac else (0, 0, 0, b"")
    if not (samples and any(md5)):  # another format, or a header without these fields
        audio = read_audio(u.audio, clock.sample_rate)
        pcm = np.round(audio * 32768).clip(-32768, 32767).astype("<i2")
        rate, channels, samples, md5 = clock.sample_rate, 1, len(audio), hashlib.md5(pcm.tobytes()).digest()
    expected = u.frames * clock.samples_per_frame
    if (rate, channels, samples) != (clock.sample_rate, 1, expected):
        raise UserError(
            f"{u.audio} has {samples} samples in {channels} channels at {rate} Hz, {expected} in one at "
            f"{clock.sample_rate} Hz are expected; prepare the data again (stage 1 --force)"
        )
    return int.from_bytes(md5[:8], "little") or 1


def check_crops(u: Utterance) -> None:
    """Raises UserError where mouth crops are unreadable, or not of the stated length."""
    assert u.video is not None, "only utterances with video are checked"
    try:
        with open_input(open_location(u.video), "mp4") as container:
            frames = container.streams.video[0].frames or len(read_crops(u.video))
    except (av.FFmpegError, OSError, IndexError) as error:
        raise UserError(f"mouth crops {u.video} can't be read ({error}); prepare them again") from error
    if frames != u.frames:
        raise UserError(
            f"{u.video} has {frames} frames, {u.frames} are expected; prepare the data again (stage 1 --force)"
        )


def _head(place: Path) -> bytes:
    try:
        file = open_location(place)
        if not isinstance(file, str):
            return file.read(FLAC_HEADER_BYTES)
        with Path(file).open("rb") as whole:
            return whole.read(FLAC_HEADER_BYTES)
    except OSError as error:
        raise UserError(f"audio file {place} can't be read: {error}{missing_file_hint(place)}") from error


def _stream_info(head: bytes) -> tuple[int, int, int, bytes]:
    """Sample rate, channels, samples, and MD5 of the samples as integers: the fields of STREAMINFO (RFC 9639, 8.2)."""
    packed = int.from_bytes(head[18:26], "big")  # 20 bits rate, 3 channels - 1, 5 bits a sample - 1, 36 samples
    return packed >> 44, (packed >> 41 & 7) + 1, packed & (1 << 36) - 1, head[26:42]
