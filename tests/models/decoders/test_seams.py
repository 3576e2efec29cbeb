"""No seams: away from the cuts, a generator's output for a part of a clip is that for the whole clip."""

import pytest
import torch

from v2skit.config.features import Mel
from v2skit.models.decoders.hifigan import HifiGan
from v2skit.models.decoders.istft import Istft
from v2skit.models.decoders.wavegan import WaveGan

GENERATORS = {
    "istft": lambda dim, step: Istft(dim, step, Mel(), dim=16, blocks=2),
    "hifigan": lambda dim, step: HifiGan(dim, step, channels=16),
    "wavegan": lambda dim, step: WaveGan(dim, step, channels=16),
}


@pytest.mark.parametrize("step", [960, 240], ids=["decoder", "vocoder"])
@pytest.mark.parametrize("name", GENERATORS)
def test_output_for_a_part_is_that_for_the_whole(name, step):
    torch.manual_seed(0)
    generator = GENERATORS[name](12, step)
    x = torch.randn(1, 80, 12)
    generator.train()(x)  # statistics that are not those at the start
    generator.eval()
    with torch.no_grad():
        whole, part = generator(x), generator(x[:, 10:70])
    inner = slice(30 * step, 50 * step)  # twenty steps away from the cut on either side
    shifted = slice(20 * step, 40 * step)
    assert torch.allclose(whole[:, inner], part[:, shifted], atol=1e-5 * whole.abs().max().item())
    assert not torch.allclose(whole[:, 10 * step : 11 * step], part[:, :step], atol=1e-3 * whole.abs().max().item())
