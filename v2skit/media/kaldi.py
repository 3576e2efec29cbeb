"""The binary format of Kaldi archives' entries. An archive repeats: a key, a space, and an entry of one of these kinds:

    AUDIO  an audio file of any format, after its length    NPY  a NumPy array, after its length
    RIFF   a WAVE file, as Kaldi's own tools write it       \\0B   a vector or matrix of numbers, in Kaldi's binary form

The length is little-endian in as few bytes as it needs, after one byte with their number. A binary vector is
``\\0BFV `` (float32) or ``\\0BDV `` (float64), the byte 4, the number of values as int32, and the values. Pickles
(kind PKL) could run code and are refused.
"""

from __future__ import annotations

import io
import re
from mmap import mmap

import numpy as np
import soundfile

from v2skit.errors import UserError

LARGEST_MATRIX_BYTES = 1 << 20
"""Bytes of an archive, from the start of an entry, that kaldiio gets to read one vector from."""

PREPARE_AGAIN = "prepare the data again (stage 1 --force)"
"""Remedy for a damaged archive that v2skit wrote."""

_FILES = (b"AUDIO", b"NPY")
_VECTORS = {b"\0BFV ": "<f4", b"\0BDV ": "<f8"}
_MATRICES = (b"\0BFM ", b"\0BDM ", b"\0BCM ", b"\0BCM2 ", b"\0BCM3 ", b" [")
_BYTES = re.compile(rb"\{'descr': '\|u1', 'fortran_order': False, 'shape': \((\d{1,18}),\), \} *\n")


def audio_entry(waveform: np.ndarray, sample_rate: int) -> bytes:
    """Entry of a waveform (N,) in [-1, 1]: 16-bit FLAC."""
    file = io.BytesIO()
    soundfile.write(file, waveform, sample_rate, format="FLAC", subtype="PCM_16")
    return _with_length(b"AUDIO", file.getvalue())


def bytes_entry(content: bytes) -> bytes:
    """Entry of a file's content: a NumPy array, uint8 (N,)."""
    file = io.BytesIO()
    np.save(file, np.frombuffer(content, np.uint8), allow_pickle=False)
    return _with_length(b"NPY", file.getvalue())


def vector_entry(vector: np.ndarray) -> bytes:
    """Entry of a vector (N,), as float32."""
    return b"\0BFV \x04" + len(vector).to_bytes(4, "little") + vector.astype("<f4").tobytes()


def _with_length(kind: bytes, content: bytes) -> bytes:
    width = (len(content).bit_length() + 7) // 8
    return kind + bytes([width]) + len(content).to_bytes(width, "little") + content


def file_span(content: mmap, offset: int, location: object) -> tuple[int, int]:
    """Byte range of the file that an entry holds: audio, or bytes that :func:`bytes_entry` stored.

    Args:
        content: the mapped archive.
        offset: of the entry, bytes.
        location: of the entry, for messages.

    Returns:
        (start, end), offsets in the archive.

    Raises:
        UserError: there is no such entry, it is truncated, or it holds something else.
    """
    head = content[offset : offset + 8]
    if head.startswith(b"RIFF"):
        end = offset + 8 + int.from_bytes(head[4:], "little")
        if len(head) < 8 or end > len(content):
            raise UserError(f"{location} is cut short, or its header lacks the length; rewrite the archive (wav-copy)")
        return offset, end
    kind, start, end = _length(content, offset, location, PREPARE_AGAIN)
    if kind == b"NPY":
        header, data = _array_header(content, start)
        found = _BYTES.fullmatch(header)
        if not found or data + int(found[1]) != end:
            raise UserError(f"{location} holds an array that is no file's content; {PREPARE_AGAIN}")
        start = data
    return start, end


