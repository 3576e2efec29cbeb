"""The DDSP decoder."""

import pytest
import torch

from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.models.decoders.ddsp import PERIOD_FRAMES, Ddsp
from v2skit.synthesis.overlap import concatenated
from v2skit.synthesis.pipeline import windowed
from v2skit.testing import check_decoder

CLOCK, MEL, IN_DIM = Clock(), Mel(), 8


def decoder(**arguments):
    torch.manual_seed(0)
    small = {"dim": 16, "blocks": 1, "refiner_blocks": 1, "harmonics": 20, "f0_dim": 16}
    return Ddsp(IN_DIM, CLOCK.samples_per_frame, CLOCK, MEL, **{**small, **arguments}).eval()


def features(frames, clips=1):
    torch.manual_seed(1)
    return torch.randn(clips, frames, IN_DIM), torch.ones(clips, frames, dtype=torch.bool)


def with_pitch(module, voicing):
    """The decoder with F0 halfway between its limits, and this logit of voicing, whatever its input."""
    torch.nn.init.zeros_(module.f0.linear.weight)
    module.f0.linear.bias.data = torch.tensor([0.0, voicing])
    return module


def levels(waveform):
    """Levels of the spectrum, one for each Hz, of a second (N,)."""
    return torch.fft.rfft(waveform * torch.hann_window(len(waveform))).abs()


def test_it_keeps_the_contract_at_other_clocks():
    clock, mel = Clock(16000, 20), Mel(hop=200, n_fft=800, window=800, f_max=8000)
    small = {"dim": 16, "blocks": 1, "refiner_blocks": 1, "harmonics": 10, "f0_dim": 16}
    check_decoder(Ddsp(IN_DIM, clock.samples_per_frame, clock, mel, **small), IN_DIM, clock, mel)


@torch.no_grad()
def test_it_starts_as_a_synthesiser_of_the_predicted_pitch():
    module = with_pitch(decoder(floor_hz=125, ceiling_hz=320), voicing=5.0)
    streams = module(*features(25))
    assert streams["f0"].unique().tolist() == pytest.approx([200.0])  # the geometric mean
    found = levels(streams["waveform"][0])
    comb = found[200:3001:200]
    between = found[300:3000:200]
    assert (comb.min() > 5 * between.max()).item()
    unvoiced = levels(with_pitch(module, voicing=-5.0)(*features(25))["waveform"][0])
    assert unvoiced[200:3001:200].max() < 0.2 * comb.min() and unvoiced[50:-50].median() > 0


@torch.no_grad()
def test_the_noise_is_that_of_the_seed_and_in_training_drawn():
    x, mask = features(10)
    outputs = [decoder(seed=seed)(x, mask)["waveform"] for seed in (0, 0, 1)]
    assert torch.equal(outputs[0], outputs[1]) and not torch.equal(outputs[0], outputs[2])
    trained = decoder().train()
    assert not torch.equal(trained(x, mask)["waveform"], trained(x, mask)["waveform"])


@torch.no_grad()
def test_windows_of_a_long_clip_agree_where_their_context_has_an_unvoiced_frame():
    module = decoder()
    x, mask = features(3 * PERIOD_FRAMES)
    whole = module(x, mask)
    part = module(x[:, PERIOD_FRAMES:], mask[:, PERIOD_FRAMES:])["waveform"]
    assert (whole["voicing"][:, 4 * PERIOD_FRAMES : 6 * PERIOD_FRAMES] < 0).any()
    samples = PERIOD_FRAMES * CLOCK.samples_per_frame
    torch.testing.assert_close(part[:, samples:], whole["waveform"][:, 2 * samples :], atol=1e-4, rtol=0)


@torch.no_grad()
def test_a_long_video_in_windows_has_the_waveform_of_the_whole():
    module = decoder()
    x, mask = features(1300)

    def function(part):
        return module(part[None], mask[:, : len(part)])["waveform"][0]

    windows = windowed(module, function, CLOCK.samples_per_frame)
    pieces = [windows.push(part) for part in x[0].split(70)] + [windows.finish()]
    assert sum(piece is not None for piece in pieces) > 2
    torch.testing.assert_close(concatenated(pieces), function(x[0]), atol=1e-4, rtol=0)


def test_only_their_own_streams_train_f0_and_voicing():
    module = decoder()
    streams = module(*features(6, clips=2))
    streams["waveform"].square().mean().backward(retain_graph=True)
    pitch = list(module.f0.parameters())
    assert all(parameter.grad is None for parameter in pitch)
    (streams["f0"].log().mean() + streams["voicing"].mean()).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in (module.f0.linear.weight, module.f0.linear.bias))


def test_every_part_can_be_trained():
    module = decoder()
    torch.nn.init.normal_(module.mask.weight, std=0.01)  # zero at the start, so that nothing before it is trained yet
    module(*features(6))["waveform"].square().mean().backward()
    still = [n for n, p in module.named_parameters() if not n.startswith("f0.") and not p.grad.abs().sum() > 0]
    assert not still


def test_wild_envelopes_stay_finite():
    module = decoder()
    module.envelopes.weight.data *= 1e4
    module.mask.weight.data += 1e3
    x, mask = features(6)
    waveform = module(x.requires_grad_(), mask)["waveform"]
    waveform.square().mean().backward()
    assert waveform.isfinite().all() and x.grad.isfinite().all()


def test_it_is_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        streams = decoder()(*features(4))
    assert {value.dtype for value in streams.values()} == {torch.float32}


@pytest.mark.parametrize("arguments", [{"floor_hz": 500.0}, {"ceiling_hz": 20.0}, {"floor_hz": 0.0}])
def test_an_impossible_range_is_an_error(arguments):
    with pytest.raises(UserError, match="floor_hz"):
        decoder(**arguments)
