"""Noise that is the same for a clip, whatever its batch."""

import torch

from v2skit.models.layers.noise import clip_noise


def test_it_is_normal_and_its_beginning_does_not_depend_on_its_length():
    cpu = torch.device("cpu")
    noise = clip_noise(1, 1000, 20, cpu)
    assert noise.shape == (1000, 20) and abs(noise.mean()) < 0.03 and abs(noise.std() - 1) < 0.03
    for length in (0, 1, 64, 65, 999):
        assert torch.equal(clip_noise(1, length, 20, cpu), noise[:length])
    assert not torch.equal(clip_noise(2, 64, 20, cpu), noise[:64])
    assert (noise[:64] - noise[64:128]).abs().mean() > 0.5
