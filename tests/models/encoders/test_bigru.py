import pytest
import torch

from v2skit.errors import UserError
from v2skit.models.encoders.bigru import BiGru


def test_the_backward_direction_starts_at_the_last_valid_frame():
    torch.manual_seed(0)
    encoder = BiGru(4, layers=1, dim=3)
    x, mask = torch.randn(1, 6, 4), torch.arange(6)[None] < 4
    first = encoder(x, mask)[0, 0, 3:]
    x[0, 3] += 1
    assert not torch.allclose(encoder(x, mask)[0, 0, 3:], first)
    x[0, 4:] += 1
    changed = encoder(x, mask)[0, 0, 3:].clone()
    x[0, 4:] -= 5
    assert torch.equal(encoder(x, mask)[0, 0, 3:], changed)


def test_receptive_field_is_the_whole_clip():
    encoder = BiGru(4)
    assert encoder.left_context_frames is None and encoder.look_ahead_frames is None


def test_runs_under_bf16_autocast():
    encoder = BiGru(4)
    with torch.autocast("cpu", torch.bfloat16):
        output = encoder(torch.randn(2, 6, 4), torch.arange(6) < torch.tensor([[6], [2]]))
    assert output.shape == (2, 6, 512) and output.isfinite().all()


def test_wrong_features_have_a_clear_error():
    with pytest.raises(UserError, match="bigru: input of shape"):
        BiGru(4)(torch.randn(1, 9, 5), torch.ones(1, 9, dtype=torch.bool))
