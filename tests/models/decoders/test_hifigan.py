import copy

import pytest
import torch
import torch.nn.functional as F

from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.models.decoders.hifigan import HifiGan
from v2skit.testing import check_decoder


def lively(generator):
    """The same with weights large enough for every layer to show in the output."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in generator.parameters():
            if parameter.ndim == 1:
                parameter.normal_(std=0.1)
            elif parameter.shape[1:] == (1, 1):  # the norms of weight normalisation
                parameter.uniform_(1.0, 1.5)
    return generator


def test_contract():
    torch.manual_seed(0)
    check_decoder(lively(HifiGan(24, 960, channels=16)), in_dim=24, clock=Clock(), mel=Mel())


@pytest.mark.parametrize("channels, published", [(512, 13.92e6), (128, 0.92e6)])
def test_size_is_the_published_one(channels, published):
    with torch.device("meta"):
        generator = HifiGan(80, 256, channels=channels, rates=[8, 8, 2, 2])
    assert sum(p.numel() for p in generator.parameters()) == pytest.approx(published, rel=0.03)


@pytest.mark.parametrize("step, rates", [(240, None), (960, None), (105, [7, 5, 3]), (6, [1, 6])])
def test_output_is_exactly_as_long(step, rates):
    assert HifiGan(80, step, channels=16, rates=rates)(torch.randn(2, 3, 80)).shape == (2, 3 * step)


def test_no_mask_and_a_full_mask_are_the_same():
    generator, x = HifiGan(8, 30, channels=16), torch.randn(2, 4, 8)
    assert torch.equal(generator(x), generator(x, torch.ones(2, 4, dtype=torch.bool)))


def test_is_the_stack_of_the_paper():
    generator = lively(HifiGan(8, 15, channels=8, rates=[5, 3], kernels=(3, 5), dilations=(1, 2)))
    x = torch.randn(2, 4, 8)

    def act(x):
        return torch.where(x > 0, x, 0.1 * x)

    def conv(layer, x, dilation=1):
        weight = layer.weight
        return F.conv1d(x, weight, layer.bias, padding=dilation * (weight.shape[-1] - 1) // 2, dilation=dilation)

    want = conv(generator.embed, x.transpose(1, 2))
    for number, rate in enumerate((5, 3)):
        up = generator.ups[number]
        want = F.conv_transpose1d(act(want), up.weight, up.bias, stride=rate, padding=(rate + 1) // 2)
        fused = []
        for block in generator.fusions[number]:
            y = want
            for pair, dilation in enumerate((1, 2)):
                y = y + conv(block.plain[pair], act(conv(block.dilated[pair], act(y), dilation)))
            fused.append(y)
        want = torch.stack(fused).mean(0)
    want = torch.tanh(conv(generator.out, act(want)))[:, 0]
    assert want.std() > 0.05
    torch.testing.assert_close(generator(x), want, atol=1e-6, rtol=1e-5)


def test_starts_small():
    torch.manual_seed(0)
    generator = HifiGan(80, 60, channels=64)
    for layer in (*generator.ups, generator.fusions[0][1].dilated[0], generator.fusions[0][2].plain[1]):
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.1)


def test_an_input_frame_changes_the_samples_of_its_neighbours():
    generator = lively(HifiGan(8, 60, channels=16))
    x = torch.randn(1, 7, 8, requires_grad=True)
    waveform = generator(x)
    for sample in (3 * 60, 4 * 60 - 1):  # the first and the last of frame 3
        (gradient,) = torch.autograd.grad(waveform[0, sample], x, retain_graph=True)
        assert (gradient[0, 2:5].abs().sum(-1) > 0).all()


def test_folding_leaves_the_output():
    generator, x = lively(HifiGan(8, 30, channels=16)).eval(), torch.randn(2, 4, 8)
    folded = copy.deepcopy(generator)
    assert folded.fold() is None
    assert not any("parametrizations" in key for key in folded.state_dict())
    assert any("parametrizations" in key for key in generator.state_dict())
    torch.testing.assert_close(folded(x), generator(x), atol=1e-5, rtol=0)
    assert generator(x).std() > 0.05
    folded.fold()  # a second time does nothing


def test_waveform_is_float32_in_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        waveform = HifiGan(8, 30, channels=16)(torch.randn(2, 4, 8))
    assert waveform.dtype == torch.float32


def test_bad_settings_have_a_clear_error():
    with pytest.raises(UserError, match="multiply to 64, but an input step has 60 samples"):
        HifiGan(8, 60, rates=[8, 8])
    with pytest.raises(UserError, match="channels 4 can't be halved 4 times; use 16 or more"):
        HifiGan(8, 960, channels=4)
    with pytest.raises(UserError, match=r"kernels \[3, 4\] must be positive and odd"):
        HifiGan(8, 60, kernels=(3, 4))
    with pytest.raises(UserError, match=r"dilations \[\] must be positive"):
        HifiGan(8, 60, dilations=())
    with pytest.raises(UserError, match="hifigan: input of shape"):
        HifiGan(8, 60, channels=16)(torch.randn(1, 3, 9))
