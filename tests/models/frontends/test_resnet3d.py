import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.receptive_field import measured_receptive_field
from v2skit.errors import UserError
from v2skit.models.frontends.resnet3d import ResNet3d, ResNet3dSmall

SMALL = {"channels": (4, 6), "blocks": 1}


@pytest.mark.parametrize("ahead", [0, 1, 2, 4])
def test_stem_is_a_3d_convolution_whose_border_is_the_end_of_each_clip(ahead):
    torch.manual_seed(0)
    frontend = ResNet3d(**SMALL, look_ahead_frames=ahead)
    weight = frontend.stem[0].weight  # (C, 5, 7, 7)
    conv3d = nn.Conv3d(1, 4, (5, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False)
    conv3d.weight.data = weight.detach()[:, None]
    seen = []
    frontend.stem[0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    video = torch.randn(2, 6, 1, 20, 24)
    mask = torch.arange(6) < torch.tensor([[6], [4]])
    frontend(video, mask)
    whole, short = (
        conv3d(F.pad(clip.transpose(1, 2), (0, 0, 0, 0, 4 - ahead, ahead)))[0].transpose(0, 1)  # (T, C, H, W)
        for clip in (video[:1], video[1:, :4])
    )
    torch.testing.assert_close(seen[0], torch.cat([whole, short]), atol=1e-5, rtol=1e-5)
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("ahead", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("network", [ResNet3d, ResNet3dSmall])
def test_looks_exactly_as_far_as_it_says(network, ahead):
    torch.manual_seed(0)
    frontend = network(**SMALL, look_ahead_frames=ahead).eval()
    assert (frontend.left_context_frames, frontend.look_ahead_frames) == (4 - ahead, ahead)
    assert measured_receptive_field(frontend, torch.randn(1, 12, 1, 32, 32)) == (4 - ahead, ahead)


def test_batch_statistics_are_those_of_the_clips_without_padding():
    torch.manual_seed(0)
    frontend, seen = ResNet3d(**SMALL), []
    frontend.stem[0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    frontend(torch.randn(2, 6, 1, 32, 32), torch.arange(6) < torch.tensor([[6], [4]]))
    assert len(seen[0]) == 10
    want = 0.1 * seen[0].mean((0, 2, 3))
    torch.testing.assert_close(frontend.stem[1].running_mean, want, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("size", [32, 50, 88, 112])
def test_any_crop_size(size):
    output = ResNet3dSmall()(torch.randn(1, 3, 1, size, size), torch.ones(1, 3, dtype=torch.bool))
    assert output.shape == (1, 3, 128) and output.isfinite().all()


def test_padded_frames_are_not_computed():
    frontend, counts = ResNet3d(**SMALL).eval(), []
    frontend.stages.register_forward_hook(lambda module, inputs, output: counts.append(len(output)))
    frontend(torch.randn(2, 50, 1, 32, 32), torch.arange(50) < torch.tensor([[50], [3]]))
    assert counts == [53]


def test_runs_under_bf16_autocast():
    frontend = ResNet3dSmall()
    with torch.autocast("cpu", torch.bfloat16):
        output = frontend(torch.randn(2, 4, 1, 88, 88), torch.arange(4) < torch.tensor([[4], [2]]))
    output.float().sum().backward()
    assert frontend.stem[0].weight.grad.isfinite().all() and frontend.stem[0].weight.grad.abs().sum() > 0


def test_bad_input_has_a_clear_error():
    frontend, mask = ResNet3dSmall(), torch.ones(1, 3, dtype=torch.bool)
    with pytest.raises(UserError, match=r"takes gray crops \(B, T, 1, H, W\)"):
        frontend(torch.randn(1, 3, 3, 88, 88), mask)
    with pytest.raises(UserError, match="length 4 for 3 video frames"):
        frontend(torch.randn(1, 4, 1, 88, 88), mask)
    with pytest.raises(UserError, match="at least one stage"):
        ResNet3d(channels=())
    for ahead in (-1, 5):
        with pytest.raises(UserError, match=f"look_ahead_frames {ahead} must lie in 0..4"):
            ResNet3dSmall(look_ahead_frames=ahead)
