import pytest
import torch

from tests.receptive_field import measured_receptive_field
from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.models.decoders.mel_linear import MelLinear
from v2skit.models.encoders.conformer import Conformer
from v2skit.models.frontends.resnet3d import ResNet3d

TINY = {"blocks": 2, "dim": 16, "heads": 2, "ff_dim": 32, "conv_kernel": 5}


@pytest.mark.parametrize("size, millions", [("s", 27.3), ("m", 43.1), ("l", 87.6)])
def test_the_whole_model_has_the_paper_s_number_of_parameters(size, millions):
    with torch.device("meta"):
        frontend = ResNet3d()
        encoder = Conformer(frontend.out_dim + 256, size=size)
        decoder = MelLinear(encoder.out_dim, Clock(24000, 20), Mel(hop=300))
    count = sum(p.numel() for part in (frontend, encoder, decoder) for p in part.parameters())
    assert count / 1e6 == pytest.approx(millions, rel=0.015)


def test_blocks_dim_and_heads_follow_the_size_or_are_given():
    assert len(Conformer(8, size="m", blocks=12, ff_dim=8).blocks) == 12
    custom = Conformer(8, dim=16, ff_dim=8)
    assert (custom.out_dim, len(custom.blocks), custom.blocks[0].attention.heads) == (16, 6, 4)


def test_batch_statistics_of_the_convolution_ignore_how_much_padding_there_is():
    torch.manual_seed(0)
    encoder = Conformer(4, dropout=0.0, **TINY)
    x, mask = torch.randn(2, 9, 4), torch.arange(9) < torch.tensor([[6], [4]])
    encoder(x, mask)
    padded = encoder.blocks[0].convolution.batch_norm.running_mean.clone()
    encoder.blocks[0].convolution.batch_norm.reset_running_stats()
    encoder(x[:, :6], mask[:, :6])
    torch.testing.assert_close(encoder.blocks[0].convolution.batch_norm.running_mean, padded)


def test_dropout_changes_training_and_not_evaluation():
    torch.manual_seed(0)
    encoder = Conformer(4, dropout=0.5, **TINY)
    x, mask = torch.randn(1, 9, 4), torch.ones(1, 9, dtype=torch.bool)
    assert not torch.equal(encoder(x, mask), encoder(x, mask))
    encoder.eval()
    assert torch.equal(encoder(x, mask), encoder(x, mask))


def test_runs_under_bf16_autocast_close_to_fp32():
    torch.manual_seed(0)
    encoder = Conformer(4, dropout=0.0, **TINY)
    x, mask = torch.randn(2, 9, 4), torch.arange(9) < torch.tensor([[9], [4]])
    want = encoder(x, mask)
    with torch.autocast("cpu", torch.bfloat16):
        output = encoder(x, mask)
    output.float().square().sum().backward()
    assert (output.float() - want).abs().max() < 0.2
    assert all(p.grad.isfinite().all() for p in encoder.parameters())


def test_a_clip_without_a_valid_frame_brings_no_nan():
    encoder = Conformer(4, dropout=0.0, **TINY)
    x, mask = torch.randn(2, 9, 4), torch.arange(9) < torch.tensor([[9], [0]])
    encoder(x, mask).square().sum().backward()
    assert all(p.grad.isfinite().all() for p in encoder.parameters())


@pytest.mark.parametrize(
    "blocks, look_ahead_frames, attention_frames", [(1, 0, 0), (1, 3, 2), (3, 0, 4), (3, 2, 6), (3, 7, 5), (2, 9, 0)]
)
@pytest.mark.parametrize("look_ahead_in", ["attention", "convolution"])
def test_receptive_field_is_exactly_as_declared(blocks, look_ahead_frames, attention_frames, look_ahead_in):
    torch.manual_seed(0)
    context = {"look_ahead_frames": look_ahead_frames, "attention_frames": attention_frames}
    tiny = {**TINY, "blocks": blocks, "conv_kernel": 11}  # 5 frames after the current one at most
    encoder = Conformer(4, **tiny, **context, look_ahead_in=look_ahead_in).double().eval()
    of_kernels = 10 * blocks - (look_ahead_frames if look_ahead_in == "convolution" else 0)
    assert (encoder.left_context_frames, encoder.look_ahead_frames) == (
        blocks * attention_frames + of_kernels,
        look_ahead_frames,
    )
    x = torch.randn(1, 100, 4, dtype=torch.double)
    assert measured_receptive_field(encoder, x) == (encoder.left_context_frames, encoder.look_ahead_frames)


