"""The fusion of video and predicted speech."""

import torch

from v2skit.config.features import Clock, Mel
from v2skit.models.frontends.audiovisual import AudioVisual
from v2skit.models.frontends.mel_conv import MelConv
from v2skit.models.frontends.resnet3d import ResNet3dSmall


def test_features_of_the_same_width_are_their_mean_before_training():
    torch.manual_seed(0)
    visual, audio = ResNet3dSmall(channels=(4, 8)), MelConv(Clock(), Mel(), channels=(8,), out_dim=8)
    video, mel, mask = torch.randn(2, 5, 1, 16, 16), torch.randn(2, 20, 80), torch.ones(2, 5, dtype=torch.bool)
    mean = (visual.eval()(video, mask) + audio.eval()(mel, mask)) / 2
    assert torch.allclose(AudioVisual(visual, audio, out_dim=8).eval()(video, mel, mask), mean, atol=1e-6)
    assert AudioVisual(visual, audio, out_dim=16).eval()(video, mel, mask).shape == (2, 5, 16)
