"""Masked features: their share, in training only, and only of the V2A model."""

import pytest
import torch

from v2skit.config.load import load_config
from v2skit.models.build import build_model
from v2skit.models.layers.feature_masks import FeatureMasks, random_spans


@pytest.mark.parametrize(("share", "length"), [(0.3, 5), (0.5, 1), (0.1, 20)])
def test_spans_have_their_share_everywhere_and_their_length(share, length):
    torch.manual_seed(0)
    spans = random_spans(torch.zeros(4000, 40), share, length)
    assert spans.float().mean(0).sub(share).abs().max() < 0.05
    inside = spans[:, : -length + 1 or None] & ~torch.nn.functional.pad(spans, (1, 0))[:, :-1][:, : -length + 1 or None]
    rows, begins = inside[:, 1:].nonzero(as_tuple=True)
    assert len(rows) and all(spans[row, 1 + begin : 1 + begin + length].all() for row, begin in zip(rows, begins))


def test_masks_are_of_frames_and_of_channels_and_in_training_only():
    torch.manual_seed(0)
    masks, x = FeatureMasks(0.3, 5, 0.2), torch.rand(200, 60, 40) + 1
    found = masks(x)
    hidden = found == 0
    frames, channels = hidden.all(2), hidden.all(1)
    assert abs(frames.float().mean() - 0.3) < 0.04 and abs(channels.float().mean() - 0.2) < 0.02
    assert torch.equal(hidden, frames[:, :, None] | channels[:, None])
    assert torch.equal(found[~hidden], x[~hidden])
    masks.eval()
    assert torch.equal(masks(x), x)


def test_the_v2a_model_has_them_and_no_further_weights(tiny):
    plain, masked = (load_config(tiny, sets) for sets in ([], ["augmentation.feature_channel_share=0.5"]))
    assert build_model(masked, "a2a", ["s0"]).feature_masks is None is build_model(plain, "v2a", ["s0"]).feature_masks
    model = build_model(masked, "v2a", ["s0"])
    assert model.feature_masks is not None and model.bottleneck is None
    assert model.state_dict().keys() == build_model(plain, "v2a", ["s0"]).state_dict().keys()
    x, speaker = torch.ones(2, 7, model.frontend.out_dim), torch.zeros(2, dtype=torch.int64)
    found = model.train().condition(x, speaker)[..., : x.shape[2]]
    assert 0 < (found == 0).float().mean() < 1 and torch.equal(model.eval().condition(x, speaker)[..., : x.shape[2]], x)
