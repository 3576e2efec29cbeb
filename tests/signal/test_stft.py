"""The toolkit's STFT: where its frames are, and that its inverse inverts it."""

import pytest
import torch

from v2skit.errors import UserError
from v2skit.signal.stft import Stft

SETTINGS = [(960, 240, 0), (2048, 240, 1200), (512, 128, 512), (300, 100, 200)]


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("n_fft", "hop", "window"), SETTINGS)
def test_inverse_gives_the_signal_back(n_fft, hop, window):
    stft, sound = Stft(n_fft, hop, window), noise(2, 12 * hop)
    spectrum = stft(sound)
    assert spectrum.shape == (2, n_fft // 2 + 1, 12)
    assert torch.allclose(stft.inverse(spectrum), sound, atol=1e-5)


def test_a_frame_is_centred_on_its_hop():
    stft = Stft(512, 128)
    for frame in (0, 3, 7):
        sound = torch.zeros(1, 8 * 128)
        sound[0, frame * 128 + 64] = 1  # its window is 1 at the centre, so there the magnitude is that of the impulse
        magnitudes = stft(sound).abs()[0]
        assert torch.allclose(magnitudes[:, frame], torch.ones(257), atol=1e-3)
        assert magnitudes.mean(0).argmax() == frame


def test_inverse_with_a_mask_is_that_of_the_clip_alone():
    stft, sound = Stft(960, 240), noise(1, 10 * 240)
    spectrum = stft(sound[:, : 6 * 240])
    padded = torch.cat([spectrum, torch.full((1, 481, 4), 3.0 + 2.0j)], dim=2)
    mask = (torch.arange(10) < 6)[None]
    whole = stft.inverse(padded, mask)
    assert torch.allclose(whole[:, : 6 * 240], stft.inverse(spectrum), atol=1e-6) and (whole[:, 6 * 240 :] == 0).all()


def test_power_is_the_squared_magnitude_and_smooth_at_silence():
    stft, sound = Stft(512, 128), noise(2, 1024)
    assert torch.allclose(stft.power(sound), stft(sound).abs().square().transpose(1, 2), rtol=1e-4, atol=1e-6)
    silence = torch.zeros(1, 1024, requires_grad=True)
    (slope,) = torch.autograd.grad(stft.power(silence).sum(), silence, create_graph=True)
    slope.sum().backward()
    assert silence.grad.isfinite().all()


def test_frame_mask_and_autocast():
    stft = Stft(512, 128)
    mask = torch.arange(8 * 128)[None] < torch.tensor([[8 * 128], [3 * 128 + 64], [3 * 128 + 65]])
    assert stft.frame_mask(mask).sum(1).tolist() == [8, 3, 4]
    with torch.autocast("cpu", torch.bfloat16):
        assert stft(noise(1, 1024).bfloat16()).dtype == torch.complex64


def test_wrong_settings_are_refused():
    for n_fft, hop, window in ((512, 129, 0), (512, 0, 0), (512, 128, 600), (512, 1024, 0)):
        with pytest.raises(UserError):
            Stft(n_fft, hop, window)


@pytest.mark.parametrize(("window", "hop"), [(1200, 240), (1201, 240), (960, 240), (401, 100), (100, 100), (2048, 256)])
def test_a_window_of_any_length_is_undone_within_its_reach(window, hop):
    stft = Stft(2048, hop, window)
    waveform = torch.randn(1, 20 * hop)
    spectrum = stft(waveform)
    if window > hop:  # a single Hann window has zeros, which nothing undoes
        assert torch.allclose(stft.inverse(spectrum), waveform, atol=1e-4)
    back, ahead = stft.inverse_context()
    changed = spectrum.clone()
    changed[:, :, 10] += torch.randn(1025, dtype=torch.complex64)
    differs = (stft.inverse(changed) - stft.inverse(spectrum)).view(20, hop).abs().amax(1) > 1e-6
    hops = differs.nonzero()[:, 0]
    assert (10 - hops.min(), hops.max() - 10) == (ahead, back)
