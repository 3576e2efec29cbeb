"""Discriminators see every sample, score each clip by itself, and allow a gradient penalty, in silence too."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from v2skit.errors import UserError
from v2skit.losses.discriminators.multi_period import MultiPeriodDiscriminator
from v2skit.losses.discriminators.multi_resolution import MultiResolutionDiscriminator
from v2skit.losses.discriminators.power import NOISE_FLOOR, LogPower, PowerDiscriminator
from v2skit.losses.discriminators.waveform import WaveformDiscriminator
from v2skit.registry.kinds import construct
from v2skit.registry.plugins import registry

SMALL = {
    "waveform": {"channels": 4},
    "power": {"n_fft": 64, "hop": 16, "channels": [4, 4, 8, 8], "blocks": 1},
    "multi_period": {"channels": 1},
    "multi_resolution": {"n_ffts": [64, 128, 32], "channels": 4},
}
PARTS = {"waveform": 1, "power": 1, "multi_period": 5, "multi_resolution": 3}
every_discriminator = pytest.mark.parametrize("name", SMALL)


def small(name, **args):
    torch.manual_seed(1)
    return construct("discriminator", registry().entry("discriminator", name).load(), {**SMALL[name], **args})


def noise(clips, samples):
    return 0.1 * torch.randn(clips, samples, generator=torch.Generator().manual_seed(2))


def test_every_registered_discriminator_is_tested():
    assert set(SMALL) == {entry.name for entry in registry().entries("discriminator")}


@every_discriminator
@pytest.mark.parametrize("samples", [1, 2, 17, 1000])
def test_score_and_features_have_a_row_for_each_clip_however_short(name, samples):
    outputs = small(name)(noise(3, samples))
    assert len(outputs) == PARTS[name]
    for score, features in outputs:
        assert score.shape[0] == 3 and score.isfinite().all() and score.requires_grad
        assert len(features) >= 5 and all(f.shape[0] == 3 and f.ndim > 2 and f.numel() for f in features)


@every_discriminator
@pytest.mark.parametrize("samples", [997, 1024])
def test_each_part_sees_every_sample(name, samples):
    clip = noise(1, samples).requires_grad_()
    for score, _ in small(name).eval()(clip):
        (gradient,) = torch.autograd.grad(score.sum(), clip, retain_graph=True)
        assert (gradient != 0).all()


@every_discriminator
def test_clips_do_not_influence_one_another(name):
    discriminator, clips = small(name).eval(), noise(3, 800)
    with torch.no_grad():
        batch, alone = discriminator(clips), [discriminator(clip[None]) for clip in clips]
    for part, (score, features) in enumerate(batch):
        assert not torch.allclose(score[0], score[1], atol=1e-6)
        for row, outputs in enumerate(alone):
            lone_score, lone_features = outputs[part]
            torch.testing.assert_close(score[row], lone_score[0], atol=1e-5, rtol=1e-4)
            for got, want in zip(features, lone_features, strict=True):
                torch.testing.assert_close(got[row], want[0], atol=1e-5, rtol=1e-4)


@every_discriminator
@pytest.mark.parametrize("level", [1.0, 1e-6, 0.0])
def test_gradient_penalty_reaches_every_weight_also_near_silence(name, level):
    discriminator, clip = small(name), (level * noise(2, 600)).requires_grad_()
    score = sum(score.flatten(1).mean(1) if score.ndim > 1 else score for score, _ in discriminator(clip))
    (gradient,) = torch.autograd.grad(score.sum(), clip, create_graph=True)
    ((gradient.square().sum(1) + 1e-12).sqrt() - 1).square().mean().backward()
    gradients = {n: p.grad for n, p in discriminator.named_parameters() if p.grad is not None}
    assert all(g.isfinite().all() for g in gradients.values())
    if level == 1.0:  # not the biases: they shift a score, and bend no line between two kinks
        without = [
            n
            for n, p in discriminator.named_parameters()
            if p.ndim > 1 and (n not in gradients or not gradients[n].any())
        ]
        assert not without


def test_second_derivatives_of_the_waveform_discriminator_are_those_of_differences():
    torch.manual_seed(3)
    discriminator = WaveformDiscriminator(channels=2, layers=2, kernel=7).double().eval()
    weights = [discriminator.layers[0].weight, discriminator.layers[1].weight, discriminator.score.weight]
    clip = torch.randn(1, 30, dtype=torch.double, requires_grad=True)

    def penalty(*_):
        (gradient,) = torch.autograd.grad(discriminator(clip)[0][0].sum(), clip, create_graph=True)
        return (gradient.norm() - 1).square()

    assert torch.autograd.gradcheck(penalty, weights)


def test_waveform_score_is_the_mean_over_time_of_the_last_layer():
    discriminator = WaveformDiscriminator(channels=1, layers=1, kernel=5, stride=3)
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.fill_(1.0)
    sums = [1 + 2 + 3, 2 + 3 + 4 + 5 + 6, 5 + 6 + 7]  # around samples 0, 3 and 6, from the clip 1..7
    want = sum(s + 1 for s in sums) / 3 + 1
    ((score, (feature,)),) = discriminator(torch.arange(1.0, 8.0)[None])
    assert feature.tolist() == [[[s + 1 for s in sums]]] and score.tolist() == pytest.approx([want])
    ((score, (feature,)),) = discriminator(-torch.arange(1.0, 8.0)[None])
    assert feature[0, 0].tolist() == pytest.approx([0.2 * (1 - s) for s in sums])


def test_waveform_channels_double_up_to_their_maximum():
    assert [layer.out_channels for layer in WaveformDiscriminator(4, 20).layers] == [4, 8, 16, 20, 20]


def test_phase_shuffle_reflects_and_is_for_training_only():
    discriminator, x = small("waveform"), torch.arange(6.0).expand(2, 3, 6)
    shifted = [discriminator._shift(x) for _ in range(200)]
    wanted = [F.pad(x, (n, 0), mode="reflect")[..., :6] for n in range(3)]
    wanted += [F.pad(x, (0, n), mode="reflect")[..., n:] for n in (1, 2)]
    assert all(any(torch.equal(got, want) for want in wanted) for got in shifted)
    assert all(any(torch.equal(got, want) for got in shifted) for want in wanted)

    clip = noise(1, 600)
    score = {}
    for mode in (True, False):
        discriminator.train(mode)
        score[mode] = [discriminator(clip)[0][0].item() for _ in range(8)]
    assert len(set(score[True])) > 1 and len(set(score[False])) == 1
    assert len({small("waveform", phase_shuffle=0)(clip)[0][0].item() for _ in range(8)} - set(score[False])) == 0


def test_log_power_is_that_of_each_windowed_frame():
    n_fft, hop, clip = 32, 8, noise(2, 50)
    got = LogPower(n_fft, hop)(clip)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    padded = np.pad(clip.double().numpy(), ((0, 0), (12, 12 + 6)))  # frames centred on hops; 50 -> 7 hops
    frames = np.stack([padded[:, m * hop : m * hop + n_fft] * window for m in range(7)], axis=1)
    power = np.abs(np.fft.rfft(frames)) ** 2 / (window**2).sum()
    want = np.log(power + NOISE_FLOOR) - np.log(NOISE_FLOOR)
    assert got.shape == (2, 1, 7, 17)
    np.testing.assert_allclose(got[:, 0], want, atol=1e-3)


def test_second_derivative_of_log_power_at_silence():
    n_fft, hop = 32, 8
    spectrogram, silence = LogPower(n_fft, hop), torch.zeros(1, 48, requires_grad=True)
    assert (spectrogram(silence) == 0).all()
    (gradient,) = torch.autograd.grad(spectrogram(silence).sum(), silence, create_graph=True)
    assert (gradient == 0).all()
    (curvature,) = torch.autograd.grad(gradient[0, 24], silence)
    # Sample 24 lies in 4 frames; each of their 17 bins has d2/dx2 = 2 window^2 / (floor * energy).
    window = torch.hann_window(n_fft).double()
    want = 2 * 17 * sum(window[24 + 12 - m * hop] ** 2 for m in (1, 2, 3, 4)) / (NOISE_FLOOR * window.square().sum())
    assert curvature[0, 24].item() == pytest.approx(want.item(), rel=1e-4)


def test_power_discriminator_has_the_shape_of_a_resnet18():
    discriminator = small("power", blocks=2)
    ((score, features),) = discriminator(noise(2, 1600))  # 100 frames of 33 bins
    assert score.shape == (2,)
    assert [tuple(f.shape[1:]) for f in features] == [(4, 50, 17), (4, 25, 9), (4, 13, 5), (8, 7, 3), (8, 4, 2)]
    with torch.device("meta"):
        convolutions = [m for m in PowerDiscriminator().modules() if isinstance(m, torch.nn.Conv2d)]
    assert len([m for m in convolutions if m.kernel_size != (1, 1)]) == 17


def test_multi_period_has_the_published_size():
    with torch.device("meta"):  # counted, not filled
        size = sum(p.numel() for p in MultiPeriodDiscriminator().parameters())
    assert size == pytest.approx(41.1e6, rel=0.02)


def test_each_column_of_a_period_is_scored_by_itself():
    period, clip = 3, noise(1, 100).requires_grad_()
    ((score, features),) = MultiPeriodDiscriminator([period], channels=2)(clip)
    assert [f.shape[2] for f in features] == [12, 4, 2, 1, 1]  # 34 rows, three to one
    for column, outputs in enumerate(score.unflatten(1, (-1, period)).unbind(2)):
        (gradient,) = torch.autograd.grad(outputs.sum(), clip, retain_graph=True)
        seen = gradient[0].nonzero()[:, 0]
        assert len(seen) and set((seen % period).tolist()) == {column}


def test_multi_resolution_strides_in_frequency_alone():
    ((_, features),) = MultiResolutionDiscriminator([64], channels=2)(noise(1, 1000))
    shapes = [tuple(f.shape[1:]) for f in features]
    assert shapes == [(2, 63, 33), (2, 63, 17), (2, 63, 9), (2, 63, 5), (2, 63, 5)]


def test_multi_resolution_scores_each_frame_near_its_time():
    discriminator, clip = MultiResolutionDiscriminator([64], channels=2), noise(1, 1600).requires_grad_()
    ((score, _),) = discriminator(clip)
    frames = score.unflatten(1, (100, -1))  # (B, 100, K')
    (gradient,) = torch.autograd.grad(frames[:, 50].sum(), clip)
    seen = gradient[0].nonzero()
    reach = 6 * 16 + 32  # six layers of one frame to each side, and half a window
    centre = 50 * 16 + 8
    assert centre - reach <= seen.min() and seen.max() < centre + reach and seen.max() - seen.min() > 1.9 * 6 * 16


@pytest.mark.parametrize(
    "discriminator, args",
    [
        (WaveformDiscriminator, {"channels": 0}),
        (WaveformDiscriminator, {"layers": 0}),
        (WaveformDiscriminator, {"kernel": 24}),
        (WaveformDiscriminator, {"kernel": 5, "stride": 4}),
        (WaveformDiscriminator, {"phase_shuffle": -1}),
        (PowerDiscriminator, {"n_fft": 512, "hop": 127}),
        (PowerDiscriminator, {"n_fft": 64, "hop": 128}),
        (PowerDiscriminator, {"channels": [8, 0]}),
        (PowerDiscriminator, {"channels": []}),
        (PowerDiscriminator, {"blocks": 0}),
        (MultiPeriodDiscriminator, {"periods": [2, 0]}),
        (MultiPeriodDiscriminator, {"periods": []}),
        (MultiPeriodDiscriminator, {"channels": 0}),
        (MultiResolutionDiscriminator, {"n_ffts": [1024, 508]}),
        (MultiResolutionDiscriminator, {"n_ffts": [0]}),
        (MultiResolutionDiscriminator, {"n_ffts": []}),
        (MultiResolutionDiscriminator, {"channels": 0}),
    ],
)
def test_wrong_settings_are_refused(discriminator, args):
    with pytest.raises(UserError, match=next(iter(args))):
        discriminator(**args)
