"""Windows give what the function gives on the whole sequence, whatever the pieces are."""

import math
import random

import pytest
import torch

from v2skit.synthesis.overlap import Cascade, WindowedFunction


def moving_sum(left: int, right: int, rate: int = 1):
    """(L, C) -> (L * rate, C): the weighted sum of the steps around, another one for each of a step's outputs. Beyond
    its ends the sequence is taken to be 7, so that an end where there is none shows."""

    def function(x: torch.Tensor) -> torch.Tensor:
        padded = torch.cat([torch.full((left, x.shape[1]), 7.0), x, torch.full((right, x.shape[1]), 7.0)])
        parts = padded.unfold(0, left + 1 + right, 1)  # (L, C, left + 1 + right)
        weights = torch.arange(1.0, left + right + 2) + 10 * torch.arange(rate)[:, None]
        return torch.einsum("lcw,rw->lrc", parts, weights).flatten(0, 1)

    return function


def through(windows, x: torch.Tensor, sizes: list[int]) -> list[torch.Tensor]:
    """What comes out of each push, and at last of finish."""
    assert sum(sizes) == len(x)
    pieces = [windows.push(piece) for piece in x.split(sizes)] + [windows.finish()]
    return [x[:0] if piece is None else piece for piece in pieces]


def random_sizes(total: int, seed: int) -> list[int]:
    draw, sizes = random.Random(seed), []
    while sum(sizes) < total:
        sizes.append(min(draw.choice([1, 1, 2, 3, 7, 20]), total - sum(sizes)))
    return sizes


@pytest.mark.parametrize("rate", [1, 3])
@pytest.mark.parametrize(("left", "right"), [(0, 0), (4, 0), (0, 3), (5, 2), (2, 9)])
def test_a_function_of_limited_receptive_field_is_as_on_the_whole(left, right, rate):
    x, function = torch.randn(60, 2), moving_sum(left, right, rate)
    for seed, piece in enumerate((1, 1, 4, 25, 100)):
        for align in (1, 4, 7):
            sizes = random_sizes(60, seed)
            windows = WindowedFunction(function, rate, left, right, piece, 0, align)
            given = through(windows, x, sizes)
            torch.testing.assert_close(torch.cat(given), function(x), rtol=0, atol=1e-3)


@pytest.mark.parametrize("piece", [1, 5])
def test_the_output_comes_as_soon_as_it_is_known_and_in_no_smaller_pieces(piece):
    left, right, known = 3, 2, 0
    given = through(WindowedFunction(moving_sum(left, right, 2), 2, left, right, piece), torch.randn(40, 1), [1] * 40)
    for pushed, part in enumerate(given[:-1], 1):
        new = max(0, pushed - right) - known
        assert len(part) == (2 * new if new >= piece else 0)
        known += len(part) // 2
    assert known + len(given[-1]) // 2 == 40


def test_too_little_context_shows():
    """What the tests above rely on."""
    x, function = torch.randn(40, 1), moving_sum(4, 3)
    for left, right in ((3, 3), (4, 2)):
        assert not torch.allclose(
            torch.cat(through(WindowedFunction(function, 1, left, right), x, [4] * 10)), function(x)
        )


def test_windows_start_at_multiples_and_are_bounded():
    starts, longest = [], 0

    def function(x):
        nonlocal longest
        starts.append(int(x[0, 0]))
        longest = max(longest, len(x))
        return x

    x = torch.arange(500.0)[:, None]
    given = through(WindowedFunction(function, 1, 10, 5, 20, 0, 8), x, [3, 7] * 50)
    assert torch.equal(torch.cat(given), x)
    assert all(start % 8 == 0 for start in starts) and starts[-1] > 400
    assert longest <= 10 + 7 + 5 + 20 + 7  # left, to a multiple, right, a piece, and a push


def test_a_function_of_the_phase_is_right_when_aligned():
    """As Griffin-Lim, whose first phases depend on where its input begins."""

    def function(x):
        return x + (torch.arange(len(x)) % 5)[:, None]

    x = torch.randn(83, 1)
    aligned, other = (through(WindowedFunction(function, 1, 3, 2, 4, 0, n), x, random_sizes(83, 1)) for n in (5, 4))
    torch.testing.assert_close(torch.cat(aligned), function(x))
    assert not torch.allclose(torch.cat(other), function(x))


