"""Dual batch normalisation: one affine map, statistics by modality."""

import pytest
import torch
from torch import nn

from v2skit.config.load import load_config
from v2skit.models.build import build_model
from v2skit.models.layers.dual_norm import DualBatchNorm, set_modality, with_dual_norm
from v2skit.training.transfer import transfer


@pytest.mark.parametrize(
    ("norm", "shape"), [(nn.BatchNorm1d, (5,)), (nn.BatchNorm1d, (5, 7)), (nn.BatchNorm2d, (5, 7, 3))]
)
def test_it_normalises_as_the_plain_one_does(norm, shape):
    plain = norm(5)
    nn.init.normal_(plain.weight), nn.init.normal_(plain.bias)
    dual = with_dual_norm(norm(5))
    dual.weight, dual.bias = plain.weight, plain.bias
    for _ in range(3):
        x = 2 * torch.randn(8, *shape) + 1
        assert torch.equal(dual(x), plain(x))
    assert torch.equal(dual.audio_mean, plain.running_mean) and torch.equal(dual.audio_var, plain.running_var)
    assert torch.equal(dual.eval()(x), plain.eval()(x))


def test_statistics_of_one_modality_do_not_move_when_the_other_trains():
    module = with_dual_norm(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)))
    optimiser = torch.optim.SGD(module.parameters(), 0.1)
    for trained, other in (("audio", "video"), ("video", "audio")):
        set_modality(module, trained)
        before = {name: value.clone() for name, value in module.named_buffers()}
        weight = module[1].weight.clone()
        module(3 * torch.randn(16, 4) + 5).square().sum().backward()
        optimiser.step()
        for name, value in module.named_buffers():
            assert torch.equal(value, before[name]) == name.startswith(f"1.{other}"), name
        assert not torch.equal(module[1].weight, weight)  # the affine map is shared, so it does move
    outputs = []
    for modality in ("audio", "video"):
        set_modality(module.eval(), modality)
        outputs.append(module(torch.ones(1, 4)))
    assert not torch.allclose(*outputs)


def norms(model: nn.Module) -> dict[str, nn.Module]:
    kinds = (DualBatchNorm, nn.modules.batchnorm._BatchNorm)
    return {name: part for name, part in model.named_modules() if isinstance(part, kinds)}


def test_transfer_carries_both_statistics_and_v2a_uses_those_of_video(tiny):
    config = load_config(tiny)
    a2a, v2a = build_model(config, "a2a", ["s0"]), build_model(config, "v2a", ["s0"])
    behind = {name: part for name, part in norms(a2a).items() if name.startswith(("encoder", "decoder"))}
    assert behind and all(isinstance(part, DualBatchNorm) and part.modality == "audio" for part in behind.values())
    for part in behind.values():
        part.audio_mean.fill_(3.0), part.video_mean.fill_(4.0)
    ledger = transfer(a2a.state_dict(), v2a, ["encoder", "decoder"])
    copied = {entry.tensor for entry in ledger.entries if entry.status == "copied"}
    for name in behind:
        part = norms(v2a)[name]
        assert part.modality == "video" and (part.audio_mean == 3).all() and (part.video_mean == 4).all()
        assert {f"{name}.{m}_{s}" for m in ("audio", "video") for s in ("mean", "var")} <= copied
    assert all(not isinstance(part, DualBatchNorm) for name, part in norms(v2a).items() if name.startswith("frontend"))


def test_bn_shared_keeps_plain_norms(tiny):
    model = build_model(load_config(tiny, ["networks.bn=shared"]), "v2a", ["s0"])
    assert norms(model) and not any(isinstance(part, DualBatchNorm) for part in norms(model).values())
