import pytest
import torch

from tests.receptive_field import measured_receptive_field
from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.models.decoders.mel_linear import MelLinear


def test_each_video_frame_has_its_own_mel_frames_in_order():
    decoder = MelLinear(3, Clock(), Mel(n_mels=2), mean=0.0, std=1.0)
    with torch.no_grad():
        decoder.linear.weight.zero_()
        decoder.linear.bias.copy_(torch.arange(8.0))
    output = decoder(torch.randn(1, 2, 3), torch.ones(1, 2, dtype=torch.bool))
    assert output[0].tolist() == 2 * [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_receptive_field_is_the_frame_itself():
    decoder = MelLinear(3, Clock(), Mel())
    assert (decoder.left_context_frames, decoder.look_ahead_frames) == (0, 0)
    assert measured_receptive_field(decoder, torch.randn(1, 9, 3)) == (0, 0)


def test_training_starts_near_the_data():
    torch.manual_seed(0)
    output = MelLinear(256, Clock(), Mel())(torch.randn(2, 20, 256), torch.ones(2, 20, dtype=torch.bool))
    assert output.shape == (2, 80, 80)
    assert -6 < output.mean() < -4 and 0.5 < output.std() < 4


def test_the_mel_is_float32_under_autocast_and_no_coarser_than_the_layer_before_it():
    torch.manual_seed(0)
    decoder, x, mask = MelLinear(8, Clock(), Mel()), torch.randn(2, 5, 8), torch.ones(2, 5, dtype=torch.bool)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        mel, layer = decoder(x, mask), decoder.linear(x)
    assert layer.dtype == torch.bfloat16 and mel.dtype == torch.float32
    assert torch.equal(mel, (layer.float() * decoder.std + decoder.mean).reshape(mel.shape))


def test_bad_arguments_and_input_have_a_clear_error():
    with pytest.raises(UserError, match="whole number of mel frames"):
        MelLinear(4, Clock(), Mel(hop=250))
    with pytest.raises(UserError, match="std 0 must be positive"):
        MelLinear(4, Clock(), Mel(), std=0)
    with pytest.raises(UserError, match="mel_linear: input of shape"):
        MelLinear(4, Clock(), Mel())(torch.randn(1, 9, 5), torch.ones(1, 9, dtype=torch.bool))
