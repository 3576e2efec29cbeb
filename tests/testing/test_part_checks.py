"""Frontends of several streams, vocoders, and speaker components: the checks accept good ones and refuse the others."""

import numpy as np
import pytest
import torch
from torch import nn

from v2skit import testing
from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.media.audio import read_audio
from v2skit.models.layers.masked import check_features, zero_padding
from v2skit.models.speakers.table import SpeakerTable
from v2skit.testing import examples

CLOCK, MEL = Clock(), Mel()
UTTERANCES = [("a-1", "a"), ("b-1", "b"), ("a-2", "a")]


class TwoStreams(nn.Module):
    """Mouth crops and waveform -> features."""

    input, out_dim, crop = ("video", "waveform"), 6, 8
    left_context_frames = look_ahead_frames = 0

    def __init__(self):
        super().__init__()
        self.video, self.audio = nn.Linear(64, 6), nn.Linear(CLOCK.samples_per_frame, 6)

    def parts(self, video, waveform):
        frames = waveform.unflatten(1, (-1, CLOCK.samples_per_frame))
        return self.video(video.flatten(2)), self.audio(frames)

    def forward(self, video, waveform, mask):
        first, second = self.parts(video, waveform)
        check_features(first, mask, 6, "two")
        return zero_padding((first + second).tanh(), mask)


class UsesVideoOnly(TwoStreams):
    def parts(self, video, waveform):
        first, second = super().parts(video, waveform)
        return first, 0 * second


class MixesPadding(TwoStreams):
    def parts(self, video, waveform):
        first, second = super().parts(video, waveform)
        return first, second - second.mean(1, keepdim=True)


class MelAndLips(TwoStreams):
    input = ("mel", "lips")

    def parts(self, mel, lips):
        return self.video(mel.reshape(len(mel), lips.shape[1], -1)[..., :64]), self.audio(lips)


def test_a_frontend_of_several_streams():
    testing.check_visual_frontend(TwoStreams())
    with pytest.raises(AssertionError, match="output does not depend on the input 'waveform'"):
        testing.check_visual_frontend(UsesVideoOnly())
    with pytest.raises(AssertionError, match="depends on its batch or padding"):
        testing.check_visual_frontend(MixesPadding())
    with pytest.raises(AssertionError, match="streams but video"):
        testing.check_audio_frontend(TwoStreams(), CLOCK, MEL)


def test_a_frontend_of_the_stream_of_a_target():
    lips = {"lips": lambda clips, frames: torch.randn(clips, frames, CLOCK.samples_per_frame)}
    testing.check_audio_frontend(MelAndLips(), CLOCK, MEL, lips)
    with pytest.raises(AssertionError, match="'lips' needs random values: give streams="):
        testing.check_audio_frontend(MelAndLips(), CLOCK, MEL)
    with pytest.raises(AssertionError, match="input = 'video', or a tuple with it"):
        testing.check_visual_frontend(MelAndLips(), streams=lips)


class OfTheBatch(SpeakerTable):
    def forward(self, speaker):
        return super().forward(speaker) + speaker.float().mean()


class VoiceOfAnotherType(SpeakerTable):
    def voice(self, name):
        return np.zeros(3, np.float32)


class ReaderStays(SpeakerTable):
    def reader(self, directory):
        return lambda utterance, speaker: np.array(0, np.int64)


class Reader:
    def __call__(self, utterance, speaker):
        return np.array(0, np.int64)

    def draw(self, utterance, speaker, random):
        return np.array(random.integers(3), np.int64)


class OtherRandomNumbers(Reader):
    def draw(self, utterance, speaker, random):
        return np.array(np.random.default_rng().integers(2**40), np.int64)


class DrawsOtherShapes(Reader):
    def draw(self, utterance, speaker, random):
        return np.zeros(2, np.int64)


def drawing(reader):
    class Drawing(SpeakerTable):
        def reader(self, directory):
            return reader()

    return Drawing(["a", "b"])


