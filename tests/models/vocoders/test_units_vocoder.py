import pytest
import torch

from tests.unit_targets import unit_targets
from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.models.decoders.istft import Istft
from v2skit.models.vocoders.griffin_lim import GriffinLim
from v2skit.models.vocoders.units import UnitsVocoder

CLOCK, MEL = Clock(), Mel()


def vocoder(per_frame=1, **args):
    torch.manual_seed(0)
    generator = Istft(MEL.n_mels, MEL.hop, MEL, dim=16, blocks=1, **args)
    return UnitsVocoder(MEL.n_mels, CLOCK, MEL, unit_targets(per_frame=per_frame), generator).eval()


@pytest.mark.parametrize("per_frame", [1, 2, 4])
def test_units_are_embedded_and_repeated_to_mel_frames(per_frame):
    module, units = vocoder(per_frame), torch.tensor([[0, 3, 1, 2, 2, 0, 4, 1]])
    mels = module.embedding(units).repeat_interleave(4 // per_frame, dim=1)
    with torch.no_grad():
        assert torch.equal(module(units), module.generator(mels))
    assert module(units).shape == (1, 8 * 960 // per_frame)


def test_padding_of_any_number_is_zero_and_does_not_enter():
    module, mask = vocoder(), torch.tensor([[True] * 4, [True, True, False, False]])
    with torch.no_grad():
        waveform = module(torch.tensor([[0, 1, 2, 3], [4, 2, -1, 99]]), mask)
        alone = module(torch.tensor([[4, 2]]))
    assert waveform.isfinite().all() and not waveform[1, 2 * 960 :].any()
    assert torch.allclose(waveform[1, : 2 * 960], alone[0], atol=1e-6)


def test_the_receptive_field_is_in_units():
    module = vocoder(look_ahead_frames=5)
    assert (module.generator.left_context_frames, module.look_ahead_frames) == (11, 2)
    assert module.left_context_frames == 3


def test_a_generator_that_is_not_trained_on_mels_is_refused():
    for generator in (GriffinLim(CLOCK, MEL, iterations=1), vocoder()):
        with pytest.raises(UserError, match="choose istft, hifigan or wavegan"):
            UnitsVocoder(MEL.n_mels, CLOCK, MEL, unit_targets(), generator)
    with pytest.raises(UserError, match="3 units a video frame do not divide its 4 mel frames"):
        vocoder(per_frame=3)
    with pytest.raises(UserError, match="no target 'units'"):
        UnitsVocoder(MEL.n_mels, CLOCK, MEL, {}, vocoder().generator)
