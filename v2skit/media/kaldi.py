"""The entries of Kaldi's archives, as bytes. An archive repeats: a key, a blank, and an entry of one of these kinds:

    AUDIO  a sound file of any format, after its length     NPY  a NumPy array, after its length
    RIFF   a WAVE file, as Kaldi's own tools write it       \\0B   a vector or matrix of numbers, in Kaldi's binary form

The length is little-endian in as few bytes as it needs, after a byte that says how many these are. A binary vector is
``\\0BFV `` (float32) or ``\\0BDV `` (float64), the byte 4, the number of values as int32, and the values. Entries are
data: pickles (kind PKL) are not read.
"""

from __future__ import annotations

import io
import re
from mmap import mmap

import numpy as np
import soundfile

from v2skit.errors import UserError

LARGEST_MATRIX_BYTES = 1 << 20
"""What kaldiio is handed of an archive at the most, to find one vector in."""

PREPARE_AGAIN = "prepare the data again (stage 1 --force)"
"""The remedy where an archive of v2skit's own is damaged."""

_FILES = (b"AUDIO", b"NPY")
_VECTORS = {b"\0BFV ": "<f4", b"\0BDV ": "<f8"}
_MATRICES = (b"\0BFM ", b"\0BDM ", b"\0BCM ", b"\0BCM2 ", b"\0BCM3 ", b" [")
_BYTES = re.compile(rb"\{'descr': '\|u1', 'fortran_order': False, 'shape': \((\d{1,18}),\), \} *\n")


def sound_entry(waveform: np.ndarray, sample_rate: int) -> bytes:
    """The entry of a waveform (N,) in [-1, 1]: FLAC of 16 bits."""
    file = io.BytesIO()
    soundfile.write(file, waveform, sample_rate, format="FLAC", subtype="PCM_16")
    return _with_length(b"AUDIO", file.getvalue())


def bytes_entry(content: bytes) -> bytes:
    """The entry of a file's content: a NumPy array, uint8 (N,)."""
    file = io.BytesIO()
    np.save(file, np.frombuffer(content, np.uint8), allow_pickle=False)
    return _with_length(b"NPY", file.getvalue())


def vector_entry(vector: np.ndarray) -> bytes:
    """The entry of a vector (N,), as float32."""
    return b"\0BFV \x04" + len(vector).to_bytes(4, "little") + vector.astype("<f4").tobytes()


def _with_length(kind: bytes, content: bytes) -> bytes:
    width = (len(content).bit_length() + 7) // 8
    return kind + bytes([width]) + len(content).to_bytes(width, "little") + content


def file_span(content: mmap, offset: int, place: object) -> tuple[int, int]:
    """Where the file lies that an entry holds: sound, or bytes that were stored with :func:`bytes_entry`.

    Args:
        content: of the archive.
        offset: of the entry.
        place: its name, for messages.

    Returns:
        (start, end) within the archive.

    Raises:
        UserError: there is no such entry, it is cut short, or it holds something else.
    """
    head = content[offset : offset + 8]
    if head.startswith(b"RIFF"):
        end = offset + 8 + int.from_bytes(head[4:], "little")
        if len(head) < 8 or end > len(content):
            raise UserError(f"{place} is cut short, or its header lacks the length; rewrite the archive (wav-copy)")
        return offset, end
    kind, start, end = _length(content, offset, place, PREPARE_AGAIN)
    if kind == b"NPY":
        header, data = _array_header(content, start)
        found = _BYTES.fullmatch(header)
        if not found or data + int(found[1]) != end:
            raise UserError(f"{place} holds an array that is no file's content; {PREPARE_AGAIN}")
        start = data
    return start, end


def read_vector(content: mmap, offset: int, place: object, remedy: str) -> np.ndarray:
    """A vector that an entry holds; matrices, compressed and text entries are read with kaldiio.

    Args:
        content: of the archive.
        offset: of the entry.
        place: its name, for messages.
        remedy: for messages.

    Returns:
        float32, of whatever shape is stored.

    Raises:
        UserError: there is no such entry, it is cut short or holds no numbers, or kaldiio is needed and missing.
    """
    head = content[offset : offset + 10]
    kind = head[:5]
    if kind in _VECTORS:
        start, itemsize = offset + 10, np.dtype(_VECTORS[kind]).itemsize
        count = int.from_bytes(head[6:10], "little", signed=True)
        if len(head) == 10 and (head[5] != 4 or count < 0):
            raise UserError(f"{place} is a vector without a length; {remedy}")
        if len(head) < 10 or start + count * itemsize > len(content):
            raise UserError(f"{place} is cut short; {remedy}")
        return np.frombuffer(content[start : start + count * itemsize], _VECTORS[kind]).astype(np.float32)
    if any(content[offset : offset + len(known)] == known for known in _MATRICES):
        return _with_kaldiio(content[offset : offset + LARGEST_MATRIX_BYTES], place, remedy)
    kind, start, end = _length(content, offset, place, remedy)
    if kind != b"NPY":
        raise UserError(f"{place} holds sound, not a vector; {remedy}")
    try:
        array = np.lib.format.read_array(io.BytesIO(content[start:end]), allow_pickle=False)
        return array.astype(np.float32, casting="same_kind")
    except Exception as error:  # whatever NumPy says of a damaged array, or of one of objects
        raise UserError(f"{place} holds no array of numbers ({error}); {remedy}") from error


def _length(content: mmap, offset: int, place: object, remedy: str) -> tuple[bytes, int, int]:
    """(kind, start, end) of the content of an AUDIO or NPY entry."""
    kind = next((kind for kind in _FILES if content[offset : offset + len(kind)] == kind), None)
    if kind is None:
        head = content[offset : offset + 3]
        if head == b"PKL":
            raise UserError(f"{place} is a pickle, which could run code; store another kind of entry, or {remedy}")
        if head.startswith((b"\0B", b" [")):
            raise UserError(f"{place} holds numbers without a sample rate; wav.scp needs archives of sound (wav-copy)")
        raise UserError(f"{place} is no entry of that archive; {remedy}")
    start = offset + len(kind) + 1
    width = int.from_bytes(content[start - 1 : start], "little")
    end = start + width + int.from_bytes(content[start : start + width], "little")
    if not width or end > len(content):
        raise UserError(f"{place} is cut short; {remedy}")
    return kind, start + width, end


def _array_header(content: mmap, start: int) -> tuple[bytes, int]:
    """(text of a .npy file's header, version 1.0, empty where there is none; start of the data)."""
    head = content[start : start + 10]
    data = start + 10 + int.from_bytes(head[8:10], "little")
    return (content[start + 10 : data] if head.startswith(b"\x93NUMPY\x01\x00") else b""), data


def _with_kaldiio(entry: bytes, place: object, remedy: str) -> np.ndarray:
    """Read an entry whose kind is one of _MATRICES: kaldiio gets these bytes alone, no name that it could run."""
    try:
        import kaldiio
    except ImportError as error:
        raise UserError(
            f"{place} is a matrix or text, which kaldiio reads: pip install 'v2skit[kaldi]' (its licence is for "
            f"evaluation only), or store float vectors, with Kaldi's copy-vector ({error})"
        ) from error
    try:
        return np.asarray(next(kaldiio.load_ark(io.BytesIO(b"entry " + entry)))[1], np.float32)
    except Exception as error:  # whatever kaldiio says of a damaged entry
        raise UserError(f"{place} can't be read by kaldiio ({error or type(error).__name__}); {remedy}") from error
