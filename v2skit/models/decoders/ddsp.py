"""DDSP decoder: harmonics of a predicted F0 and filtered noise, refined by a mask of their spectrum.

After NaturalL2S (Liang et al. 2025), whose synthesiser is that of DDSP (Engel et al. 2020).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.config.limits import Context, Depth, Width
from v2skit.models.decoders.istft import MAX_LOG_MAGNITUDE
from v2skit.models.heads.f0 import F0Head
from v2skit.models.layers.masked import check_features
from v2skit.models.layers.mel_rate import ConvNeXt, MelRate
from v2skit.models.layers.noise import repeated_noise
from v2skit.signal.filterbank import mel_filters
from v2skit.signal.harmonic import additive_synthesis
from v2skit.signal.stft import Stft

INITIAL_LOG_MAGNITUDE = -5.0
PERIOD_FRAMES = 100
"""Video frames after which the noise repeats: windows of a long video that start at multiples of it agree."""
FLOOR = 1e-8
"""Added to the power before its logarithm: the derivative is then finite at silence."""


class Ddsp(nn.Module):
    """Predicts F0, voicing and two spectral envelopes, synthesises harmonics and noise, and refines their sum.

    The envelope of the harmonics is sampled at the multiples of F0, that of the noise is a filter of white noise. The
    harmonics are driven by the predicted F0 and voicing, in training too, which are detached: only the loss ``f0``
    trains them, since a spectral loss has a local minimum at every multiple of F0. The refiner sees the features and
    the spectrum of the sum, and multiplies it by a complex mask.

    The phase of each run of voiced frames is summed from its start on, so that the receptive field is the whole clip
    and the decoder can't synthesise live video. The windows of a long video agree where their context, 4 s, includes an
    unvoiced frame.

    (B, T, in_dim) -> (B, T * step).

    Args:
        in_dim: features a video frame; given by the toolkit.
        step: samples a video frame; given by the toolkit.
        clock: given by the toolkit.
        mel: given by the toolkit; its hop is that of all frames.
        dim: features a mel frame.
        blocks: number of ConvNeXt blocks before the synthesiser.
        refiner_blocks: number of ConvNeXt blocks of the refiner.
        bands: bands of each envelope, equally spaced on the mel scale (HTK), up to half the sample rate.
        harmonics: largest number of harmonics; those above half the sample rate are muted.
        f0_dim: features a mel frame of the predictor of F0.
        floor_hz: lowest F0, Hz.
        ceiling_hz: highest F0, Hz.
        seed: seed of the noise at inference; in training it is drawn.

    Raises:
        UserError: the hop does not fit, or the range of F0 is empty.
    """

    output = "waveform"
    further_outputs = ("f0", "voicing")
    left_context_frames = look_ahead_frames = None
    period_frames = PERIOD_FRAMES
    filters: Tensor

    def __init__(
        self,
        in_dim: int,
        step: int,
        clock: Clock,
        mel: Mel,
        dim: Width = 512,
        blocks: Depth = 4,
        refiner_blocks: Depth = 4,
        bands: Width = 64,
        harmonics: Width = 80,
        f0_dim: Width = 128,
        floor_hz: float = 60.0,
        ceiling_hz: float = 500.0,
        seed: Context = 0,
    ) -> None:
        super().__init__()
        self.in_dim, self.rate, self.hop, self.harmonics, self.seed = (
            in_dim,
            clock.sample_rate,
            mel.hop,
            harmonics,
            seed,
        )
        self.stft = Stft(4 * mel.hop, mel.hop)
        filters = mel_filters(self.stft.n_fft, self.rate, bands, 0.0, self.rate / 2, "htk")
        self.register_buffer("filters", filters.T.contiguous(), persistent=False)  # (bands, K), interpolates linearly
        self.f0 = F0Head(in_dim, clock, mel, f0_dim, floor_hz=floor_hz, ceiling_hz=ceiling_hz)
        self.trunk = MelRate(in_dim, mel.per_frame(clock), dim, blocks)
        self.envelopes = nn.Linear(dim, 2 * bands)
        nn.init.constant_(self.envelopes.bias, INITIAL_LOG_MAGNITUDE)
        self.prior = nn.Linear(filters.shape[0], dim)
        self.refiner = ConvNeXt(dim, refiner_blocks)
        self.mask = nn.Linear(dim, 2 * filters.shape[0])
        nn.init.zeros_(self.mask.weight)  # a gain of 1 and no rotation: training starts from the plain synthesiser
        nn.init.zeros_(self.mask.bias)

    def forward(self, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """The waveform, with the F0 and voicing that drive it.

        Args:
            x: (B, T, in_dim).
            mask: (B, T), True for valid video frames.

        Returns:
            ``waveform``: (B, T * step); ``f0``: (B, F), Hz; ``voicing``: (B, F), logits. All are zero where the mask
            is False.

        Raises:
            UserError: ``x`` has another shape.
        """
        check_features(x, mask, self.in_dim, "ddsp")
        pitch = self.f0(x, mask)
        x, mask = self.trunk(x, mask)  # (B, F, dim), (B, F)
        with torch.autocast(x.device.type, enabled=False):
            spectrum = self._coarse(x.float(), pitch["f0"].detach(), pitch["voicing"] > 0, mask)  # (B, K, F)
            power = torch.view_as_real(spectrum).square().sum(-1).transpose(1, 2)  # (B, F, K)
            prior = self.prior((power + FLOOR).log())
        y = self.refiner(x + prior.to(x.dtype), mask)
        with torch.autocast(x.device.type, enabled=False):
            log_gain, angle = self.mask(y.float()).transpose(1, 2).chunk(2, dim=1)  # (B, K, F)
            refined = spectrum * torch.polar(log_gain.clamp(max=MAX_LOG_MAGNITUDE).exp(), angle)
            return {"waveform": self.stft.inverse(refined, mask), **pitch}

    def _coarse(self, x: Tensor, f0: Tensor, voiced: Tensor, mask: Tensor) -> Tensor:
        """The spectrum of harmonics and noise: (B, F, dim), F0 in Hz and voicing (B, F), mask (B, F) -> (B, K, F)."""
        log_bands = self.envelopes(x).clamp(max=MAX_LOG_MAGNITUDE).unflatten(-1, (2, -1))
        tonal, noisy = (log_bands.exp() @ self.filters).unbind(2)  # (B, F, K) each
        f0, voiced, tonal = (_held(value, mask) for value in (f0, voiced, tonal))
        order = torch.arange(1, self.harmonics + 1, device=x.device)
        amplitudes = _at_bins(tonal, f0[..., None] * order * (self.stft.n_fft / self.rate))  # (B, F, H)
        samples = mask.repeat_interleave(self.hop, dim=1)  # (B, N)
        voice = additive_synthesis(f0, voiced, amplitudes, self.hop, self.rate).masked_fill(~samples, 0)
        seed = int(torch.randint(2**31, ())) if self.training else self.seed
        noise = repeated_noise(seed, PERIOD_FRAMES * self.trunk.per_frame, mask.shape[1], self.hop, x.device)
        noise = noise.flatten() * samples  # (B, N)
        return self.stft(voice) + self.stft(noise) * noisy.transpose(1, 2)


def _held(x: Tensor, mask: Tensor) -> Tensor:
    """The last valid frame in place of padding, so that a clip ends as it does alone: (B,F,...), (B,F) -> (B,F,...)."""
    frames = torch.arange(mask.shape[1], device=mask.device)
    index = torch.minimum(frames, mask.sum(1, keepdim=True) - 1).clamp(min=0)  # (B, F)
    return x[torch.arange(len(x), device=x.device)[:, None], index]


def _at_bins(envelope: Tensor, position: Tensor) -> Tensor:
    """Linear interpolation of an envelope (B, F, K) at fractional bins (B, F, H) -> (B, F, H)."""
    position = position.clamp(max=envelope.shape[-1] - 1)
    lower = position.long().clamp(max=envelope.shape[-1] - 2)
    share = position - lower
    return envelope.gather(-1, lower) * (1 - share) + envelope.gather(-1, lower + 1) * share
