"""What moves, moves; what does not is said."""

import json

import pytest
import torch

from v2skit.config.load import load_config
from v2skit.config.parts import PartTransfer
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
