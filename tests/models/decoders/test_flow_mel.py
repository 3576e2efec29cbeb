"""The flow matching decoder."""

import json

import pytest
import torch

from tests.conftest import ROOT, stages, write
from tests.receptive_field import measured_receptive_field
from v2skit.config.features import Clock, Mel
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.models.decoders.flow_mel import PERIOD_FRAMES, FlowMel
from v2skit.synthesis.overlap import WindowedFunction, concatenated
from v2skit.testing import check_decoder, check_training_loss

IN_DIM, CLOCK, MEL = 6, Clock(), Mel(n_mels=5)


def decoder(trained=True, **settings):
    """A small decoder; ``trained``: whose stack does not give 0."""
    torch.manual_seed(0)
    module = FlowMel(IN_DIM, CLOCK, MEL, **{"dim": 8, "blocks": 2, "steps": 2, "temperature": 1.0, **settings})
    if trained:
        torch.nn.init.normal_(module.out.weight, std=0.5)
    return module.eval()


def valid(frames, clips=1):
    return torch.ones(clips, frames, dtype=torch.bool)


def batch_of(mel, mask):
    clips, frames = mask.shape
    return Batch([str(clip) for clip in range(clips)], mask, torch.zeros(clips, 0), torch.zeros(clips, frames), mel=mel)


def test_a_trained_one_keeps_the_contract():
    check_decoder(decoder(), IN_DIM, CLOCK, MEL)
    mask = torch.arange(7)[None] < torch.tensor([7, 4, 2])[:, None]
    check_training_loss(decoder(), IN_DIM, batch_of(2 * torch.randn(3, 28, 5) - 5, mask))


def test_it_keeps_the_contract_at_other_clocks():
    clock, mel = Clock(16000, 20), Mel(n_mels=5, hop=160, n_fft=800, window=800, f_max=8000)
    check_decoder(FlowMel(IN_DIM, clock, mel, dim=8, blocks=1, steps=2), IN_DIM, clock, mel)


def test_without_noise_an_untrained_one_is_the_prior():
    module, x = decoder(trained=False, temperature=0.0), torch.randn(1, 9, IN_DIM)
    want = module.prior(x).unflatten(-1, (4, 5)).flatten(1, 2) * module.std + module.mean
    assert torch.allclose(module(x, valid(9)), want, atol=1e-5)


def test_an_untrained_one_has_the_residual_deviation_around_the_prior():
    module, x = decoder(trained=False, steps=16, std=2.0, residual_std=0.5), torch.zeros(1, PERIOD_FRAMES, IN_DIM)
    samples = module(x, valid(PERIOD_FRAMES))
    assert 0.8 < (samples - samples.mean(dim=1, keepdim=True)).std() < 1.2


def test_it_samples_one_of_two_mels_where_the_prior_is_their_mean():
    module = decoder(trained=False, mean=0.0, std=1.0, residual_std=1.0, steps=8, dim=16)
    optimiser = torch.optim.AdamW(module.train().parameters(), 1e-2)
    x, mask = torch.zeros(32, 2, IN_DIM), valid(2, 32)
    for _ in range(150):
        signs = torch.randint(0, 2, (32, 1, 1)).float() * 2 - 1
        losses = module.training_loss(x, mask, batch_of(signs.expand(-1, 8, 5), mask))
        optimiser.zero_grad()
        (losses["flow"] + losses["prior"]).backward()
        optimiser.step()
    samples = []
    for module.seed in range(20):
        with torch.no_grad():
            samples.append(module.eval()(x[:1], mask[:1]))
    levels = torch.cat(samples).mean(dim=(1, 2))
    assert ((levels.abs() - 1).abs() < 0.3).float().mean() > 0.8
    assert 3 < (levels > 0).sum() < 17
    module.steps = 1
    assert module(x[:1], mask[:1]).mean().abs() < 0.3


@pytest.mark.parametrize("look_ahead_frames", [None, 0, 2])
def test_the_receptive_field_is_as_declared(look_ahead_frames):
    module = decoder(look_ahead_frames=look_ahead_frames)
    left, right = module.left_context_frames, module.look_ahead_frames
    assert right == (3 if look_ahead_frames is None else look_ahead_frames)
    measured_left, measured_right = measured_receptive_field(module, torch.randn(1, 30, IN_DIM), positions=30)
    assert measured_left == left and measured_right == right


def test_windows_give_the_mel_of_the_whole_clip():
    module, x = decoder(), torch.randn(3 * PERIOD_FRAMES, IN_DIM)
    windowed = WindowedFunction(
        lambda part: module(part[None], valid(len(part)))[0], 4, module.left_context_frames, module.look_ahead_frames,
        align=module.period_frames,
    )  # fmt: skip
    with torch.no_grad():
        whole = module(x[None], valid(len(x)))[0]
        parts = [windowed.push(part) for part in x.split(20)] + [windowed.finish()]
    assert torch.allclose(concatenated(parts), whole, atol=1e-4)


