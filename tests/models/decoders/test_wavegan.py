import pytest
import torch
import torch.nn.functional as F

from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.models.decoders.wavegan import WaveGan
from v2skit.testing import check_decoder


def test_contract():
    torch.manual_seed(0)
    check_decoder(WaveGan(24, 960, channels=24), in_dim=24, clock=Clock(), mel=Mel())


@pytest.mark.parametrize("step, rates", [(240, None), (960, None), (105, [7, 5, 3]), (6, [1, 6])])
def test_output_is_exactly_as_long(step, rates):
    assert WaveGan(80, step, channels=20, rates=rates)(torch.randn(2, 3, 80)).shape == (2, 3 * step)


def test_no_mask_and_a_full_mask_are_the_same():
    generator, x = WaveGan(8, 30, channels=16).eval(), torch.randn(2, 4, 8)
    assert torch.equal(generator(x), generator(x, torch.ones(2, 4, dtype=torch.bool)))


def test_is_the_plain_stack_with_channels_halved_down_to_16():
    torch.manual_seed(0)
    generator, x = WaveGan(8, 105, channels=50, rates=[7, 5, 3]), torch.randn(2, 4, 8)
    assert [norm.num_features for norm in generator.norms] == [25, 16, 16]

    def norm(x):
        mean, variance = x.mean((0, 2), keepdim=True), x.var((0, 2), keepdim=True, unbiased=False)
        return (x - mean) / (variance + 1e-5).sqrt()

    want = F.relu(norm(F.conv1d(x.transpose(1, 2), generator.embed.weight, padding=1)))
    for up, rate in zip(generator.ups, (7, 5, 3)):
        want = F.conv_transpose1d(want, up.weight, stride=rate, padding=(rate + 1) // 2)
        want = F.relu(norm(want))
    want = torch.tanh(F.conv1d(want, generator.out.weight, generator.out.bias, padding=12))[:, 0]
    torch.testing.assert_close(generator(x), want, atol=1e-5, rtol=1e-4)


def test_an_input_frame_changes_the_samples_of_its_neighbours():
    torch.manual_seed(0)
    generator = WaveGan(8, 60, channels=32).eval()
    x = torch.randn(1, 7, 8, requires_grad=True)
    waveform = generator(x)
    for sample in (3 * 60, 4 * 60 - 1):  # the first and the last of frame 3
        (gradient,) = torch.autograd.grad(waveform[0, sample], x, retain_graph=True)
        assert (gradient[0, 2:5].abs().sum(-1) > 0).all()


def test_waveform_is_float32_in_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        waveform = WaveGan(8, 30, channels=16)(torch.randn(2, 4, 8))
    assert waveform.dtype == torch.float32


def test_bad_settings_have_a_clear_error():
    with pytest.raises(UserError, match="multiply to 64, but an input step has 60 samples"):
        WaveGan(8, 60, rates=[8, 8])
    with pytest.raises(UserError, match="out_kernel 8 positive and odd"):
        WaveGan(8, 60, out_kernel=8)
    with pytest.raises(UserError, match="wavegan: input of shape"):
        WaveGan(8, 60, channels=16)(torch.randn(1, 3, 9))
