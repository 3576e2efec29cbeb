import math

import pytest
import torch

from v2skit.models.encoders.relative_attention import (
    RelativeAttention,
    outside_context,
    relative_positions,
    shift_to_keys,
)


def test_positions_are_sinusoids_of_the_distance():
    table = relative_positions(4, 6, torch.zeros(()))
    assert table.shape == (7, 6)
    for row, distance in enumerate(range(3, -4, -1)):
        for i in range(3):
            angle = distance / 10000 ** (2 * i / 6)
            assert math.isclose(table[row, i], math.sin(angle), abs_tol=1e-6)
            assert math.isclose(table[row, 3 + i], math.cos(angle), abs_tol=1e-6)


def test_shift_puts_distance_i_minus_j_at_row_i_column_j():
    frames = 5
    by_distance = torch.arange(frames - 1.0, -frames, -1).expand(2, frames, -1)
    i, j = torch.meshgrid(torch.arange(5.0), torch.arange(5.0), indexing="ij")
    assert torch.equal(shift_to_keys(by_distance), (i - j).expand(2, 5, 5))


def test_outside_context_is_all_but_the_band():
    assert outside_context(5, 2, 1, torch.device("cpu")).logical_not().int().tolist() == [
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [0, 1, 1, 1, 1],
        [0, 0, 1, 1, 1],
    ]
    assert not outside_context(5, 4, 4, torch.device("cpu")).any()


@pytest.mark.parametrize("context", [None, (2, 1), (1, 0), (9, 9)])
def test_equals_a_loop_over_every_pair_of_frames(context):
    torch.manual_seed(0)
    frames, dim, heads, size = 6, 8, 2, 4
    lengths = [6, 4]
    back, ahead = context or (frames, frames)
    attention = RelativeAttention(dim, heads, dropout=0.0, context=context).double()
    with torch.no_grad():
        attention.content_bias.normal_()
        attention.position_bias.normal_()
    x = torch.randn(2, frames, dim, dtype=torch.double)
    positions = relative_positions(frames, dim, x)
    output = attention(x, positions, torch.arange(frames) < torch.tensor(lengths)[:, None])
    query, key, value = attention.query(x), attention.key(x), attention.value(x)
    position = attention.position(positions)
    for clip, length in enumerate(lengths):
        for i in range(length):
            context, seen = [], range(max(0, i - back), min(length, i + ahead + 1))
            for head in range(heads):
                part = slice(head * size, (head + 1) * size)
                u, v = attention.content_bias[head, 0], attention.position_bias[head, 0]
                scores = []
                for j in seen:
                    content = (query[clip, i, part] + u) @ key[clip, j, part]
                    place = (query[clip, i, part] + v) @ position[frames - 1 - (i - j), part]
                    scores.append((content + place) / math.sqrt(size))
                weights = torch.stack(scores).softmax(0)
                context.append(weights @ value[clip, seen.start : seen.stop, part])
            torch.testing.assert_close(output[clip, i], attention.out(torch.cat(context)))
