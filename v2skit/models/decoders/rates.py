"""Stacks of transposed convolutions from input steps to samples: upsampling rates, layers, receptive field, masks."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from v2skit.errors import UserError
from v2skit.models.layers.masked import all_valid, check_features


def upsampling_rates(step: int, rates: list[int] | None, largest: int = 10) -> list[int]:
    """Upsampling rates whose product is the input step.

    Args:
        step: samples an input step.
        rates: those of a config; None: as few as possible, of similar size, the largest first.
        largest: the largest rate where ``rates`` is None.

    Raises:
        UserError: the product of the given rates is not ``step``, or no rates up to ``largest`` have that product.
    """
    if rates is None:
        found = _even(step, largest)
        if found is None:
            raise UserError(
                f"an input step of {step} samples is no product of rates up to {largest}, for it has the prime factor "
                f"{_primes(step)[-1]}; choose another clock (sample_rate / fps) or, for a vocoder, another mel.hop"
            )
        return found
    if min(rates, default=1) < 1 or math.prod(rates) != step:
        would_do = _even(step, max([largest, *_primes(step)]))
        raise UserError(
            f"rates {list(rates)} multiply to {math.prod(rates)}, but an input step has {step} samples; "
            f"{would_do} would do"
        )
    return list(rates)


def _even(step: int, largest: int) -> list[int] | None:
    """The fewest factors up to ``largest``, and among those lists the one with the smallest sum."""
    return min(_factorings(step, largest), key=lambda factors: (len(factors), sum(factors)), default=None)


def _factorings(number: int, largest: int) -> Iterator[list[int]]:
    """All descending lists of factors from 2 to ``largest`` with the product ``number``."""
    if number == 1:
        yield []
    for factor in range(min(number, largest), 1, -1):
        if number % factor == 0:
            yield from ([factor, *others] for others in _factorings(number // factor, factor))


def _primes(number: int) -> list[int]:
    """Prime factors in ascending order."""
    primes, factor = [], 2
    while number > 1:
        if number % factor:
            factor += 1
        else:
            primes.append(factor)
            number //= factor
    return primes


def transposed(in_channels: int, out_channels: int, rate: int, bias: bool = True) -> nn.ConvTranspose1d:
    """(B, C, L) -> (B, C', L * rate). The kernel spans two input steps, so that the outputs of neighbours overlap."""
    odd = rate % 2
    return nn.ConvTranspose1d(in_channels, out_channels, 2 * rate + odd, rate, padding=(rate + odd) // 2, bias=bias)


def receptive_field(rates: list[int], margins: list[int]) -> tuple[int, int]:
    """Left context and look-ahead of a stack of :func:`transposed` layers with convolutions between them, input steps.

    Args:
        rates: upsampling rates.
        margins: positions on either side in the receptive field of the convolutions before the first upsampling, and
            after each.
    """
    first, last = 0, math.prod(rates) - 1  # positions of the receptive field of step 0, from the output to the input
    for rate, margin in zip(reversed(rates), reversed(margins[1:])):
        first, last = first - margin, last + margin
        padding = (rate + rate % 2) // 2
        first, last = math.ceil((first + padding - 2 * rate - rate % 2 + 1) / rate), (last + padding) // rate
    return margins[0] - first, margins[0] + last


def inner_mask(x: Tensor, mask: Tensor | None, in_dim: int, what: str) -> Tensor | None:
    """The mask inside a generator; None where all steps are valid, so that no masking is computed.

    Raises:
        UserError: ``x`` is not (B, L, in_dim) for the mask (B, L).
    """
    check_features(x, torch.ones(x.shape[:2], device=x.device) if mask is None else mask, in_dim, what)
    return None if mask is None or all_valid(mask) else mask


def at_rate(mask: Tensor | None, rate: int) -> Tensor | None:
    """The mask after upsampling: (B, L) -> (B, L * rate)."""
    return None if mask is None else mask.repeat_interleave(rate, dim=1)
