"""MP4 files whose headers state more frames than the file has are refused before FFmpeg allocates memory for them."""

import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
import pytest

from tests.media_files import every, make_video
from v2skit.errors import UserError
from v2skit.media import mp4_tables
from v2skit.media.container import probe
from v2skit.media.mp4_tables import MAX_SAMPLES, check_tables

HUGE = 50_000_000


def changed(path: Path, name: bytes, offset: int, *numbers: int) -> None:
    """Replace numbers in the first box of a name; the offset is from its body."""
    content = bytearray(path.read_bytes())
    struct.pack_into(f">{len(numbers)}I", content, content.index(name) + 4 + offset, *numbers)
    path.write_bytes(content)


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), name) + body


def with_edits(path: Path, count: int) -> None:
    """The whole video, many times."""
    content = path.read_bytes()
    edits = box(b"elst", struct.pack(">II", 0, count) + count * struct.pack(">IiI", 400, 0, 1 << 16))
    moov, trak, old = (content.index(name) - 4 for name in (b"moov", b"trak", b"edts"))
    size = struct.unpack_from(">I", content, old)[0]
    new = bytearray(content[:old] + box(b"edts", edits) + content[old + size :])
    for at in (moov, trak):
        struct.pack_into(">I", new, at, struct.unpack_from(">I", new, at)[0] + len(edits) + 8 - size)
    path.write_bytes(new)


