"""Tempo perturbation: audio and video stay in step, sequences stay whole, and other clips are as before."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.conftest import make_data
from v2skit.config.augmentation import Augmentation
from v2skit.config.features import Clock, Mel
from v2skit.data.dataset import SpeechDataset, collate
from v2skit.data.sampler import Key
from v2skit.data.tempo import Excerpt, draw_excerpt, interpolate_frames
from v2skit.models.speakers.none import NoSpeaker

PLAIN = {"flip": 0.0, "erase": 0.0, "time_mask_seconds": 0.0}


def dataset(folder, tempos, **options) -> SpeechDataset:
    given = {"with_video": True, "augmentation": Augmentation(**PLAIN, tempos=tempos), "training": True, **options}
    return SpeechDataset([folder], [NoSpeaker().reader(folder)], Clock(), **given)


def clips(data: SpeechDataset, epoch: int = 0) -> list:
    return [data[Key(epoch, number, (epoch, 0))] for number in range(len(data))]


def test_an_excerpt_has_its_tempo_and_stays_within_the_utterance_and_the_segment():
    random = np.random.default_rng(0)
    for tempo in (0.5, 0.9, 1.1, 2.0):
        for available in (1, 2, 30, 75):
            whole = draw_excerpt(available, None, [tempo], random)
            assert whole == Excerpt(0, available, max(1, round(available / tempo)))
            part = draw_excerpt(available, 20, [tempo], random)
            assert 0 <= part.start <= available - part.length and 0 < part.frames <= 20
            assert available < 20 * tempo or abs(part.frames - 20) <= 1
    tempos = {draw_excerpt(90, None, [0.9, 1.0, 1.1], random).frames for _ in range(50)}
    assert tempos == {100, 90, 82}


def test_frames_are_interpolated_in_time():
    ramp = np.arange(0, 250, 10, np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)
    assert np.array_equal(interpolate_frames(ramp, 25), ramp)
    slow = interpolate_frames(ramp, 50)
    assert slow.dtype == np.uint8 and slow.shape == (50, 4, 4)
    wanted = ((np.arange(50) + 0.5) / 2 - 0.5).clip(0, 24) * 10
    assert np.abs(slow[:, 0, 0] - wanted).max() <= 0.5
    assert interpolate_frames(ramp[:1], 2).tolist() == ramp[[0, 0]].tolist()
    bright = np.full((3, 2, 2), 255, np.uint8)
    assert (interpolate_frames(bright, 5) == 255).all()


@pytest.mark.parametrize("tempo", [0.8, 1.25])
@pytest.mark.parametrize("segment_frames", [None, 9])
def test_audio_and_video_stay_in_step(tmp_path, tempo, segment_frames):
    make_data(tmp_path)
    data = dataset(tmp_path, [tempo], segment_frames=segment_frames, margin_samples=Mel().margin_samples)
    bright, loud = [], []
    for number, clip in enumerate(clips(data)):
        frames = data.utterances[number].frames
        assert clip.frames == min(round(frames / tempo), segment_frames or 99)
        assert clip.video.shape == (clip.frames, 1, 88, 88) and clip.waveform.shape == (clip.frames * 960,)
        assert clip.waveform.dtype == np.float32 and clip.margins.shape == (2, 480 if segment_frames else 0)
        bright.append((clip.video > 1.0).sum((1, 2, 3)) ** 0.5)
        loud.append(np.abs(clip.waveform.reshape(clip.frames, 960)).max(1))
    assert np.corrcoef(np.concatenate(bright), np.concatenate(loud))[0, 1] > 0.95
    batch = collate(clips(data))
    assert batch.mask.shape[1] * 960 == batch.waveform.shape[1] == batch.video.shape[1] * 960


def test_the_margins_continue_the_segment(tmp_path):
    make_data(tmp_path)
    data = dataset(tmp_path, [0.8], segment_frames=6, margin_samples=480)
    steps = []
    for clip in clips(data, 1):
        joined = np.concatenate([clip.margins[0], clip.waveform, clip.margins[1]])
        edges = np.abs(np.diff(joined))[[479, len(joined) - 481]]
        steps += [edge / np.abs(np.diff(clip.waveform)).max() for edge in edges]
    assert max(steps) < 1.1  # hums are smooth


def test_tempos_are_drawn_anew_each_epoch_and_only_in_training(tmp_path):
    made = sorted(make_data(tmp_path), key=lambda u: u.id)
    data = dataset(tmp_path, [0.8, 1.0, 1.25])
    lengths = [[clip.frames for clip in clips(data, epoch)] for epoch in range(4)]
    assert lengths[0] == [clip.frames for clip in clips(dataset(tmp_path, [0.8, 1.0, 1.25]))]
    assert len({tuple(of_epoch) for of_epoch in lengths}) > 1
    whole = [u.frames for u in made]
    assert [clip.frames for clip in clips(dataset(tmp_path, [0.8], training=False))] == whole
    assert [clip.frames for clip in clips(dataset(tmp_path, [0.8], with_video=False))] == whole


def test_sequences_stay_whole_and_their_frames_are_those_of_the_fastest_tempo(tmp_path):
    make_data(tmp_path)
    seen = []

    def read(number, start, frames, whole):
        seen.append(whole)
        return np.arange(3)

    stream = SimpleNamespace(read=read, lengths=np.full(6, 3))
    data = dataset(tmp_path, [0.8, 1.25], streams=[{"tokens": stream}])
    assert all(clip.extras["tokens"].tolist() == [0, 1, 2] for clip in clips(data)) and all(seen)
    counts, frames, whole = data.sequences("tokens")
    assert frames.tolist() == [round(u.frames / 1.25) for u in data.utterances] and whole.all()
    assert counts.tolist() == [3] * 6


@pytest.mark.parametrize("tempos, wanted", [([0.8], [0, 1]), ([1.25], [0, 1]), ([0.8, 1.25], [0.5, 1])])
def test_sequences_are_whole_at_the_tempos_whose_excerpts_are(tmp_path, tempos, wanted):
    make_data(tmp_path)
    segment = 16 if min(tempos) < 1 else 13  # of 10 to 20 frames
    stream = SimpleNamespace(lengths=np.full(6, 3))
    data = dataset(tmp_path, tempos, segment_frames=segment, streams=[{"tokens": stream}])
    random = np.random.default_rng(0)
    drawn = [[draw_excerpt(u.frames, segment, [tempo], random).length == u.frames for tempo in tempos]
             for u in data.utterances]  # fmt: skip
    *_, whole = data.sequences("tokens")
    assert whole.tolist() == np.mean(drawn, axis=1).tolist() and sorted(set(whole)) == wanted