def read_vector(content: mmap, offset: int, location: object, remedy: str) -> np.ndarray:
    """The vector that an entry holds; kaldiio reads matrices, compressed and text entries.

    Args:
        content: the mapped archive.
        offset: of the entry, bytes.
        location: of the entry, for messages.
        remedy: end of the messages.

    Returns:
        float32, of the stored shape.

    Raises:
        UserError: there is no such entry, it is truncated or holds no numbers, or kaldiio is needed and missing.
    """
    head = content[offset : offset + 10]
    kind = head[:5]
    if kind in _VECTORS:
        start, itemsize = offset + 10, np.dtype(_VECTORS[kind]).itemsize
        count = int.from_bytes(head[6:10], "little", signed=True)
        if len(head) == 10 and (head[5] != 4 or count < 0):
            raise UserError(f"{location} is a vector without a length; {remedy}")
        if len(head) < 10 or start + count * itemsize > len(content):
            raise UserError(f"{location} is cut short; {remedy}")
        return np.frombuffer(content[start : start + count * itemsize], _VECTORS[kind]).astype(np.float32)
    if any(content[offset : offset + len(known)] == known for known in _MATRICES):
        return _with_kaldiio(content[offset : offset + LARGEST_MATRIX_BYTES], location, remedy)
    kind, start, end = _length(content, offset, location, remedy)
    if kind != b"NPY":
        raise UserError(f"{location} holds audio, not a vector; {remedy}")
    try:
        array = np.lib.format.read_array(io.BytesIO(content[start:end]), allow_pickle=False)
        return array.astype(np.float32, casting="same_kind")
    except Exception as error:  # NumPy raises many types for damaged arrays and arrays of objects
        raise UserError(f"{location} holds no array of numbers ({error}); {remedy}") from error


def _length(content: mmap, offset: int, location: object, remedy: str) -> tuple[bytes, int, int]:
    """(kind, start, end) of the content of an AUDIO or NPY entry."""
    kind = next((kind for kind in _FILES if content[offset : offset + len(kind)] == kind), None)
    if kind is None:
        head = content[offset : offset + 3]
        if head == b"PKL":
            raise UserError(f"{location} is a pickle, which could run code; store another kind of entry, or {remedy}")
        if head.startswith((b"\0B", b" [")):
            raise UserError(
                f"{location} holds numbers without a sample rate; wav.scp needs archives of audio (wav-copy)"
            )
        raise UserError(f"{location} is no entry of that archive; {remedy}")
    start = offset + len(kind) + 1
    width = int.from_bytes(content[start - 1 : start], "little")
    end = start + width + int.from_bytes(content[start : start + width], "little")
    if not width or end > len(content):
        raise UserError(f"{location} is cut short; {remedy}")
    return kind, start + width, end


def _array_header(content: mmap, start: int) -> tuple[bytes, int]:
    """Header of a .npy file of version 1.0, empty where there is none, and the offset of its data.

    Each read of a segment of crops starts here: NumPy's reader, which evaluates the text, takes 20 us against 0.3 us.
    """
    head = content[start : start + 10]
    data = start + 10 + int.from_bytes(head[8:10], "little")
    return (content[start + 10 : data] if head.startswith(b"\x93NUMPY\x01\x00") else b""), data


def _with_kaldiio(entry: bytes, location: object, remedy: str) -> np.ndarray:
    """Read an entry whose kind is one of _MATRICES. kaldiio gets bytes: it could run a name as a command."""
    try:
        import kaldiio
    except ImportError as error:
        raise UserError(
            f"{location} is a matrix or text, which kaldiio reads: pip install 'v2skit[kaldi]' (its licence is for "
            f"evaluation only), or store float vectors, with Kaldi's copy-vector ({error})"
        ) from error
    try:
        return np.asarray(next(kaldiio.load_ark(io.BytesIO(b"entry " + entry)))[1], np.float32)
    except Exception as error:  # kaldiio raises many types for damaged entries
        raise UserError(f"{location} can't be read by kaldiio ({error or type(error).__name__}); {remedy}") from error
