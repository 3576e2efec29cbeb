"""Archives of audio and mouth crops: entries read as files do, in any process, and errors name them."""

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import soundfile

from v2skit.errors import UserError
from v2skit.media.ark import ArkWriter, exists, open_location, split_location
from v2skit.media.audio import read_audio, write_audio
from v2skit.media.crops import encode_crops, read_crops

RATE = 24000


def sound(seed: int, samples: int = 4 * RATE) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, samples).astype(np.float32)


def crops(seed: int, frames: int = 40) -> np.ndarray:
    start = np.add.outer(np.arange(frames), np.add.outer(np.arange(32), np.arange(32)))
    return (60 + seed + start).astype(np.uint8)


@pytest.fixture
def packed(tmp_path) -> dict[str, Path]:
    """Three waveforms in one archive and three mouth crops in another; their locations."""
    arks = {"sound": ArkWriter(tmp_path / "audio" / "3.ark"), "crops": ArkWriter(tmp_path / "video" / "3.ark")}
    locations = {}
    for number in range(3):
        locations[f"sound{number}"] = tmp_path / arks["sound"].add_audio(f"é-{number}", sound(number), RATE).location
        locations[f"crops{number}"] = (
            tmp_path / arks["crops"].add_bytes(f"é-{number}", encode_crops(crops(number), 25)).location
        )
    for ark in arks.values():
        ark.close()
    return locations


def read(locations: dict[str, Path]) -> list[np.ndarray]:
    return [(read_audio(p, RATE) if n.startswith("sound") else read_crops(p)) for n, p in sorted(locations.items())]


def test_round_trip(packed):
    *images, one, two, three = read(packed)
    for number, back in enumerate((one, two, three)):
        assert back.dtype == np.float32 and np.abs(back - sound(number)).max() <= 2**-15
    for number, back in enumerate(images):
        assert back.shape == (40, 32, 32) and np.abs(back.astype(int) - crops(number)).mean() < 2
    assert all(map(exists, packed.values()))


@pytest.mark.parametrize(("start", "count"), [(0, 1), (3, 20), (25, 15), (39, 1)])
def test_segments_are_those_of_plain_files(packed, tmp_path, start, count):
    write_audio(tmp_path / "1.flac", sound(1), RATE)
    (tmp_path / "1.mp4").write_bytes(encode_crops(crops(1), 25))
    first, samples = start * 2400 + 7, count * 2400  # the last ones end beyond the file
    part = read_audio(packed["sound1"], RATE, first, samples)
    assert np.array_equal(part, read_audio(tmp_path / "1.flac", RATE, first, samples)) and len(part) == samples
    whole = soundfile.read(tmp_path / "1.flac", dtype="float32")[0][first : first + samples]
    assert np.array_equal(part[: len(whole)], whole) and not part[len(whole) :].any()
    assert np.array_equal(read_crops(packed["crops1"], start, count), read_crops(tmp_path / "1.mp4", start, count))
    assert np.array_equal(read_crops(packed["crops1"], start, count), read_crops(packed["crops1"])[start:][:count])


def test_kaldiio_reads_both(packed):
    kaldiio = pytest.importorskip("kaldiio", reason="kaldiio is not installed")
    rate, samples = kaldiio.load_mat(str(packed["sound2"]))
    assert rate == RATE and np.array_equal(samples, read_audio(packed["sound2"], RATE))
    assert kaldiio.load_mat(str(packed["crops2"])).tobytes() == encode_crops(crops(2), 25)


def test_samples_beyond_full_scale_are_clipped(tmp_path):
    ark = ArkWriter(tmp_path / "a" / "0.ark")
    location = tmp_path / ark.add_audio("loud", 3 * sound(0), RATE).location
    ark.close()
    assert np.abs(read_audio(location, RATE) - np.clip(3 * sound(0), -1, 1)).max() <= 2**-15


def test_a_replaced_archive_is_mapped_again(packed, tmp_path):
    before = read_audio(packed["sound0"], RATE)
    path, offset = split_location(packed["sound0"])
    path.unlink()
    ark = ArkWriter(path)
    location = ark.add_audio("é-0", sound(9), RATE).location
    ark.close()
    assert tmp_path / location == packed["sound0"] and offset
    after = read_audio(packed["sound0"], RATE)
    assert np.abs(after - sound(9)).max() <= 2**-15 and not np.array_equal(after, before)


def test_entries_added_later_are_read(packed, tmp_path):
    read(packed)
    ark = ArkWriter(tmp_path / "audio" / "3.ark")
    location = tmp_path / ark.add_audio("later", sound(5), RATE).location
    assert np.abs(read_audio(location, RATE) - sound(5)).max() <= 2**-15  # before it is closed
    ark.close()


def test_entries_are_appended_after_an_interrupted_one(packed, tmp_path):
    for name in ("audio", "video"):
        path = tmp_path / name / "3.ark"
        content = path.read_bytes()
        path.write_bytes(content + content[: len(content) // 5])  # an incomplete entry
    audio, video = ArkWriter(tmp_path / "audio" / "3.ark"), ArkWriter(tmp_path / "video" / "3.ark")
    packed["sound3"] = tmp_path / audio.add_audio("new", sound(3), RATE).location
    packed["crops3"] = tmp_path / video.add_bytes("new", encode_crops(crops(3), 25)).location
    audio.close()
    video.close()
    back = read(packed)
    assert all(np.abs(back[4 + number] - sound(number)).max() <= 2**-15 for number in range(4))
    assert all(np.abs(back[number].astype(int) - crops(number)).mean() < 2 for number in range(4))
    assert read_audio(packed["sound3"], RATE).shape == sound(3).shape


@pytest.mark.parametrize("name", ["sound1", "crops1"])
@pytest.mark.parametrize("damage", ["absent", "empty", "beyond", "shifted", "cut", "cut at once", "overwritten"])
def test_damage_is_named(packed, name, damage):
    location = packed[name]
    path, offset = split_location(location)
    if damage == "absent":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "beyond":
        location = Path(f"{path}:{path.stat().st_size + 5}")
    elif damage == "shifted":
        location = Path(f"{path}:{offset + 1}")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[: offset + 600])
    elif damage == "cut at once":  # after the bytes that name its kind
        path.write_bytes(path.read_bytes()[: offset + (5 if name == "sound1" else 3)])
    else:
        content = path.read_bytes()
        path.write_bytes(content[: offset + 40] + bytes(len(content) - offset - 40))
    work = (
        (lambda: read_audio(location, RATE, 2400, 2400)) if name == "sound1" else (lambda: read_crops(location, 10, 10))
    )
    with pytest.raises(UserError, match=f"{location.name}.*") as error:
        work()
    assert "stage 1" in str(error.value) or "can't be read" in str(error.value)
    assert ("is cut short" in str(error.value)) == (damage in ("empty", "cut", "cut at once"))
    assert exists(location) == (damage != "absent")


def test_plain_files_are_opened_by_name(tmp_path):
    for name in ("clip.flac", "an.ark", "3.ark:x", "3.flac:12"):
        assert open_location(tmp_path / name) == str(tmp_path / name)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes_read_the_same(packed, method):
    here = read(packed)
    with multiprocessing.get_context(method).Pool(1) as pool:
        there = pool.apply(read, (packed,))
    assert all(map(np.array_equal, here, there))
