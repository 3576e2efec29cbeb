"""CTC is the probability of all alignments, over the clips that have tokens and frames enough."""

import itertools
import math

import pytest
import torch

from v2skit.data.batch import PADDING, Batch
from v2skit.losses.ctc import Ctc, frames_needed
from v2skit.models.output import Output
from v2skit.testing import check_loss

BLANK = 3


def batch(tokens, frames=(4, 4)):
    lengths = torch.tensor(frames)
    mask = torch.arange(max(frames))[None] < lengths[:, None]
    longest = max(map(len, tokens), default=0)
    rows = [[*row, *[PADDING] * (longest - len(row))] for row in tokens]
    extras = {"tokens": torch.tensor(rows, dtype=torch.int32).view(len(rows), longest)}
    return Batch(["a", "b"], mask, torch.zeros(2, 0), torch.zeros(2, 960 * max(frames)), extras=extras)


def output(frames=4, rate=1, seed=0):
    logits = torch.randn(2, frames * rate, BLANK + 1, generator=torch.Generator().manual_seed(seed))
    return Output(extras={"tokens": logits.requires_grad_()})


def value(output, batch):
    return Ctc()(output, batch)["ctc"]


def collapse(path):
    return [token for token, _ in itertools.groupby(path) if token != BLANK]


def brute_force(logits, tokens):
    """Negative log of the summed probability of every alignment of the tokens."""
    probabilities = logits.softmax(-1)
    paths = itertools.product(range(BLANK + 1), repeat=len(logits))
    total = sum(math.prod(p[t] for p, t in zip(probabilities, path)) for path in paths if collapse(path) == tokens)
    return -math.log(total)


def test_it_sums_over_all_alignments_and_is_a_mean_over_tokens():
    logits = output().extras["tokens"].detach()
    wanted = brute_force(logits[0], [0, 0]) + brute_force(logits[1], [2, 0, 1])
    assert value(output(), batch([[0, 0], [2, 0, 1]])).item() == pytest.approx(wanted / 5, rel=1e-4)


def test_frames_beyond_the_mask_do_not_enter():
    given = output()
    value(given, batch([[1], [2]], frames=(4, 2))).backward()
    gradient = given.extras["tokens"].grad
    assert gradient[1, 2:].abs().sum() == 0 and gradient[1, :2].abs().sum() > 0
    logits = given.extras["tokens"].detach()
    wanted = brute_force(logits[0], [1]) + brute_force(logits[1, :2], [2])
    assert value(given, batch([[1], [2]], frames=(4, 2))).item() == pytest.approx(wanted / 2, rel=1e-4)


def test_upsampled_logits_have_as_many_frames_more():
    logits = output(rate=2).extras["tokens"].detach()
    found = value(output(rate=2), batch([[0, 1, 0, 1, 0, 1], []], frames=(4, 4)))
    assert found.item() == pytest.approx(brute_force(logits[0], [0, 1, 0, 1, 0, 1]) / 6, rel=1e-4)


def test_clips_without_text_or_with_too_few_frames_are_left_out():
    alone = brute_force(output().extras["tokens"].detach()[0], [1])
    for other in ([], [0, 1, 2, 0, 1], [0, 0, 0]):
        given = output()
        found = value(given, batch([[1], other]))
        assert found.item() == pytest.approx(alone, rel=1e-4)
        found.backward()
        assert given.extras["tokens"].grad[1].abs().sum() == 0
    assert frames_needed(batch([[0, 0, 0], [1, 2]]).extras["tokens"]).tolist() == [5, 2]


@pytest.mark.parametrize("tokens", [[[], []], [[0, 1, 2, 0, 1], []]])
def test_a_batch_without_usable_text_is_zero_with_a_gradient(tokens):
    given = output()
    found = value(given, batch(tokens))
    found.backward()
    assert found.item() == 0 and given.extras["tokens"].grad.abs().sum() == 0


def test_it_keeps_the_contract_of_losses_in_low_precision_too():
    check_loss(Ctc(), output(), batch([[0, 1], [2]]))
    half = Output(extras={"tokens": output().extras["tokens"].detach().bfloat16()})
    assert value(half, batch([[0, 1], [2]])).dtype == torch.float32
