import copy

import pytest
import torch
from torch import nn

from v2skit.errors import UserError
from v2skit.models.layers.masked import MaskedConv1d, check_features, check_frames, on_valid, put_valid, take_valid


def masked_batch(dim: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    mask = torch.arange(5) < torch.tensor([[5], [3], [1]])
    return torch.randn(3, 5, dim), mask


def test_batch_norm_statistics_are_those_of_the_concatenated_valid_frames():
    x, mask = masked_batch()
    x[~mask] = 1e6
    masked, plain = nn.BatchNorm1d(6), nn.BatchNorm1d(6)
    output = on_valid(masked, x, mask)
    frames = torch.cat([x[0], x[1, :3], x[2, :1]])
    torch.testing.assert_close(output[mask], plain(frames))
    torch.testing.assert_close(masked.running_mean, frames.mean(0) * 0.1)
    torch.testing.assert_close(masked.running_var, plain.running_var)
    assert (output[~mask] == 0).all()


def test_take_and_put_are_inverse():
    x, mask = masked_batch()
    for some in (mask, torch.ones_like(mask)):
        assert torch.equal(take_valid(x, some), x[some])
        assert torch.equal(put_valid(take_valid(x, some), some)[some], x[some])


def test_gradient_of_padding_is_zero_and_of_valid_frames_that_of_the_plain_layer():
    x, mask = masked_batch()
    norm = nn.BatchNorm1d(6)
    padded = x.clone().requires_grad_()
    on_valid(copy.deepcopy(norm), padded, mask).pow(3).sum().backward()
    frames = x[mask].requires_grad_()
    norm(frames).pow(3).sum().backward()
    torch.testing.assert_close(padded.grad[mask], frames.grad)
    assert (padded.grad[~mask] == 0).all()


def test_convolution_sees_zeros_beyond_the_mask_even_where_the_padding_is_nan():
    x, mask = masked_batch()
    x[~mask] = float("nan")
    conv = MaskedConv1d(6, 4, 3, padding=1)
    alone = conv(x[1:2, :3], torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(conv(x, mask)[1, :3], alone[0])


def test_wrong_lengths_and_features_name_the_remedy():
    mask = torch.ones(2, 5, dtype=torch.bool)
    with pytest.raises(UserError, match=r"mel: length 19 for 5 video frames, but it must be 20 \(4 a frame\)"):
        check_frames(19, mask, 4, "mel")
    with pytest.raises(UserError, match="set in_dim"):
        check_features(torch.zeros(2, 5, 7), mask, 8, "encoder")
    check_frames(20, mask, 4, "mel")
    check_features(torch.zeros(2, 5, 8), mask, 8, "encoder")
