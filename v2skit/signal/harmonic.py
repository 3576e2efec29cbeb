"""Additive synthesis: a sum of harmonics of an F0 contour (Engel et al., DDSP, 2020, section 3.3)."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def additive_synthesis(f0: Tensor, voiced: Tensor, amplitudes: Tensor, hop: int, sample_rate: int) -> Tensor:
    """A sum of sines at the multiples of F0, without aliasing.

    F0 and amplitudes are interpolated linearly between the centres of frames. A harmonic is muted in frames where it is
    above half the sample rate, there or in a neighbouring frame. Each run of voiced frames starts with phase 0 at the
    centre of the unvoiced frame before it, where the amplitude is 0: so the waveform of a part of a clip is that of the
    whole clip from the part's first unvoiced frame on. Phases are summed in float64.

    Args:
        f0: (B, F), Hz, positive also where unvoiced; gets no gradient.
        voiced: (B, F) bool; in other frames, the amplitudes count as 0.
        amplitudes: (B, F, H), of harmonics 1 to H.
        hop: samples a frame; frame ``m`` is centred on sample ``m * hop + hop // 2``.
        sample_rate: Hz.

    Returns:
        float32 (B, F * hop).
    """
    frames, count = amplitudes.shape[1:]
    f0, voiced, amplitudes = _extended(f0.detach().double()), _extended(voiced), _extended(amplitudes.float())
    order = torch.arange(1, count + 1, device=f0.device)
    highest = _extended(f0).unfold(1, 3, 1).amax(-1)  # (B, F + 2), of a frame and its neighbours
    kept = voiced[..., None] & (highest[..., None] * order < sample_rate / 2)
    amplitudes = amplitudes * kept  # (B, F + 2, H)
    # From here on, a block is what lies between two centres; only the blocks with a voiced end are computed.
    sounding = voiced[:, :-1] | voiced[:, 1:]  # (B, F + 1)
    time = torch.arange(hop, dtype=torch.float64, device=f0.device) / hop  # hops since the first centre
    start = _cycles(f0, voiced, hop / sample_rate)[sounding][:, None]  # (V, 1)
    hz, slope = f0[:, :-1][sounding][:, None], f0.diff(dim=1)[sounding][:, None]
    cycles = start + (hz * time + slope / 2 * time.square()) * (hop / sample_rate)
    phase = 2 * math.pi * cycles.remainder(1.0).float()
    sines = (phase[:, None] * order.float()[:, None]).sin_()  # (V, H, hop)
    ends = torch.stack((amplitudes[:, :-1], amplitudes[:, 1:]), dim=2)[sounding]  # (V, 2, H)
    faded = ((ends @ sines) * torch.stack((1 - time, time)).float()).sum(1)  # (V, 2, hop) -> (V, hop)
    waveform = faded.new_zeros(*sounding.shape, hop)
    waveform[sounding] = faded
    return waveform.flatten(1)[:, hop - hop // 2 :][:, : frames * hop]


def _cycles(f0: Tensor, voiced: Tensor, hop_seconds: float) -> Tensor:
    """Cycles at each centre but the last, since the latest unvoiced one: (B, F) -> (B, F - 1)."""
    steps = (f0[:, :-1] + f0[:, 1:]) / 2 * hop_seconds
    cycles = steps.cumsum(1) - steps
    return cycles - cycles.masked_fill(voiced[:, :-1], 0).cummax(1).values


def _extended(x: Tensor) -> Tensor:
    """The first and the last frame repeated: (B, F, ...) -> (B, F + 2, ...)."""
    return torch.cat((x[:, :1], x, x[:, -1:]), dim=1)