def hostile(path: Path, kind: str) -> None:
    options = {"movflags": "frag_keyframe+empty_moov"} if kind == "fragment" else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for number in range(10 if kind != "edits" else 2000):
            picture = np.full((64, 64, 3), number % 250, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    if kind == "fragment":
        changed(path, b"trun", 0, 0x000001, HUGE)
    elif kind == "edits":
        with_edits(path, 20_000)
    else:
        changed(path, b"stsz", 4, 1, HUGE)
        changed(path, b"stsc", 4, 1, 1, HUGE, 1)
    if kind == "sound":
        changed(path, b"hdlr", 8, int.from_bytes(b"soun", "big"))
        changed(path, b"stts", 4, 1, HUGE, 2)
    elif kind == "chunks":
        changed(path, b"hdlr", 8, int.from_bytes(b"soun", "big"))
        changed(path, b"stts", 4, 1, HUGE, 1)
        changed(path, b"stsc", 4, 1, 1, 2**32 - 1, 1)
        changed(path, b"stco", 4, 10_000)
    elif kind == "unknown box first":
        path.write_bytes(box(b"abcd", b"\0" * 99) + path.read_bytes())
    elif kind == "box to the end":
        changed(path, b"moov", -8, 0)
    elif kind == "box beyond the end":
        changed(path, b"stsz", -8, 2**31)
    elif kind == "compressed":
        content = path.read_bytes()
        at = content.index(b"moov") - 4
        moov = content[at : at + struct.unpack_from(">I", content, at)[0]]
        data = box(b"dcom", b"zlib") + box(b"cmvd", struct.pack(">I", len(moov)) + zlib.compress(moov))
        path.write_bytes(content[:at] + box(b"moov", box(b"cmov", data)) + content[at + len(moov) :])


KINDS = [
    "video", "sound", "chunks", "fragment", "edits", "unknown box first", "box to the end", "box beyond the end",
    "compressed",
]  # fmt: skip

OPEN = """
import resource, sys
from pathlib import Path
from v2skit.errors import UserError
from v2skit.media.container import probe
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    probe(Path(sys.argv[1]))
except UserError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("kind", KINDS)
def test_headers_that_state_too_much_are_refused(tmp_path, kind):
    path = tmp_path / "clip.mp4"
    hostile(path, kind)
    with pytest.raises(UserError, match="clip.mp4 is damaged: its header states [0-9]+ frames and edits that are not"):
        probe(path)


def test_the_memory_is_never_allocated(tmp_path):
    hostile(tmp_path / "clip.mp4", "video")
    done = subprocess.run(
        [sys.executable, "-c", OPEN, tmp_path / "clip.mp4"], capture_output=True, text=True, timeout=60
    )
    message, megabytes = done.stdout.splitlines()
    assert "is damaged" in message and int(megabytes) < 100


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mov", "clip.mkv", "clip.avi"])
def test_usual_files_are_not(tmp_path, name):
    path = make_video(tmp_path / name, every(25, 0.4), (64, 64), audio_seconds=0.4)
    check_tables(path)
    assert probe(path).seconds == pytest.approx(0.4, abs=0.1)


def test_sound_without_compression_has_many_samples_and_is_read(tmp_path):
    with av.open(str(tmp_path / "sound.mov"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=48000, layout="mono")
        for _ in range(10):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1_000_000), np.int16), format="s16", layout="mono")
            frame.sample_rate = 48000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    check_tables(tmp_path / "sound.mov")
    assert MAX_SAMPLES < 10_000_000 and probe(tmp_path / "sound.mov").seconds == pytest.approx(10e6 / 48000, abs=0.1)


def in_one_chunk(path: Path, *rows: int) -> None:
    """A track of sound without compression, with the rows of a table of chunks: first chunk, samples, description."""
    table = struct.pack(f">II{len(rows)}I", 0, len(rows) // 3, *rows)
    stbl = box(b"stts", struct.pack(">IIII", 0, 1, HUGE, 1)) + box(b"stsc", table)
    stbl += box(b"stco", struct.pack(">II", 0, 10_000))
    path.write_bytes(box(b"moov", box(b"trak", box(b"hdlr", b"\0" * 8 + b"soun") + box(b"stbl", stbl))))


def test_one_large_chunk_among_many_is_not_refused(tmp_path):
    path = tmp_path / "sound.mov"
    in_one_chunk(path, 1, HUGE, 1, 2, 1024, 1)
    check_tables(path)
    for rows in ((1, 1024, 1, 2, HUGE, 1), (3, 1024, 1, 2, HUGE, 1)):
        in_one_chunk(path, *rows)
        with pytest.raises(UserError, match=r"states 4[0-9]{8} frames"):
            check_tables(path)


def test_the_number_of_boxes_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(mp4_tables, "MAX_BOXES", 1000)
    path = tmp_path / "clip.mp4"
    path.write_bytes(box(b"free", b"") * 1000)
    check_tables(path)
    path.write_bytes(box(b"free", b"") * 1001)
    with pytest.raises(UserError, match=r"clip.mp4 has more than 1000 boxes; convert it"):
        check_tables(path)


def test_tables_as_large_as_a_sparse_file_are_not_read(tmp_path):
    path = tmp_path / "sound.mov"
    path.write_bytes(struct.pack(">I4sII", 0, b"stsc", 0, 2**32 - 1))
    os.truncate(path, 1 << 40)
    check_tables(path)


def test_few_edits_of_long_videos_are_not_refused(tmp_path):
    hostile(tmp_path / "clip.mp4", "edits")
    check_tables(make_video(tmp_path / "other.mp4", every(25, 0.4), (64, 64)))
    path = make_video(tmp_path / "five.mp4", every(25, 0.4), (64, 64))
    if b"edts" in path.read_bytes():
        with_edits(path, 5)
    check_tables(path)


@pytest.mark.parametrize("seed", range(40))
def test_random_bytes_and_cut_headers_are_no_crash(tmp_path, seed):
    random = np.random.default_rng(seed)
    content = bytearray(make_video(tmp_path / "clip.mp4", every(25, 0.2), (32, 32)).read_bytes())
    if seed % 2:
        content = content[content.index(b"moov") - 4 :]
    for at in random.integers(0, len(content), seed):
        content[at] = random.integers(0, 256)
    (tmp_path / "clip.mp4").write_bytes(content[: random.integers(1, len(content))])
    try:
        check_tables(tmp_path / "clip.mp4")
    except UserError as error:
        assert "is damaged" in str(error)


@pytest.mark.parametrize("left", [0, 4, 12, 2000])
def test_a_file_that_is_cut_while_it_is_read_is_no_crash(tmp_path, monkeypatch, left):
    path = make_video(tmp_path / "clip.mp4", every(25, 0.4), (64, 64))
    boxes = mp4_tables._boxes

    def cut(content: BinaryIO, *place: int) -> Iterator[tuple[bytes, int, int]]:
        os.truncate(path, min(left, path.stat().st_size))
        return boxes(content, *place)

    monkeypatch.setattr(mp4_tables, "_boxes", cut)
    check_tables(path)
    assert path.stat().st_size == left
