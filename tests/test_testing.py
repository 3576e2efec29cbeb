"""The contract checks accept networks that keep the contract, and refuse those that break it."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.open_components import Letters, LinearHead, Loudness, NoisyMel
from v2skit import testing
from v2skit.config.features import Clock, Mel
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.losses.l1 import L1
from v2skit.models.layers.masked import MaskedConv1d, check_features, on_valid, zero_padding
from v2skit.testing import check_decoder, check_encoder, examples

DIM = 6


class Good(nn.Module):
    def __init__(self):
        super().__init__()
        self.out_dim = DIM
        self.conv = MaskedConv1d(DIM, DIM, 3, padding=1)
        self.norm = nn.BatchNorm1d(DIM)

    def forward(self, x, mask):
        check_features(x, mask, DIM, "good")
        return on_valid(self.norm, self.conv(x, mask), mask)


class LeavesPadding(Good):
    def forward(self, x, mask):
        return super().forward(x, mask) + 1


class MixesPadding(Good):
    def forward(self, x, mask):
        check_features(x, mask, DIM, "mixes")
        return on_valid(self.norm, self.conv(x, torch.ones_like(mask)), mask)


class CountsPadding(Good):
    def forward(self, x, mask):
        check_features(x, mask, DIM, "counts")
        return zero_padding(self.norm(self.conv(x, mask).transpose(1, 2)).transpose(1, 2), mask)


class AcceptsAnyLength(Good):
    def forward(self, x, mask):
        return on_valid(self.norm, self.conv(x[:, : mask.shape[1]], mask[:, : x.shape[1]]), mask[:, : x.shape[1]])


class UnusedWeight(Good):
    def __init__(self):
        super().__init__()
        self.spare = nn.Linear(1, 1)


class DeclaresItsContext(Good):
    left_context_frames = look_ahead_frames = 1


class HasMoreRightContext(Good):
    left_context_frames, look_ahead_frames = 1, 0


class HasMoreLeftContext(Good):
    left_context_frames, look_ahead_frames = 0, 1


class DependsOnThePosition(DeclaresItsContext):
    def forward(self, x, mask):
        return super().forward(x, mask) * torch.arange(1, x.shape[1] + 1)[:, None]


class SubtractsTheMean(DeclaresItsContext):
    def forward(self, x, mask):
        mean = zero_padding(x, mask).sum(1, keepdim=True) / mask.sum(1)[:, None, None]
        return super().forward(zero_padding(x - mean, mask), mask)


class DeclaresOneSideOnly(Good):
    left_context_frames, look_ahead_frames = None, 1


class HasVeryLongContext(Good):
    left_context_frames, look_ahead_frames = 10**15, 0


class ScaledBranch(Good):
    """A residual branch that has no effect at initialisation."""

    left_context_frames = look_ahead_frames = 1
    scale, branch_mask = 1e-6, True

    def __init__(self):
        super().__init__()
        self.scales = nn.Parameter(torch.full((DIM,), self.scale))

    def forward(self, x, mask):
        check_features(x, mask, DIM, "scaled")
        branch = self.conv(x, mask if self.branch_mask else torch.ones_like(mask))
        return zero_padding(x + self.scales * on_valid(self.norm, branch, mask), mask)


class ScaledBranchLooksAhead(ScaledBranch):
    look_ahead_frames = 0


class ZeroBranchMixesPadding(ScaledBranch):
    scale, branch_mask = 0.0, False


class DetachedInput(Good):
    def forward(self, x, mask):
        return super().forward(x.detach() + 0 * x, mask)


class NotFiniteAtFirst(ScaledBranch):
    scale = 0.0

    def forward(self, x, mask):
        return super().forward(x, mask) / self.scales.norm()


@pytest.mark.parametrize("good", [Good, DeclaresItsContext, ScaledBranch])
def test_a_good_encoder_passes(good):
    check_encoder(good(), DIM)


@pytest.mark.parametrize(
    "bad, message",
    [
        (LeavesPadding, "not zero where the mask is False"),
        (MixesPadding, "the output for a clip depends on its batch or padding"),
        (CountsPadding, "train mode: more padding changes the output"),
        (AcceptsAnyLength, "an input of 4 entries with a mask of 3 frames raises no error"),
        (UnusedWeight, "no gradient reaches spare.weight, spare.bias"),
        (HasMoreRightContext, "look_ahead_frames is 0, but the output changes with a later frame"),
        (HasMoreLeftContext, "left_context_frames is 0, but the output changes with an earlier frame"),
        (DependsOnThePosition, "left_context_frames is 1, but the output changes with an earlier frame"),
        (SubtractsTheMean, "look_ahead_frames is 1, but the output changes with a later frame"),
        (DeclaresOneSideOnly, "left_context_frames is None; it must be a number of frames, or both None"),
        (HasVeryLongContext, "look_ahead_frames is 0, but the output changes with a later frame"),
        (ScaledBranchLooksAhead, "look_ahead_frames is 0, but the output changes with a later frame"),
        (ZeroBranchMixesPadding, "the output for a clip depends on its batch or padding"),
        (DetachedInput, "no gradient reaches the input"),
        (NotFiniteAtFirst, "output holds NaN or infinity"),
    ],
)
def test_a_bad_encoder_is_found(bad, message):
    with pytest.raises(AssertionError, match=message):
        check_encoder(bad(), DIM)


def test_the_checks_leave_the_module_as_it_is():
    module = ScaledBranch()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    check_encoder(module, DIM)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_a_decoder_must_declare_its_output():
    with pytest.raises(AssertionError, match="has the attribute output, the name of its stream"):
        check_decoder(Good(), DIM, Clock(), Mel())


def test_the_error_of_a_good_encoder_is_a_user_error():
    with pytest.raises(UserError, match="set in_dim"):
        Good()(torch.zeros(1, 3, DIM + 1), torch.ones(1, 3, dtype=torch.bool))


def own_loss_batch(clock, mel):
    frames = 6
    mask = torch.ones(2, frames, dtype=torch.bool)
    mask[1, 4:] = False
    waveform = 0.1 * torch.randn(2, frames * clock.samples_per_frame)
    return Batch(["a", "b"], mask, torch.zeros(2), waveform, torch.randn(2, frames * mel.per_frame(clock), mel.n_mels))


class LeakyLoss(NoisyMel):
    def training_loss(self, x, mask, batch):
        return {"l2": super().training_loss(x, mask, batch)["l2"] + 0 * x.sum() + (x[~mask] ** 2).mean()}


class DetachedLoss(NoisyMel):
    def training_loss(self, x, mask, batch):
        return super().training_loss(x.detach(), mask, batch)


def test_a_decoder_with_its_own_loss():
    clock, mel = Clock(), Mel()
    batch = own_loss_batch(clock, mel)
    good = NoisyMel(8, clock, mel)
    testing.check_decoder(good, 8, clock, mel)
    testing.check_training_loss(good, 8, batch)
    with pytest.raises(AssertionError, match="gradients reach the padding"):
        testing.check_training_loss(LeakyLoss(8, clock, mel), 8, batch)
    with pytest.raises(AssertionError, match="no gradient reaches the features"):
        testing.check_training_loss(DetachedLoss(8, clock, mel), 8, batch)


class LeakyHead(LinearHead):
    def forward(self, x, mask):
        return {"loudness": self.linear(x - x.mean(1, keepdim=True))[..., 0]}


class CountsPaddedFrames(nn.Module):
    input = "mel"

    def forward(self, output, batch):
        return {"l1": (output.mel - batch.mel).abs().mean()}


def test_a_loss_over_the_padding_is_found():
    batch = examples.batch()
    testing.check_loss(L1(Mel()), examples.output(batch), batch)
    with pytest.raises(AssertionError, match="l1: the padding changes it"):
        testing.check_loss(CountsPaddedFrames(), examples.output(batch), batch)


def test_heads():
    testing.check_head(LinearHead(8), 8)
    with pytest.raises(AssertionError, match="depends on the padding"):
        testing.check_head(LeakyHead(8), 8)


class RandomTarget(Letters):
    def compute(self, waveform, text):
        return np.random.default_rng().integers(0, 1000, 9)


def test_targets():
    loud = Loudness(Clock())
    loud.load_state({"mean": 1.0})
    waveform = np.random.default_rng(0).normal(size=4 * 960).astype(np.float32)
    testing.check_target(loud, waveform, 4, None)
    testing.check_target(Letters(), waveform, 4, "bin blue")
    with pytest.raises(AssertionError, match="not k values a video frame"):
        testing.check_target(loud, waveform, 3, None)
    with pytest.raises(AssertionError, match="two calls give different values"):
        testing.check_target(RandomTarget(), waveform, 4, None)
