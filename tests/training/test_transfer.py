"""What moves, moves; what does not is said."""

import json

import pytest
import torch

from v2skit.config.load import load_config
from v2skit.config.parts import Part, PartTransfer
from v2skit.config.schema import Training
from v2skit.errors import UserError
from v2skit.models.build import build_model
from v2skit.training.optimiser import Optimiser, schedule
from v2skit.training.transfer import transfer


def models(tiny, *overrides):
    config = load_config(tiny)
    source = build_model(config, "a2a", ["a", "b"])
    with torch.no_grad():
        for value in source.state_dict().values():
            value.add_(1)
    return source.state_dict(), build_model(load_config(tiny, overrides), "v2a", ["a", "b"])


def test_ledger_of_a_transfer(tiny, tmp_path):
    source, target = models(tiny)
    before = {k: v.clone() for k, v in target.state_dict().items()}
    ledger = transfer(source, target, ["decoder"])
    after = target.state_dict()
    for entry in ledger.entries:
        if entry.part == "decoder":
            assert entry.status == "copied" and torch.equal(after[entry.tensor], source[entry.tensor])
        elif entry.tensor in after:
            assert entry.status in ("new", "left out", "shape differs")
            assert torch.equal(after[entry.tensor], before[entry.tensor])
        else:
            assert entry.status == "left out" and entry.shape is None
    assert ledger.shares["decoder"] == 1.0 and ledger.shares["encoder"] == 0.0 and ledger.shares["frontend"] == 0.0
    ledger.write(tmp_path)
    assert json.loads((tmp_path / "ledger.json").read_text())["shares"]["decoder"] == 1.0
    assert "| decoder | 100.0% of its values |" in (tmp_path / "ledger.md").read_text()


def test_what_was_asked_for_and_does_not_fit_is_an_error(tiny):
    source, target = models(tiny, "networks.encoder.ff_dim=20")
    before = {k: v.clone() for k, v in target.state_dict().items()}
    with pytest.raises(UserError, match=r"encoder\.[\w.]+: shape \d+x?\d* in A2A, \d+x?\d* in V2A"):
        transfer(source, target, ["encoder", "decoder"])
    assert all(torch.equal(v, before[k]) for k, v in target.state_dict().items())
    assert transfer(source, target, ["decoder"]).shares["decoder"] == 1.0


def test_part_without_weights_is_an_error(tiny):
    config = load_config(tiny, ["networks.speaker={type: none}"])
    source = build_model(config, "a2a", []).state_dict()
    with pytest.raises(UserError, match="speaker: neither model has weights in it"):
        transfer(source, build_model(config, "v2a", []), ["speaker"])


def test_frozen_steps_and_learning_rate_factors(tiny):
    model = build_model(load_config(tiny), "v2a", ["a"])
    settings = Training(steps=10, learning_rate=0.1, warmup_share=0.1)
    optimiser = Optimiser(model, settings, {"decoder": PartTransfer(2, 0.5), "encoder": PartTransfer(0, 0.1)})
    optimiser.start(1)
    assert not any(p.requires_grad for p in model.decoder.parameters())
    assert all(p.requires_grad for p in model.encoder.parameters())
    optimiser.start(2)
    assert all(p.requires_grad for p in model.decoder.parameters())
    rates = {g["part"]: g["lr"] for g in optimiser.adamw.param_groups}
    assert rates["decoder"] == pytest.approx(0.5 * rates["frontend"])
    assert rates["encoder"] == pytest.approx(0.1 * rates["frontend"])
    assert schedule(0, settings) == 1.0 and schedule(10, settings) == pytest.approx(0.0)


def test_parts_frozen_with_all_are_in_evaluation_mode(tiny):
    model = build_model(load_config(tiny), "v2a", ["a"])
    optimiser = Optimiser(
        model, Training(), {"encoder": Part(frozen="all", frozen_steps=2), "decoder": PartTransfer(2)}
    )
    for step, training in ((1, False), (2, True)):
        model.train()
        optimiser.start(step)
        assert all(module.training == training for module in model.encoder.modules())
        assert all(p.requires_grad == training for p in model.encoder.parameters())
        assert all(module.training for part in (model.decoder, model.frontend) for module in part.modules())


def test_recurrent_networks_keep_the_mode_that_their_backward_pass_needs(tiny):
    frozen = {"encoder": Part(frozen="all")}
    model = build_model(load_config(tiny, ["networks.encoder={type: bigru, dim: 4}"]), "v2a", ["a"])
    optimiser = Optimiser(model, Training(), frozen)
    model.train()
    optimiser.start(0)
    assert not model.encoder.training and model.encoder.gru.training
    model = build_model(load_config(tiny, ["networks.encoder={type: bigru, dim: 4, dropout: 0.1}"]), "v2a", ["a"])
    with pytest.raises(UserError, match="encoder is a recurrent network with dropout, which can't be frozen with all"):
        Optimiser(model, Training(), frozen)


def test_parts_that_can_not_be_trained_are_named(tiny):
    model = build_model(load_config(tiny), "v2a", ["a"])
    with pytest.raises(UserError, match="this model has no part generator; leave it out"):
        Optimiser(model, Training(), {"generator": Part()})
    everything = dict.fromkeys(("frontend", "speaker", "encoder", "decoder"), Part(frozen="weights", frozen_steps=3))
    with pytest.raises(UserError, match="all parts of this model are frozen at the start; train at least one"):
        Optimiser(model, Training(), everything)


def test_a_head_has_settings_of_its_own_or_those_of_all_heads():
    model = torch.nn.Module()
    model.heads = torch.nn.ModuleDict({name: torch.nn.Linear(2, 2) for name in ("a", "b")})
    model.decoder = torch.nn.Linear(2, 2)
    parts = {"heads": Part(frozen="weights"), "heads.b": Part(learning_rate_factor=0.5)}
    optimiser = Optimiser(model, Training(learning_rate=0.1), parts)
    optimiser.start(0)
    assert not model.heads["a"].weight.requires_grad and model.heads["b"].weight.requires_grad
    rates = {group["part"]: group["lr"] for group in optimiser.adamw.param_groups}
    assert rates["heads.b"] == pytest.approx(0.5 * rates["decoder"])
