"""Entries equal those that kaldiio writes, byte for byte; other programs' entries are read, and never run as code."""

import io
import os
import pickle
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.media.test_ark import crops
from v2skit.data.index import open_index
from v2skit.errors import UserError
from v2skit.media.ark import ArkWriter, read_vector, write_vectors
from v2skit.media.audio import read_audio
from v2skit.media.crops import read_crops, write_crops
from v2skit.media.kaldi import audio_entry, bytes_entry, vector_entry

RATE = 24000
VECTOR = np.linspace(-1, 1, 256, dtype=np.float32)


@pytest.fixture
def kaldiio():
    return pytest.importorskip("kaldiio", reason="kaldiio is not installed")


@pytest.fixture
def archive(tmp_path):
    """Writes an archive of entries after one of another key, and returns the location of the last entry."""

    def store(*entries: bytes) -> Path:
        content, offset = b"before " + vector_entry(VECTOR[:3]), 0
        for number, entry in enumerate(entries):
            content += f"key{number} ".encode()
            offset = len(content)
            content += entry
        (tmp_path / "x.ark").write_bytes(content)
        return tmp_path / f"x.ark:{offset}"

    return store


def sound(samples: int = RATE, kind: str = "float32") -> np.ndarray:
    return np.random.default_rng(samples).uniform(-1, 1, samples).astype(kind)


def theirs(kaldiio, value: object, **options) -> bytes:
    """The entry that kaldiio writes."""
    file = io.BytesIO()
    kaldiio.save_ark(file, {"k": value}, **options)
    return file.getvalue()[2:]


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("samples", [1, 100, 5000, 300_000])
def test_audio_entries_are_those_of_kaldiio(kaldiio, kind, samples):
    value, options = sound(samples, kind), {"format": "flac", "subtype": "PCM_16"}
    entry = theirs(kaldiio, (RATE, value), write_function="soundfile", write_kwargs=options)
    assert audio_entry(value, RATE) == entry


@pytest.mark.parametrize("size", [0, 1, 127, 128, 65407, 65408, 70_000, (1 << 24) - 128, 1 << 24])
def test_bytes_are_kaldiios(kaldiio, size):
    content = np.random.default_rng(0).bytes(size)
    assert bytes_entry(content) == theirs(kaldiio, np.frombuffer(content, np.uint8), write_function="numpy")


@pytest.mark.parametrize("size", [0, 1, 256])
def test_vectors_are_kaldiios(kaldiio, size):
    assert vector_entry(VECTOR[:size].astype(float)) == theirs(kaldiio, VECTOR[:size])


def test_the_format_is_fixed():
    """Without kaldiio to compare with."""
    assert vector_entry(np.array([1.0, -2.0])) == b"\0BFV \x04\x02\0\0\0" + bytes.fromhex("0000803f000000c0")
    header = b"\x93NUMPY\x01\x00\x76\x00{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }"
    assert bytes_entry(b"abc") == b"NPY\x01\x83" + header.ljust(127) + b"\nabc"
    entry = audio_entry(sound(100_000), RATE)
    assert entry[:6] == b"AUDIO\x03" and entry[9:13] == b"fLaC"
    assert int.from_bytes(entry[6:9], "little") == len(entry[9:])


def test_an_interruption_leaves_no_table(tmp_path):
    ark, table = tmp_path / "v.ark", tmp_path / "v.scp"
    write_vectors(ark, table, [("a", VECTOR), ("b", VECTOR)])
    assert np.array_equal(read_vector(Path(table.read_text().split()[3]), ""), VECTOR)

    def interrupted():
        yield "a", VECTOR
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_vectors(ark, table, interrupted())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v.ark"]