def test_a_constant_stays_constant_when_windows_fade():
    x = torch.full((200, 3), 2.5)
    for piece in (10, 17, 60):
        given = torch.cat(
            through(WindowedFunction(lambda x: x.repeat_interleave(2, 0), 2, 20, 20, piece, 8), x, [5] * 40)
        )
        torch.testing.assert_close(given, torch.full((400, 3), 2.5))


@pytest.mark.parametrize("rate", [1, 4])
def test_windows_that_differ_go_over_linearly(rate):
    calls = []

    def function(x):
        calls.append(len(x))
        return torch.full((len(x) * rate, 1), float(len(calls)))

    fade, piece, right = 6, 20, 10
    given = torch.cat(through(WindowedFunction(function, rate, 5, right, piece, fade), torch.zeros(60, 1), [10] * 6))[
        :, 0
    ]
    assert len(given) == 60 * rate and len(calls) == 3
    steps = fade * rate
    expected = torch.ones(60 * rate)
    for window, start in ((2, 20 * rate), (3, 40 * rate)):
        expected[start:] = window
        expected[start : start + steps] = window - 1 + torch.arange(1, steps + 1) / (steps + 1)
    torch.testing.assert_close(given, expected)


def test_a_crossfade_is_no_longer_than_the_look_ahead():
    assert WindowedFunction(lambda x: x, 1, 5, 3, 10, crossfade=8).crossfade == 3


@pytest.mark.parametrize("rates", [(1, 1, 1), (1, 4, 5), (2, 3, 1)])
def test_a_cascade_is_as_the_functions_after_each_other(rates):
    contexts, x = [(2, 1), (6, 4), (3, 5)], torch.randn(50, 2)
    functions = [moving_sum(*context, rate) for context, rate in zip(contexts, rates, strict=True)]

    def stages(pieces):
        return [WindowedFunction(f, r, *k, p) for f, r, k, p in zip(functions, rates, contexts, pieces, strict=True)]

    whole = x
    for function in functions:
        whole = function(whole)
    for seed, pieces in enumerate([(1, 1, 1), (3, 1, 1), (10, 50, 7), (1, 200, 1)]):
        given = torch.cat(through(Cascade(stages(pieces)), x, random_sizes(50, seed)))
        torch.testing.assert_close(given, whole, rtol=1e-5, atol=1e-2)


def test_right_context_is_what_must_have_arrived():
    """The sum of the right contexts in steps of the first stage, rounded up."""
    stages = [WindowedFunction(moving_sum(1, a, r), r, 1, a) for a, r in ((2, 1), (3, 4), (5, 2), (9, 1))]
    cascade = Cascade(stages)
    assert cascade.right_context == math.ceil(2 + 3 + 5 / 4 + 9 / 8)
    given = through(cascade, torch.randn(60, 1), [1] * 60)
    known = 0
    for pushed, part in enumerate(given[:-1], 1):
        known += len(part)
        assert known >= 8 * (pushed - cascade.right_context)
    assert known < 8 * (60 - cascade.right_context + 1)
    assert Cascade([]).right_context == 0


def test_nothing_in_nothing_out():
    windows = WindowedFunction(lambda x: x, 1, 3, 3)
    assert windows.finish() is None
    cascade = Cascade([WindowedFunction(lambda x: x, 1, 3, 3), WindowedFunction(lambda x: x, 2, 3, 3)])
    assert cascade.finish() is None
    assert WindowedFunction(lambda x: x, 1, 0, 0).push(torch.zeros(0, 2)) is None


def test_a_sequence_shorter_than_the_receptive_field():
    function = moving_sum(10, 10, 2)
    for count in (1, 2, 9):
        x = torch.randn(count, 1)
        given = through(Cascade([WindowedFunction(function, 2, 10, 10, 50, 5)]), x, [1] * count)
        assert all(len(part) == 0 for part in given[:-1])
        torch.testing.assert_close(given[-1], function(x))
