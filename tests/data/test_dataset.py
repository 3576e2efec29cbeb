"""Clips: aligned segments, augmentation that is a function of (seed, epoch, utterance), and padding with a mask."""

import pickle

import numpy as np
import pytest

from tests.conftest import make_data
from v2skit.config.augmentation import Augmentation
from v2skit.config.features import Clock
from v2skit.data.augment import augment, centre_crop, normalise
from v2skit.data.data_dir import Utterance, write_manifest
from v2skit.data.dataset import SpeechDataset, collate
from v2skit.data.sampler import Key
from v2skit.errors import UserError
from v2skit.models.speakers.none import NoSpeaker


def dataset(folder, **options) -> SpeechDataset:
    given = {"with_video": True, "augmentation": Augmentation(), "training": True, "segment_frames": 8, **options}
    return SpeechDataset([folder], [NoSpeaker().reader(folder)], Clock(), **given)


def key(epoch: int, index: int) -> Key:
    return Key(epoch, index, (epoch, 0))


def test_clip_is_a_function_of_seed_epoch_and_utterance(tmp_path):
    make_data(tmp_path)
    data, again, other = dataset(tmp_path), dataset(tmp_path, cache_mb=50), dataset(tmp_path, seed=2)
    one = data[key(3, 1)]
    for _ in range(2):
        same = again[key(3, 1)]
        assert np.array_equal(one.video, same.video) and np.array_equal(one.waveform, same.waveform)
    assert not np.array_equal(one.video, data[key(4, 1)].video)
    assert not np.array_equal(one.video, other[key(3, 1)].video)


def test_segments_of_audio_and_video_are_aligned(tmp_path):
    make_data(tmp_path)
    plain = Augmentation(flip=0.0, erase=0.0, time_mask_seconds=0.0)
    data = dataset(tmp_path, augmentation=plain, segment_frames=5)
    for epoch in range(5):
        clip = data[key(epoch, 0)]
        assert clip.video.shape == (5, 1, 88, 88) and clip.waveform.shape == (5 * 960,)
        bright = (clip.video > 1.0).sum((1, 2, 3)) ** 0.5
        loud = np.abs(clip.waveform.reshape(5, 960)).max(1)
        assert np.corrcoef(bright, loud)[0, 1] > 0.95


def test_padding_is_zero_and_masked(tmp_path):
    make_data(tmp_path)
    data = dataset(tmp_path, training=False)
    batch = collate([data[key(0, i)] for i in range(3)])
    lengths = [data.utterances[i].frames for i in range(3)]
    assert batch.mask.sum(1).tolist() == lengths and len(set(lengths)) > 1
    for row, length in enumerate(lengths):
        assert not batch.video[row, length:].any() and not batch.waveform[row, length * 960 :].any()
        assert batch.video[row, :length].any()
    assert batch.video.shape[1] * 960 == batch.waveform.shape[1]


def test_an_utterance_shorter_than_the_segment_is_used_whole(tmp_path):
    make_data(tmp_path, count=2)
    data = dataset(tmp_path, segment_frames=500)
    assert [data[key(0, i)].frames for i in range(2)] == [u.frames for u in data.utterances]


def test_directories_are_joined_each_with_its_speakers(tmp_path):
    made = [make_data(tmp_path / "a", count=4, video=False), make_data(tmp_path / "b", count=3, video=False, seed=1)]
    made = [u for part in made for u in sorted(part, key=lambda u: u.id)]
    folders = [tmp_path / "a", tmp_path / "b"]
    readers = [lambda utterance, speaker, n=n: np.full(1, n, np.float32) for n in range(2)]
    options = {"with_video": False, "augmentation": Augmentation(), "training": True, "segment_frames": 12}
    data = SpeechDataset(folders, readers, Clock(), **options)
    clips = [data[key(0, index)] for index in range(len(data))]
    assert [clip.id for clip in clips] == [u.id for u in made]
    assert [int(clip.speaker[0]) for clip in clips] == [0] * 4 + [1] * 3
    assert [clip.frames for clip in clips] == [min(u.frames, 12) for u in made]
    order = data.by_length[np.arange(7)]
    assert sorted(order) == list(range(7)) and data.by_length.longest == 12
    assert (np.diff([clips[index].frames for index in order]) >= 0).all()


def test_missing_audio_and_video_are_named(tmp_path):
    made = make_data(tmp_path)
    lines = (tmp_path / "video.scp").read_text().splitlines(keepends=True)
    (tmp_path / "video.scp").write_text("".join(lines[2:]))
    with pytest.raises(UserError, match=rf"2 utterances have no video \(e.g. {min(u.id for u in made)}\)"):
        dataset(tmp_path)
    assert len(dataset(tmp_path, with_video=False)) == 6
    (tmp_path / "wav.scp").unlink()
    with pytest.raises(UserError, match="6 utterances have no audio"):
        dataset(tmp_path, with_video=False)
    write_manifest(tmp_path / "empty", [], {})
    with pytest.raises(UserError, match="has no utterances"):
        dataset(tmp_path / "empty")