def test_receptive_field_is_the_whole_clip_by_default():
    torch.manual_seed(0)
    encoder = Conformer(4, **TINY).double().eval()
    assert encoder.left_context_frames is None and encoder.look_ahead_frames is None
    assert measured_receptive_field(encoder, torch.randn(1, 60, 4, dtype=torch.double), positions=60) == (59, 59)


def test_look_ahead_is_distributed_over_the_blocks():
    encoder = Conformer(4, **{**TINY, "blocks": 4}, look_ahead_frames=6, attention_frames=9)
    assert [block.attention.context for block in encoder.blocks] == [(9, 2), (9, 2), (9, 1), (9, 1)]
    context = {"look_ahead_frames": 6, "attention_frames": 9, "look_ahead_in": "convolution"}
    encoder = Conformer(4, **{**TINY, "blocks": 4}, **context)
    assert [block.attention.context for block in encoder.blocks] == [(9, 0)] * 4
    assert [block.convolution.depthwise.ahead for block in encoder.blocks] == [2, 2, 1, 1]


def test_a_limit_changes_no_weight():
    torch.manual_seed(0)
    limited = Conformer(4, look_ahead_frames=400, attention_frames=400, **{**TINY, "conv_kernel": 1}).eval()
    whole = Conformer(4, **{**TINY, "conv_kernel": 1}).eval()
    whole.load_state_dict(limited.state_dict())
    x, mask = torch.randn(2, 9, 4), torch.arange(9) < torch.tensor([[9], [4]])
    assert torch.equal(limited(x, mask), whole(x, mask))


def test_padding_outside_the_context_of_every_frame_brings_no_nan():
    torch.manual_seed(0)
    encoder = Conformer(4, dropout=0.0, look_ahead_frames=1, attention_frames=2, **TINY)
    x, mask = torch.randn(2, 30, 4), torch.arange(30) < torch.tensor([[30], [3]])
    with torch.autocast("cpu", torch.bfloat16):
        output = encoder(x, mask)
    output.float().square().sum().backward()
    assert output.isfinite().all() and all(p.grad.isfinite().all() for p in encoder.parameters())


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"size": "xl"}, "unknown size 'xl'; did you mean 'l'"),
        ({"size": "s", "dim": 512}, r"dim 512 contradicts size 's' \(256\)"),
        ({"dim": 30, "heads": 4}, "dim 30 must be even and a multiple of heads 4"),
        ({"conv_kernel": 4}, "conv_kernel 4 odd"),
        ({"blocks": 0}, "blocks 0 must be at least 1"),
        ({"look_ahead_frames": 2}, "look_ahead_frames has no effect without attention_frames; give both"),
        ({"attention_frames": 9}, "attention_frames has no effect without look_ahead_frames; give both"),
        ({"look_ahead_in": "convolutions"}, "look_ahead_in 'convolutions' must be one of attention, convolution"),
        (
            {"look_ahead_in": "convolution"},
            "look_ahead_in: convolution has no effect without look_ahead_frames and attention_frames; give them",
        ),
        (
            {
                "look_ahead_frames": 5,
                "attention_frames": 9,
                "look_ahead_in": "convolution",
                "blocks": 2,
                "conv_kernel": 5,
            },
            r"look_ahead_frames 5 is more than the convolutions have, 4 \(blocks x half a conv_kernel\); give less",
        ),
        ({"look_ahead_frames": -1, "attention_frames": 9}, "look_ahead_frames -1 .* must not be negative"),
    ],
)
def test_wrong_arguments_have_a_clear_error(arguments, message):
    with pytest.raises(UserError, match=message):
        Conformer(8, **arguments)


def test_wrong_features_have_a_clear_error():
    with pytest.raises(UserError, match="conformer: input of shape .*set in_dim"):
        Conformer(4, **TINY)(torch.randn(1, 9, 5), torch.ones(1, 9, dtype=torch.bool))
