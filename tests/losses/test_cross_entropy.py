import math

import pytest
import torch

from v2skit.data.batch import Batch
from v2skit.losses.cross_entropy import CrossEntropy
from v2skit.models.output import Output
from v2skit.testing import check_loss


def example(units, logits):
    mask = torch.tensor([[True, True], [True, False]])
    batch = Batch(["a", "b"], mask, torch.zeros(2, 0), torch.zeros(2, 1920), extras={"units": torch.tensor(units)})
    return Output(extras={"units": torch.tensor(logits)}), batch


LOGITS = [[[0.0, 0.0], [0.0, math.log(3)]], [[math.log(7), 0.0], [9.0, 9.0]]]


def test_it_is_the_mean_over_valid_frames():
    want = (math.log(2) + math.log(4 / 3) + math.log(8 / 7)) / 3
    for padding in (-1, 0, 1):
        values = CrossEntropy()(*example([[0, 1], [0, padding]], LOGITS))
        assert values == {"cross_entropy": pytest.approx(want)}


def test_frames_without_a_unit_do_not_count():
    assert CrossEntropy()(*example([[0, -1], [-1, 0]], LOGITS))["cross_entropy"].item() == pytest.approx(math.log(2))
    assert CrossEntropy()(*example([[-1, -1], [-1, 0]], LOGITS))["cross_entropy"].item() == 0


def test_label_smoothing_is_the_mean_with_equal_probabilities():
    smoothed = CrossEntropy(label_smoothing=0.5)(*example([[1, -1], [-1, 0]], LOGITS))["cross_entropy"]
    assert smoothed.item() == pytest.approx(math.log(2))
    smoothed = CrossEntropy(label_smoothing=0.5)(*example([[-1, 1], [-1, 0]], LOGITS))["cross_entropy"]
    assert smoothed.item() == pytest.approx(0.75 * math.log(4 / 3) + 0.25 * math.log(4))


def test_it_keeps_the_contract_of_losses_on_any_stream():
    loss, (output, batch) = CrossEntropy("phones"), example([[0, 1], [0, 0]], LOGITS)
    assert loss.input == "phones"
    batch.extras["phones"] = batch.extras.pop("units")
    check_loss(loss, Output(extras={"phones": output.extras["units"]}), batch)