def test_workers_get_no_list_of_utterances(tmp_path):
    write_manifest(tmp_path, [Utterance(f"s-{n:05d}", "s", 9, tmp_path / "a.flac") for n in range(5000)], {})
    pickled = pickle.dumps(dataset(tmp_path, with_video=False))
    assert len(pickled) < 3000 and pickle.loads(pickled).utterances[4999].id == "s-04999"


def test_damaged_data_are_named(tmp_path):
    utterances = make_data(tmp_path)
    utterances[0].audio.write_bytes(b"no sound")
    with pytest.raises(UserError, match=f"{utterances[0].audio.name} can't be read"):
        dataset(tmp_path)[key(0, 0)]
    table = tmp_path / "utt2num_frames"
    table.write_text(table.read_text().replace(f" {utterances[1].frames}", " 99"))
    with pytest.raises(UserError, match=r"is not as long as its data directory says \(99\); prepare it again"):
        dataset(tmp_path, training=False)[key(0, 1)]


def test_augmentation():
    crops = np.random.default_rng(0).integers(0, 255, (50, 96, 96)).astype(np.uint8)
    before = crops.copy()
    nothing = Augmentation(flip=0.0, erase=0.0, time_mask_seconds=0.0)
    out = augment(crops, nothing, 25, np.random.default_rng(1))
    assert out.shape == (50, 88, 88) and any(
        np.array_equal(out, crops[:, t : t + 88, v : v + 88]) for t in range(9) for v in range(9)
    )
    assert np.array_equal(crops, before)
    flipped = augment(crops, Augmentation(flip=1.0, erase=0.0, time_mask_seconds=0.0), 25, np.random.default_rng(1))
    assert np.array_equal(flipped, out[:, :, ::-1])
    erased = augment(crops, Augmentation(flip=0.0, erase=1.0, time_mask_seconds=0.0), 25, np.random.default_rng(1))
    share = (erased == 107).all(0).mean()
    assert 0.015 < share < 0.35
    masked = augment(crops, Augmentation(flip=0.0, erase=0.0, time_mask_seconds=0.4), 25, np.random.default_rng(1))
    still = [frame.std() == 0 for frame in masked]
    assert 0 < sum(still) <= 20


def test_normalisation():
    crops = np.full((2, 96, 96), 107, np.uint8)
    assert abs(normalise(centre_crop(crops, 88))).max() < 0.02 and normalise(crops).shape == (2, 1, 96, 96)


PLAIN = {"flip": 0.0, "erase": 0.0, "time_mask_seconds": 0.0}


def disc(radius):
    rows, columns = np.mgrid[:96, :96] - 47.5
    return np.where(rows**2 + (columns * 1.5) ** 2 < radius**2, 200, 40).astype(np.uint8)[None].repeat(3, 0)


def test_jitter_of_the_geometry_is_the_same_in_all_frames_and_within_its_limits():
    areas, crops = [], disc(24)
    for seed in range(60):
        out = augment(crops, Augmentation(scale=0.2, **PLAIN), 25, np.random.default_rng(seed))
        assert out.dtype == np.uint8 and (out == out[0]).all()
        areas.append((out[0] > 120).sum() / (crops[0] > 120).sum())
    assert 0.8**2 * 0.97 < min(areas) < 0.75 and 1.3 < max(areas) < 1.2**2 * 1.03
    quarter = [
        augment(crops, Augmentation(rotation=90, **PLAIN), 25, np.random.default_rng(seed))[0] for seed in range(20)
    ]
    heights = [np.ptp(np.nonzero(out > 120)[0]) for out in quarter]
    assert min(heights) <= 36 and max(heights) >= 44  # from lying to upright


def test_jitter_of_the_light_keeps_the_order_of_values():
    crops = disc(24)
    means, contrasts = [], []
    for seed in range(60):
        settings = Augmentation(brightness=0.1, contrast=0.3, **PLAIN)
        out = augment(crops, settings, 25, np.random.default_rng(seed)).astype(int)
        low, high = out.min(), out.max()
        assert set(np.unique(out)) == {low, high} and low < high
        means.append(out.mean() - crops.mean())
        contrasts.append((high - low) / 160)
    assert -33 < min(means) < -15 and 15 < max(means) < 33
    assert 0.69 < min(contrasts) < 0.8 and 1.2 < max(contrasts) < 1.31