class NeedsAName(SpeakerTable):
    def voice(self, name):
        if name is None:
            raise UserError("name a voice")
        return super().voice(name)


def test_speakers(tmp_path):
    for good in (SpeakerTable, NeedsAName):
        testing.check_speaker(good(["a", "b"]), tmp_path, UTTERANCES)
    with pytest.raises(AssertionError, match="depends on its batch"):
        testing.check_speaker(OfTheBatch(["a", "b"]), tmp_path, UTTERANCES)
    with pytest.raises(AssertionError, match=r"voice\(\) differs from the reader"):
        testing.check_speaker(VoiceOfAnotherType(["a", "b"]), tmp_path, UTTERANCES)
    testing.check_speaker(drawing(Reader), tmp_path, UTTERANCES)
    with pytest.raises(AssertionError, match=r"random numbers that are not those of its generator"):
        testing.check_speaker(drawing(OtherRandomNumbers), tmp_path, UTTERANCES)
    with pytest.raises(AssertionError, match=r"draw\(\) differs from the reader"):
        testing.check_speaker(drawing(DrawsOtherShapes), tmp_path, UTTERANCES)
    with pytest.raises(AttributeError, match="pickle"):
        testing.check_speaker(ReaderStays(["a", "b"]), tmp_path, UTTERANCES)


class LevelReader:
    """The mean level of the speaker's other clips; ``own``: where there are none, of the clip itself."""

    def __init__(self, directory, own):
        self.directory, self.own = directory, own

    def __call__(self, utterance, speaker):
        paths = sorted((self.directory / "audio").glob(f"{speaker}-*.flac"))
        others = [path for path in paths if path.stem != utterance]
        levels = [np.abs(read_audio(path, CLOCK.sample_rate)).mean() for path in others or (paths if self.own else [])]
        return np.array([np.mean(levels) if levels else 0], np.float32)


class Level(nn.Module):
    out_dim, own = 1, False

    def prepare(self, directory):
        pass

    def reader(self, directory):
        return LevelReader(directory, self.own)

    def voice(self, name):
        return np.zeros(1, np.float32)

    def forward(self, level):
        return level


class LevelOfTheClip(Level):
    own = True


class DrawsTheClip(Level):
    def reader(self, directory):
        reader = super().reader(directory)
        reader.__class__ = DrawingReader
        return reader


class DrawingReader(LevelReader):
    def draw(self, utterance, speaker, random):
        return np.float32([np.abs(read_audio(self.directory / f"audio/{utterance}.flac", CLOCK.sample_rate)).mean()])


def test_the_input_of_a_speaker_component_is_never_computed_from_the_clip_itself(tmp_path):
    utterances = examples.data_directory(tmp_path / "data")
    testing.check_speaker(Level(), tmp_path / "data", utterances)
    with pytest.raises(AssertionError, match="the input for clip 'b-1' depends on the audio of this clip"):
        testing.check_speaker(LevelOfTheClip(), tmp_path / "data", utterances)
    with pytest.raises(AssertionError, match="the input for clip 'a-0' depends on the audio of this clip"):
        testing.check_speaker(DrawsTheClip(), tmp_path / "data", utterances)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


class Samples(nn.Module):
    """A linear vocoder."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(MEL.n_mels, MEL.hop)

    def forward(self, mel):
        return self.linear(mel).flatten(1)


class UnusedWeight(Samples):
    def __init__(self):
        super().__init__()
        self.unused = nn.Linear(2, 2)


class WithoutGradient(Samples):
    def forward(self, mel):
        return super().forward(mel).detach()


class TrainedElsewhere(WithoutGradient):
    digest = "0123"


def test_vocoders_train_all_their_weights():
    for good in (Samples, TrainedElsewhere):
        testing.check_vocoder(good(), MEL)
    with pytest.raises(AssertionError, match="no gradient reaches unused.weight, unused.bias"):
        testing.check_vocoder(UnusedWeight(), MEL)
    with pytest.raises(AssertionError, match="no gradient reaches linear.weight"):
        testing.check_vocoder(WithoutGradient(), MEL)
