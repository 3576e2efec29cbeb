import pytest
import torch

from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.models.frontends.resnet1d import ResNet1d
from v2skit.testing import check_audio_frontend

NARROW = {"channels": (4, 4, 4, 6), "blocks": 1}


def test_average_over_frames_that_the_stride_divides_is_a_mean_of_segments():
    frontend = ResNet1d(Clock(), **NARROW)
    x = torch.randn(2, 5 * 30, 6)
    torch.testing.assert_close(frontend._average(x, 5), x.unflatten(1, (5, 30)).mean(2))


@pytest.mark.parametrize("sample_rate, fps", [(24000, 20), (24000, 25), (16000, 25), (22050, 25), (22050, 30)])
def test_contract_at_clocks_that_the_stride_does_not_divide(sample_rate, fps):
    clock = Clock(sample_rate, fps)
    check_audio_frontend(ResNet1d(clock, **NARROW), clock, Mel())


def test_a_position_is_pooled_into_the_frame_of_its_centre():
    frontend = ResNet1d(Clock(24000, 20), **NARROW)  # 1200 samples a frame, stride 32: 37.5 positions
    positions = torch.arange(75.0)[None, :, None]
    want = torch.stack([torch.arange(0.0, 37).mean(), torch.arange(37.0, 75).mean()])  # centre of 37: sample 1200
    torch.testing.assert_close(frontend._average(positions, 2)[0, :, 0], want)


def test_bad_input_has_a_clear_error():
    frontend = ResNet1d(Clock(), **NARROW)
    with pytest.raises(UserError, match="waveform: length 2879 for 3 video frames, but it must be 2880"):
        frontend(torch.randn(1, 2879), torch.ones(1, 3, dtype=torch.bool))
    with pytest.raises(UserError, match="use fewer stages"):
        ResNet1d(Clock(1000, 50))