def test_whole_archives_are_kaldiios(kaldiio, tmp_path):
    ark = ArkWriter(tmp_path / "audio" / "0.ark")
    locations = [
        ark.add_audio("é-1", sound(), RATE),
        ark.add_bytes("b", b"content"),
        ark.add_audio("c", sound(7), RATE),
    ]
    ark.close()
    options = {"write_function": "soundfile", "write_kwargs": {"format": "flac", "subtype": "PCM_16"}}
    with (tmp_path / "theirs.ark").open("wb") as file:
        kaldiio.save_ark(file, {"é-1": (RATE, sound())}, **options)
        kaldiio.save_ark(file, {"b": np.frombuffer(b"content", np.uint8)}, write_function="numpy")
        kaldiio.save_ark(file, {"c": (RATE, sound(7))}, **options)
    content = (tmp_path / "theirs.ark").read_bytes()
    assert (tmp_path / "audio" / "0.ark").read_bytes() == content and locations[-1].end == len(content)
    assert [key for key, _ in kaldiio.load_ark(str(tmp_path / "audio" / "0.ark"))] == ["é-1", "b", "c"]
    assert kaldiio.load_mat(str(tmp_path / locations[1].location)).tobytes() == b"content"


def test_reads_kaldis_wave_entries(archive):
    """As wav-copy writes them: RIFF files one after another."""
    files = []
    for samples in (500, 700):
        file = io.BytesIO()
        soundfile.write(file, sound(samples), RATE, format="WAV", subtype="PCM_16")
        files.append(file.getvalue())
    location = archive(*files)
    assert np.abs(read_audio(location, RATE) - sound(700)).max() <= 2**-15
    first = f"{str(location).rpartition(':')[0]}:{int(str(location).rpartition(':')[2]) - len('key1 ') - len(files[0])}"
    back = read_audio(Path(first), RATE)
    assert len(back) == 500 and np.abs(back - sound(500)).max() <= 2**-15


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
def test_reads_sound_that_kaldiio_wrote(kaldiio, archive, kind):
    entry = theirs(kaldiio, (RATE, sound()), write_function="soundfile", write_kwargs={"format": kind})
    assert read_audio(archive(entry, entry), RATE).shape == (RATE,)


def test_wave_entries_without_a_length_are_refused(archive):
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, RATE, 0, "NONE", ""))
        writer.writeframes(bytes(2000))
    location = archive(file.getvalue()[:4] + b"\xff\xff\xff\x7f" + file.getvalue()[8:])
    with pytest.raises(UserError, match=r"x\.ark:\d+ .*lacks the length.*wav-copy"):
        read_audio(location, RATE)


@pytest.mark.parametrize("options", [{}, {"write_function": "numpy"}], ids=["binary", "numpy"])
@pytest.mark.parametrize("kind", ["<f4", "<f8"])
def test_reads_vectors_without_kaldiio(archive, monkeypatch, kaldiio, options, kind):
    location = archive(theirs(kaldiio, VECTOR.astype(kind), **options))
    monkeypatch.setitem(sys.modules, "kaldiio", None)
    vector = read_vector(location, "")
    assert vector.dtype == np.float32 and np.allclose(vector, VECTOR)


@pytest.mark.parametrize("options", [{}, {"compression_method": 2}, {"compression_method": 3}, {"text": True}])
def test_reads_other_numbers_with_kaldiio(archive, monkeypatch, kaldiio, options):
    value = VECTOR if "text" in options else VECTOR[None]
    location = archive(theirs(kaldiio, value, **options))
    assert np.allclose(read_vector(location, "").reshape(-1), VECTOR, atol=0.01)
    monkeypatch.setitem(sys.modules, "kaldiio", None)
    with pytest.raises(UserError, match=r"x\.ark:\d+ .*pip install 'v2skit\[kaldi\]'"):
        read_vector(location, "")
    with pytest.raises(UserError, match="numbers without a sample rate"):
        read_audio(location, RATE)


