"""Perceptual evaluation of speech quality (PESQ), as a loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from v2skit.config.features import Clock
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.losses.power import RANGE_DB, below, power_spectra
from v2skit.models.output import Output
from v2skit.signal.stft import Stft

WINDOW_SECONDS, HOP_SECONDS = 0.032, 0.016
HIGHEST_HZ, HIGH_PASS_HZ = 8000.0, 97.0
LEVEL_DB, LEVEL_BAND_HZ = 94.0, (325.0, 3250.0)
"""Level to which both signals are brought, in this band, dB above a power of 1: that of P.862, whose calibration and
input filter are in it."""
BANDS = 49
GAMMA = 0.23
"""Exponent of Zwicker's law of loudness."""
SONES = 0.187
"""Its factor."""
SPLIT_FRAMES = 20
"""A split second, over which the loudest disturbance counts most."""
LARGEST = 45.0
"""Largest disturbance of a frame."""
SYMMETRIC, ASYMMETRIC = 0.1, 0.0309
"""Weights of the disturbances in the raw score, 4.5 - SYMMETRIC * D - ASYMMETRIC * D_A."""


class Pesq(nn.Module):
    """Disturbance of wide-band PESQ: 4.5 minus its raw score, roughly (ITU-T P.862 and P.862.2; as a loss: Martín-Doñas
    et al. 2018).

    Both signals are brought to the same level and their loudness is computed in 49 bands of the Bark scale, after
    linear filtering of the reference and gains of the frames are allowed for. The difference counts twice: symmetric,
    and with what is added weighing more than what is missing. In contrast to P.862 nothing is aligned in time, bands
    are equally wide on the scale of Wang et al. (1992), the hearing threshold is that of Terhardt (1979), the gain of a
    frame does not depend on the frame before, and the disturbance of a bad frame is limited smoothly, since its
    gradient would vanish otherwise.

    For vocoders and decoders of the waveform family, beside a loss of magnitudes: the level is left open, and what is
    above 8 kHz. Of a model that is trained with it, PESQ is no independent measure: the word error rate and predicted
    opinion scores are.

    Args:
        clock: given by the toolkit.

    Raises:
        UserError: the sample rate is below 16 kHz.
    """

    input = "waveform"
    to_bands: Tensor
    threshold: Tensor
    in_level_band: Tensor

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        rate = clock.sample_rate
        if rate < 2 * HIGHEST_HZ:
            raise UserError(
                f"loss 'pesq' is wide-band and needs a sample rate of 16000 Hz or more, this is {rate}; leave it out, "
                "or raise clock.sample_rate"
            )
        window, hop = 2 * round(WINDOW_SECONDS * rate / 2), 2 * round(HOP_SECONDS * rate / 2)
        self.stft = Stft(window, hop)
        hz = torch.arange(1, int(HIGHEST_HZ * window / rate) + 1, dtype=torch.float64) * rate / window  # (K,)
        width = float(_bark(torch.tensor(HIGHEST_HZ))) / BANDS
        place = (_bark(hz) / width - 0.5).clamp(0, BANDS - 1)  # in units of bands, from the centre of the first
        shares = (1 - (place[:, None] - torch.arange(BANDS)).abs()).clamp(min=0)  # (K, BANDS)
        heard = hz**4 / (hz**4 + HIGH_PASS_HZ**4)
        centres = 600 * torch.sinh((torch.arange(BANDS) + 0.5) * width / 6) / 1000  # kHz
        quiet = 3.64 * centres**-0.8 - 6.5 * (-0.6 * (centres - 3.3) ** 2).exp() + 1e-3 * centres**4  # dB
        self.count, self.width = len(hz), width
        self.register_buffer("to_bands", (shares * heard[:, None]).float(), persistent=False)
        self.register_buffer("threshold", (10 ** (quiet / 10)).float(), persistent=False)  # (BANDS,)
        self.register_buffer("in_level_band", (hz > LEVEL_BAND_HZ[0]) & (hz < LEVEL_BAND_HZ[1]), persistent=False)

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """waveform (B,N) -> ``{"pesq": scalar}``; clips whose reference is silent do not count."""
        with torch.autocast(batch.waveform.device.type, enabled=False):
            predicted, target, mask = power_spectra(self.stft, output, batch)
            predicted, target = predicted[..., 1 : self.count + 1], target[..., 1 : self.count + 1]
            found = [
                self._disturbance(*self._bands(mine[valid], truth[valid]))
                for mine, truth, valid in zip(predicted, target, mask, strict=True)
                if truth[valid].any()
            ]
            return {"pesq": torch.stack(found).mean() if found else 0.0 * predicted.sum()}

    def _bands(self, predicted: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Power spectra (F,K) -> power in bands (F,BANDS) at the listening level, 1 at 0 dB SPL. The gradient of a
        prediction more than RANGE_DB below the target is that at this level: it would have no limit otherwise."""
        mine, truth = (x[:, self.in_level_band].sum(1).mean() for x in (predicted, target))
        share = (mine / (truth * below(RANGE_DB) ** 2).clamp(min=1e-30)).detach().sqrt().clamp(max=1)
        gains = [10 ** (LEVEL_DB / 10) / level.clamp(min=1e-12) for level in (mine, truth)]
        mine, truth = ((x @ self.to_bands) * gain for x, gain in zip((predicted, target), gains, strict=True))
        return mine.detach() + share * (mine - mine.detach()), truth

    def _disturbance(self, predicted: Tensor, target: Tensor) -> Tensor:
        """Powers in bands (F,BANDS) -> 4.5 minus the raw score of a clip."""
        speech = (self._audible(target, 100.0) > 1e7)[:, None]
        means = [(x * (x > 100 * self.threshold) * speech).mean(0) for x in (predicted, target)]
        target = target * ((means[0] + 1e3) / (means[1] + 1e3)).clamp(0.01, 100.0)  # filtered as the prediction is
        gains = (self._audible(target, 1.0) + 5e3) / (self._audible(predicted, 1.0) + 5e3)
        predicted = predicted * gains.clamp(3e-4, 5.0)[:, None]
        mine, truth = self._loudness(predicted), self._loudness(target)
        difference = mine - truth
        masked = (difference.abs() - 0.25 * torch.minimum(mine, truth)).clamp(min=0)
        added = ((predicted + 50) / (target + 50)) ** 1.2
        added = added.clamp(max=12.0) * (added > 3)
        loud = ((self._audible(target, 1.0) + 1e5) / 1e7) ** 0.04
        total = BANDS * self.width
        symmetric = _limited(total * ((masked * self.width).square().sum(1) / total + 1e-12).sqrt() / loud)
        asymmetric = _limited((masked * added * self.width).sum(1) / loud)
        return SYMMETRIC * _over_time(symmetric) + ASYMMETRIC * _over_time(asymmetric)

    def _audible(self, power: Tensor, factor: float) -> Tensor:
        """(F,BANDS) -> (F,), the power of the bands that exceed the threshold by a factor."""
        return (power * (power > factor * self.threshold)).sum(1)

    def _loudness(self, power: Tensor) -> Tensor:
        """Power in bands -> loudness density, sone/Bark (Zwicker's law)."""
        quiet = (self.threshold / 0.5) ** GAMMA
        return SONES * quiet * ((0.5 + 0.5 * power / self.threshold) ** GAMMA - 1).clamp(min=0)


def _bark(hz: Tensor) -> Tensor:
    """Hz -> Bark (Wang et al. 1992)."""
    return 6 * torch.asinh(hz / 600)


def _limited(disturbance: Tensor) -> Tensor:
    """At most LARGEST; smoother than the minimum of P.862, whose gradient vanishes there."""
    return disturbance / (1 + (disturbance / LARGEST) ** 4) ** 0.25


def _over_time(disturbance: Tensor) -> Tensor:
    """(F,) -> scalar: norm of order 6 over split seconds, which overlap by half, and root mean square of these."""
    length = min(SPLIT_FRAMES, len(disturbance))
    parts = disturbance.unfold(0, length, max(1, length // 2))
    peak = parts.detach().amax(1, keepdim=True).clamp(min=1e-6)  # so that no power of 6 overflows
    splits = peak[:, 0] * ((parts / peak) ** 6).mean(1).clamp(min=1e-12) ** (1 / 6)
    return (splits.square().mean() + 1e-12).sqrt()
