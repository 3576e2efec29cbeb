"""The mel of a batch: that of a segment is the slice of the whole utterance's, by the audio in its margins."""

import numpy as np
import pytest
import torch

from tests.conftest import make_data
from v2skit.config.features import Clock, Mel
from v2skit.config.schema import Augmentation
from v2skit.data.dataset import SpeechDataset, collate
from v2skit.data.sampler import Key
from v2skit.media.audio import read_audio
from v2skit.models.speakers.none import NoSpeaker
from v2skit.signal.mel import MelSpectrogram

CLOCK, MEL = Clock(), Mel()
SPECTROGRAM = MelSpectrogram(CLOCK, MEL)
PER_FRAME = MEL.per_frame(CLOCK)


def dataset(folder, **options) -> SpeechDataset:
    given = {"training": True, "segment_frames": 8, "margin_samples": MEL.margin_samples, **options}
    readers = [NoSpeaker().reader(folder)]
    return SpeechDataset([folder], readers, CLOCK, with_video=False, augmentation=Augmentation(), **given)


def whole_mel(data: SpeechDataset, index: int) -> torch.Tensor:
    """The mel (F,M) of a whole utterance."""
    u = data.utterances[index]
    audio = read_audio(u.audio, CLOCK.sample_rate, 0, u.frames * CLOCK.samples_per_frame)
    return SPECTROGRAM(torch.from_numpy(audio)[None])[0]


def edge_errors(data: SpeechDataset, epochs: range) -> list[float]:
    """The largest difference of each segment's mel from its place in the whole utterance's, which is searched."""
    errors = []
    for epoch in epochs:
        batch = collate([data[Key(epoch, index, (epoch, 0))] for index in range(len(data))]).with_mel(SPECTROGRAM)
        for row, mel in enumerate(batch.mel):
            count = int(batch.mask[row].sum()) * PER_FRAME
            places = whole_mel(data, row).unfold(0, count, PER_FRAME).transpose(1, 2)  # (P, F, M)
            errors.append(float((places - mel[:count]).abs().amax((1, 2)).min()))
    return errors


@pytest.mark.parametrize("cache_mb", [0, 50])
def test_the_mel_of_a_segment_is_a_slice_of_the_whole_mel(tmp_path, cache_mb):
    make_data(tmp_path, video=False)
    without = edge_errors(dataset(tmp_path, cache_mb=cache_mb, margin_samples=0), range(3))
    assert max(without) > 1.0
    assert max(edge_errors(dataset(tmp_path, cache_mb=cache_mb), range(3))) < 1e-4


def test_segments_of_unequal_length_have_their_own_margins(tmp_path):
    make_data(tmp_path, video=False)
    data = dataset(tmp_path, segment_frames=17)  # longer than some utterances
    frames = [data.utterances[index].frames for index in range(len(data))]
    assert min(frames) < 17 < max(frames)
    assert max(edge_errors(data, range(3))) < 1e-4


def test_margins_change_neither_segments_nor_whole_utterances(tmp_path):
    make_data(tmp_path, video=False)
    data, before = dataset(tmp_path), dataset(tmp_path, margin_samples=0)
    for index in range(len(data)):
        clip = data[Key(2, index, (2, 0))]
        assert np.array_equal(clip.waveform, before[Key(2, index, (2, 0))].waveform)
    for whole in ({"training": False}, {"segment_frames": None}):
        batch = collate([dataset(tmp_path, **whole)[Key(0, 0, (0, 0))]])
        assert batch.margins.shape == (1, 2, 0)
        assert torch.equal(batch.with_mel(SPECTROGRAM).mel[0], whole_mel(data, 0))


@pytest.mark.parametrize("window, hop, samples", [(1200, 240, 480), (640, 160, 320), (800, 200, 400), (240, 240, 0)])
def test_the_margin_is_what_the_outermost_windows_read(window, hop, samples):
    assert Mel(n_fft=2 * window if window > hop else hop, window=window, hop=hop).margin_samples == samples