class Bomb:
    """What leaves a file behind where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("read", [lambda p: read_audio(p, RATE), read_crops, lambda p: read_vector(p, "remedy")])
@pytest.mark.parametrize("kind", ["pickle", "array of objects"])
def test_pickles_are_never_read(archive, tmp_path, read, kind):
    if kind == "pickle":
        entry = b"PKL" + pickle.dumps(Bomb(tmp_path / "ran"))
    else:
        file = io.BytesIO()
        np.save(file, np.array([Bomb(tmp_path / "ran")], object), allow_pickle=True)
        entry = b"NPY\x02" + len(file.getvalue()).to_bytes(2, "little") + file.getvalue()
    with pytest.raises(UserError, match=r"x\.ark:\d+ (is a pickle|holds)"):
        read(archive(entry))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (b"\0BFV \x04\xff\xff\xff\xff" + bytes(40), "without a length"),
        (b"\0BFV \x08" + bytes(40), "without a length"),
        (b"\0BFV \x04\xff\xff\xff\x7f" + bytes(40), "cut short"),
        (b"\0BFV \x04\x01", "cut short"),
        (b"NPY\x00" + bytes(40), "cut short"),
        (b"NPY\xff" + b"\xff" * 300, "cut short"),
        (b"NPY\x01\x80" + bytes(128), "no array of numbers"),
        (audio_entry(sound(), RATE), "holds audio"),
        (b"PK\x03\x04" + bytes(40), "no entry"),
        (b"", "no entry"),
    ],
)
def test_damaged_vectors_are_named(archive, entry, message):
    with pytest.raises(UserError, match=rf"x\.ark:\d+ .*{message}.*the remedy"):
        read_vector(archive(entry), "the remedy")


@pytest.mark.parametrize("matrix", [b"\0BFM \x04\x10\0\0\0\x04\x10\0\0\0", b"\0BCM " + b"\xff" * 16, b" [ import"])
def test_what_kaldiio_says_of_damage_is_named(archive, kaldiio, matrix):
    with pytest.raises(UserError, match=r"x\.ark:\d+ .*the remedy"):
        read_vector(archive(matrix), "the remedy")


@pytest.mark.parametrize(
    ("true", "stated"),
    [
        (b"(40,), } ", b"(41,), } "),
        (b"|u1", b"|i1"),
        (b"(40,), }   ", b"(2, 20), } "),
        (b"False", b"True "),
        (b"(40,), }" + b" " * 18, b"(99999999999999999999,), }"),
        (b"NUMPY\x01", b"NUMPY\x02"),
    ],
)
def test_arrays_that_are_no_files_are_named(archive, true, stated):
    entry = bytes_entry(bytes(40))
    assert true in entry and len(true) == len(stated)
    with pytest.raises(UserError, match=r"x\.ark:\d+ .*holds an array that is no file's content.*stage 1"):
        read_crops(archive(entry.replace(true, stated)))


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("touch {ran} |", "is a command, and no command in a table is run.*wav-copy"),
        ("sph2pipe -f wav /data/x.sph | touch {ran} |", "is a command"),
        ("| touch {ran}", "is a command"),
        ("x.ark:0; touch {ran} |", "is a command"),
        ("x.ark:-5", "can't be read"),
        ("x.ark:0", "no entry"),
        ("x.ark:999999999", "no entry"),
        ("x.ark:" + "9" * 5000, "can't be read"),
        ("x.ark:5[0:3]", "can't be read"),
        ("elsewhere/x.wav", "start at its own folder"),
        ("x.wav\0.ark:5", "is no path"),
        ("-", "can't be read"),
    ],
)
@pytest.mark.parametrize("table", ["wav.scp", "video.scp"])
def test_hostile_tables_run_nothing(archive, tmp_path, monkeypatch, table, location, message):
    archive(audio_entry(sound(), RATE))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "utt2spk").write_text("a a\n")
    (tmp_path / "utt2num_frames").write_text("a 1\n")
    (tmp_path / table).write_text(f"a {location.format(ran=tmp_path / 'ran')}\n")
    for utterance in (open_index(tmp_path)[0], open_index(Path())[0]):
        if table == "video.scp":
            with pytest.raises(UserError, match="can't be read|" + message):
                read_crops(utterance.video)
        else:
            with pytest.raises(UserError, match=message):
                read_audio(utterance.audio, RATE)
    assert not (tmp_path / "ran").exists()


def test_a_relative_path_is_no_url(tmp_path, monkeypatch):
    """PyAV would follow ``concat:`` and the like."""
    monkeypatch.chdir(tmp_path)
    write_crops(tmp_path / "a.mp4", crops(0), 25)
    assert len(read_crops(Path("a.mp4"))) == 40
    with pytest.raises(UserError, match="can't be read"):
        read_crops(Path("concat:a.mp4"))
