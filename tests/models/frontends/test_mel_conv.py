import pytest
import torch

from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.models.frontends.mel_conv import MelConv


@pytest.mark.parametrize("hop, per_frame", [(960, 1), (480, 2), (320, 3), (240, 4), (192, 5)])
def test_any_number_of_mel_frames_a_video_frame(hop, per_frame):
    frontend = MelConv(Clock(), Mel(hop=hop), channels=(16,), out_dim=8)
    output = frontend(torch.randn(2, 6 * per_frame, 80), torch.ones(2, 6, dtype=torch.bool))
    assert output.shape == (2, 6, 8)


def test_a_video_frame_depends_on_its_own_mel_frames():
    torch.manual_seed(0)
    frontend = MelConv(Clock(), Mel(), channels=(16,), out_dim=8, kernel=1).eval()
    mel, mask = torch.randn(1, 40, 80), torch.ones(1, 10, dtype=torch.bool)
    changed = mel.clone()
    changed[:, 20:24] += 1  # the mel frames of video frame 5
    differs = (frontend(mel, mask) != frontend(changed, mask)).any(-1)[0]
    assert differs.nonzero().flatten().tolist() == [4, 5, 6]


def test_bad_input_has_a_clear_error():
    frontend, mask = MelConv(Clock(), Mel()), torch.ones(1, 3, dtype=torch.bool)
    with pytest.raises(UserError, match="length 13 for 3 video frames, but it must be 12"):
        frontend(torch.randn(1, 13, 80), mask)
    with pytest.raises(UserError, match="mel of 64 bins, built for 80"):
        frontend(torch.randn(1, 12, 64), mask)
    with pytest.raises(UserError, match="kernel 4 must be odd"):
        MelConv(Clock(), Mel(), kernel=4)