def test_steps_seed_and_temperature_may_be_assigned():
    module, x = decoder(), torch.randn(1, 9, IN_DIM)
    with torch.no_grad():
        first = module(x, valid(9))
        module.seed = 1
        assert (module(x, valid(9)) - first).abs().mean() > 0.1
        module.temperature = 0.0
        quiet = module(x, valid(9))
        module.seed = 0
        assert torch.equal(module(x, valid(9)), quiet)
    context = module.left_context_frames
    module.steps = 4
    assert module.left_context_frames == 2 * context


def test_under_autocast_the_steps_are_in_full_precision():
    module, x = decoder(steps=8), torch.randn(1, 9, IN_DIM)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        low = module(x, valid(9))
    with torch.no_grad():
        full = module(x, valid(9))
    assert low.dtype == torch.float32
    assert 0 < (low - full).abs().max() < 0.1 * full.std()


def test_padding_does_not_enter_the_losses():
    module, x = decoder(), torch.randn(2, 6, IN_DIM)
    mask = torch.arange(6)[None] < torch.tensor([6, 3])[:, None]
    mel = torch.randn(2, 24, 5)
    values = []
    for fill in (0.0, 50.0):
        torch.manual_seed(3)
        filled = mel.masked_fill(~mask.repeat_interleave(4, dim=1)[..., None], fill)
        values.append(module.training_loss(x.masked_fill(~mask[..., None], fill), mask, batch_of(filled, mask)))
    assert values[0]["prior"] == values[1]["prior"] and values[0]["flow"] == values[1]["flow"]
    assert values[0]["mel"].equal(values[1]["mel"]) and not values[0]["mel"][1, 12:].any()


def test_the_mel_of_training_is_the_prior_and_knows_nothing_of_the_target():
    module, x = decoder(trained=False, temperature=0.0), torch.randn(2, 6, IN_DIM)
    values = [module.training_loss(x, valid(6, 2), batch_of(torch.randn(2, 24, 5), valid(6, 2))) for _ in range(2)]
    assert values[0]["mel"].equal(values[1]["mel"]) and values[0]["prior"] != values[1]["prior"]
    assert torch.allclose(values[0]["mel"], module(x, valid(6, 2)), atol=1e-5)  # of a stack that gives 0


def test_weights_scale_the_losses():
    mel, x, values = torch.randn(1, 24, 5), torch.randn(1, 6, IN_DIM), []
    for weights in ({}, {"flow_weight": 2.0, "prior_weight": 0.5}):
        module = decoder(**weights)
        torch.manual_seed(3)
        values.append(module.training_loss(x, valid(6), batch_of(mel, valid(6))))
    assert torch.allclose(values[1]["flow"], 2 * values[0]["flow"])
    assert torch.allclose(values[1]["prior"], 0.5 * values[0]["prior"])


@pytest.mark.parametrize(
    "settings", [{"std": 0}, {"residual_std": -1}, {"temperature": -0.1}, {"flow_weight": 0}, {"prior_weight": -1}]
)
def test_numbers_out_of_range_are_errors(settings):
    with pytest.raises(UserError, match=f"{next(iter(settings))} must lie in"):
        decoder(**settings)


def test_input_of_another_shape_is_an_error():
    with pytest.raises(UserError, match="flow_mel: input of shape"):
        decoder()(torch.randn(1, 9, IN_DIM + 1), valid(9))


def test_a_recipe_trains_transfers_and_synthesises_with_it(recipe_folder, tiny, tmp_path):
    small = {"decoder": {"dim": 8, "blocks": 1, "steps": 2}}
    config = write(tmp_path / "flow.yaml", tiny, [str(ROOT / "egs/conf/flow_mel.yaml")], networks=small, scratch=False)
    assert stages(recipe_folder, config, "pretrain", "transfer", "finetune", "synth") == 0
    exp = recipe_folder / "exp/flow"
    assert "| decoder | 100.0% of its values |" in (exp / "transfer/ledger.md").read_text()
    rows = [json.loads(line) for line in (exp / "finetune/log.jsonl").read_text().splitlines()]
    train, valid_row = ([row for row in rows if row["kind"] == kind][-1] for kind in ("train", "valid"))
    for row in (train, valid_row):
        assert row["total"] == pytest.approx(row["decoder/flow"] + row["decoder/prior"], rel=1e-4)
    assert "l1" in valid_row and "l1" not in train
    speech = {path.name: path.read_bytes() for path in (exp / "synth/pretrained").glob("*.wav")}
    assert len(speech) == 3
    more = ("networks.decoder.steps=4", "networks.decoder.temperature=0.5")
    assert stages(recipe_folder, config, "finetune", "synth", sets=more) == 0  # the trained model, with other samples
    assert all(path.read_bytes() != speech[path.name] for path in (exp / "synth/pretrained").glob("*.wav"))
    assert rows == [json.loads(line) for line in (exp / "finetune/log.jsonl").read_text().splitlines()]
