"""The adversarial loss: its objectives, its penalty, its state, and that discriminator and generator stay apart."""

import math

import pytest
import torch
from torch import nn

from v2skit.config.load import load_config
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.losses.adversarial import OBJECTIVES, Adversarial, penalty
from v2skit.losses.discriminators.power import PowerDiscriminator
from v2skit.losses.discriminators.waveform import WaveformDiscriminator
from v2skit.losses.total import Losses
from v2skit.models.output import Output
from v2skit.testing import check_discriminator, check_loss

FRAMES, PER_FRAME = 6, 8


class Linear(nn.Module):
    """score = w x, with one hidden layer to match."""

    def __init__(self, samples: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, samples))

    def forward(self, waveform):
        return [(waveform @ self.weight, [waveform * self.weight])]


def example(clips: int = 3, seed: int = 0) -> Batch:
    waveform = torch.randn(clips, FRAMES * PER_FRAME, generator=torch.Generator().manual_seed(seed))
    mask = torch.ones(clips, FRAMES, dtype=torch.bool)
    return Batch([""] * clips, mask, torch.zeros(clips, 0), waveform)


def adversarial(**settings) -> Adversarial:
    return Adversarial({"linear": Linear(FRAMES * PER_FRAME)}, **settings)


def test_penalty_of_a_linear_discriminator_has_its_closed_form():
    discriminator, batch = Linear(FRAMES * PER_FRAME), example()
    want = (discriminator.weight.norm() - 1) ** 2
    got = penalty(discriminator, batch.waveform, torch.zeros_like(batch.waveform))
    assert torch.allclose(got, want, rtol=1e-5)
    (slope,) = torch.autograd.grad(got, discriminator.weight)
    assert torch.allclose(slope, 2 * (1 - 1 / discriminator.weight.norm()) * discriminator.weight, rtol=1e-4)


@pytest.mark.parametrize(
    ("objective", "discriminator", "generator"),
    [("hinge", 0.5 + 3.0, -2.0), ("least_squares", 0.25 + 4.0, 1.0), ("wasserstein", 1.5, -2.0)],
)
def test_objectives(objective, discriminator, generator):
    real, fake = torch.tensor([0.5]), torch.tensor([2.0])
    of_discriminator, of_generator = OBJECTIVES[objective]
    assert of_discriminator(real, fake).item() == pytest.approx(discriminator)
    assert of_generator(fake).item() == pytest.approx(generator)


def test_generator_gradient_is_unaffected_by_the_discriminator_update():
    batch, loss = example(), adversarial(learning_rate=0.0, gradient_penalty=10.0, feature_matching=2.0)
    gain = nn.Parameter(torch.tensor(0.5))
    gradients = []
    for updated in (False, True):
        gain.grad = None
        loss.steps = 1  # past its start
        output = Output(waveform=gain * batch.waveform.flip(1))
        if updated:
            loss.discriminator_backward(output, batch)
            loss.discriminator_update()
            assert gain.grad is None  # the discriminators' update does not reach the generator
        before = [None if p.grad is None else p.grad.clone() for p in loss.parameters()]
        sum(loss(output, batch).values()).backward()
        after = [p.grad for p in loss.parameters()]
        assert all(a is b is None or torch.equal(a, b) for a, b in zip(before, after))  # nor the other way
        gradients.append(gain.grad.clone())
    assert gradients[0] != 0 and torch.equal(*gradients)


def test_discriminators_separate_real_from_generated():
    batch, loss = example(16), adversarial(objective="hinge", learning_rate=0.02)
    output = Output(waveform=torch.randn(16, FRAMES * PER_FRAME) * 0.1 + 0.5)
    first = loss.discriminator_backward(output, batch)
    for _ in range(50):
        loss.discriminator_update()
        last = loss.discriminator_backward(output, batch)
    assert last["discriminator"] < 0.5 * first["discriminator"] and last["real"] > last["fake"]


def test_no_loss_before_the_start():
    batch, loss = example(), adversarial(start_after=2)
    output = Output(waveform=batch.waveform.flip(1))
    before = loss.discriminators["linear"].weight.clone()
    for _ in range(2):
        assert loss.discriminator_backward(output, batch) == {}
        loss.discriminator_update()
        assert loss(output, batch) == {}
    assert torch.equal(loss.discriminators["linear"].weight, before)
    assert set(loss.discriminator_backward(output, batch)) == {"discriminator", "real", "fake"}
    loss.discriminator_update()
    assert set(loss(output, batch)) == {"adversarial"}
    assert not torch.equal(loss.discriminators["linear"].weight, before)


def test_windows_lie_at_frame_borders_within_the_valid_frames():
    batch = example(2)
    batch.mask[1, 4:] = False
    ramp = torch.arange(FRAMES * PER_FRAME).float().expand(2, -1)
    loss = adversarial(window_frames=3)
    starts = set()
    for seed in range(40):
        torch.manual_seed(seed)
        first, second = loss._windows(batch, ramp, 2 * ramp)
        assert first.shape == (2, 3 * PER_FRAME) and torch.equal(second, 2 * first)
        assert (first[:, 0] % PER_FRAME == 0).all() and (first.diff() == 1).all()
        starts |= {(row, int(first[row, 0]) // PER_FRAME) for row in (0, 1)}
    assert starts == {(0, n) for n in range(4)} | {(1, n) for n in range(2)}


def test_state_resumes_exactly():
    batch, output = example(), Output(waveform=example(seed=1).waveform)
    settings = {"gradient_penalty": 10.0, "objective": "wasserstein"}
    whole, cut = adversarial(**settings), adversarial(**settings)
    torch.manual_seed(0)
    for _ in range(4):
        whole.discriminator_backward(output, batch)
        whole.discriminator_update()
    torch.manual_seed(0)
    for _ in range(2):
        cut.discriminator_backward(output, batch)
        cut.discriminator_update()
    again = adversarial(**settings)
    again.load_state_dict(cut.state_dict())
    for _ in range(2):
        again.discriminator_backward(output, batch)
        again.discriminator_update()
    assert (
        torch.equal(again.discriminators["linear"].weight, whole.discriminators["linear"].weight) and again.steps == 4
    )


def test_wrong_settings_are_refused():
    wrong = (
        {"objective": "hing"},
        {"discriminator_steps": 0},
        {"window_frames": 0},
        {"betas": [0.5]},
        {"betas": [1.5, 0.9]},
    )
    for settings in (*wrong, {"learning_rate": -1}, {"gradient_penalty": -1}, {"feature_matching": -1}):
        with pytest.raises(UserError):
            adversarial(**settings)
    for discriminators in ({}, {"keys": Linear(4)}, {"a.b": Linear(4)}):
        with pytest.raises(UserError):
            Adversarial(discriminators)
    with pytest.raises(
        UserError, match="discriminator 'w': feature_matching compares its layers; set its phase_shuffle to 0"
    ):
        Adversarial({"w": WaveformDiscriminator(channels=2)}, feature_matching=1.0)
    Adversarial({"w": WaveformDiscriminator(channels=2, phase_shuffle=0)}, feature_matching=1.0)


def test_the_contract_of_losses_with_discriminators(tiny, monkeypatch):
    batch = example()
    output = Output(waveform=batch.waveform.flip(1))
    check_loss(adversarial(gradient_penalty=10.0, feature_matching=1.0), output, batch)
    breaks = {
        "discriminator_backward.. changes discriminators.linear.weight": {
            "discriminator_backward": lambda self, o, b: self.discriminators["linear"].weight.data.add_(1)
        },
        "a second discriminator_backward.. does not add": {
            "discriminator_backward": lambda self, o, b: (
                self.optimiser.zero_grad() or Adversarial.discriminator_backward(self, o, b)
            )
        },
        "discriminator_update.. leaves gradients": {"discriminator_update": lambda self: None},
    }
    for message, methods in breaks.items():
        broken = type("Broken", (Adversarial,), methods)({"linear": Linear(FRAMES * PER_FRAME)})
        with pytest.raises(AssertionError, match=message):
            check_loss(broken, output, batch)
    monkeypatch.delattr(Adversarial, "discriminator_update")
    with pytest.raises(UserError, match="loss 'gan' has discriminator_backward.*, but no discriminator_update"):
        Losses(load_config(tiny, [f"losses.gan={{type: adversarial, weight: 1, discriminators: {DISCRIMINATORS}}}"]))


NO_MEL = ["losses.l1=null", "losses.spectral_convergence=null"]
DISCRIMINATORS = (
    "{waveform: {type: waveform, channels: 2, layers: 2}, power: {type: power, channels: [2, 2], blocks: 1}}"
)


def test_config_builds_discriminators_and_the_state_holds_them_alone(tiny):
    term = f"{{type: adversarial, weight: 2, discriminator_steps: 3, discriminators: {DISCRIMINATORS}}}"
    power = "losses.power={type: power, weight: 0}"
    losses = Losses(load_config(tiny, [*NO_MEL, power, f"losses.gan={term}"]))
    assert losses.discriminator_steps == 3
    state = losses.state()
    assert set(state) == {"gan"} and {n.split(".")[1] for n in state["gan"] if n != "_extra_state"} == {
        "waveform",
        "power",
    }
    waveform = torch.randn(2, 4 * 960)
    batch = Batch(["a", "b"], torch.ones(2, 4, dtype=torch.bool), torch.zeros(2, 0), waveform)
    output = Output(waveform=waveform.flip(1).requires_grad_())
    values = losses.discriminator_backward(output, batch)
    losses.discriminator_update()
    assert {"gan/discriminator", "gan/real", "gan/fake"} == set(values) and math.isfinite(values["gan/discriminator"])
    total, values = losses(output, batch)
    assert total.item() == pytest.approx(2 * values["gan/adversarial"].item())
    assert set(losses(output, batch, validate=True)[1]) == {"power"}  # discriminators are no measure of progress


def test_discriminators_get_detached_outputs(tiny, monkeypatch):
    losses = Losses(load_config(tiny))
    seen = []
    losses.discriminator_terms["plug-in"] = type(
        "Learner", (), {"discriminator_backward": lambda self, output, batch: seen.append(output) or {}}
    )()
    waveform = torch.zeros(1, 960, requires_grad=True)
    losses.discriminator_backward(Output(waveform=2 * waveform), example())
    assert not seen[0].waveform.requires_grad and seen[0].mel is None


def test_losses_that_do_not_go_together_are_refused(tiny):
    one = f"{{type: adversarial, weight: 1, discriminator_steps: 1, discriminators: {DISCRIMINATORS}}}"
    two = one.replace("discriminator_steps: 1", "discriminator_steps: 2")
    with pytest.raises(UserError, match="discriminators can't select the best checkpoint; add a loss such as log_mel"):
        Losses(load_config(tiny, [*NO_MEL, f"losses.gan={one}"]))
    with pytest.raises(UserError, match="give all the same discriminator_steps"):
        Losses(load_config(tiny, [f"losses.a={one}", f"losses.b={two}"]))


def test_critics_are_summed_as_in_the_paper_or_averaged():
    batch, output = example(), Output(waveform=example(seed=1).waveform.requires_grad_())
    weights = [torch.linspace(-1, 1, FRAMES * PER_FRAME), torch.linspace(0, 2, FRAMES * PER_FRAME)]
    found = {}
    for reduction in ("mean", "sum"):
        linear = {name: Linear(FRAMES * PER_FRAME) for name in "ab"}
        for part, weight in zip(linear.values(), weights, strict=True):
            part.weight.data = weight.clone()
        settings = {"objective": "wasserstein", "gradient_penalty": 10.0, "feature_matching": 3.0}
        loss = Adversarial(linear, reduction=reduction, **settings)
        loss.steps = 1  # past its start
        torch.manual_seed(0)
        found[reduction] = {**loss.discriminator_backward(output, batch), **loss(output, batch)}
    fake = sum((output.waveform @ weight).mean() for weight in weights)
    assert found["sum"]["adversarial"].item() == pytest.approx(-fake.item(), rel=1e-4)
    for name in ("adversarial", "feature_matching", "discriminator", "penalty"):
        assert found["sum"][name].item() == pytest.approx(2 * found["mean"][name].item(), rel=1e-4)
    with pytest.raises(UserError, match="reduction"):
        adversarial(reduction="max")


class Squares(nn.Module):
    """score = w x^2, of the squared samples that it sees: the gradient by the waveform would depend on it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, FRAMES * PER_FRAME))

    def represent(self, waveform):
        return waveform.square()[:, None]  # (B,1,N)

    def discriminate(self, squares):
        return [(squares.flatten(1) @ self.weight, [squares])]

    def forward(self, waveform):
        return self.discriminate(self.represent(waveform))


def test_the_penalty_is_on_what_a_discriminator_sees():
    discriminator, batch = Squares(), example()
    got = penalty(discriminator, batch.waveform, 3 * batch.waveform.flip(1))
    assert got.item() == pytest.approx((discriminator.weight.norm().item() - 1) ** 2, rel=1e-5)
    power = PowerDiscriminator(n_fft=16, hop=8, channels=[2, 2], blocks=1)
    waveform = batch.waveform
    for (score, _), (again, _) in zip(power(waveform), power.discriminate(power.represent(waveform)), strict=True):
        assert torch.equal(score, again)
    with pytest.raises(AssertionError, match="gives another score than the whole"):
        other = {"forward": lambda self, waveform: self.discriminate(2 * self.represent(waveform))}
        check_discriminator(type("Other", (Squares,), other)(), FRAMES * PER_FRAME)
    penalty(power, waveform, waveform.flip(1)).backward()
    assert power.stem.weight.grad.abs().sum() > 0


def test_the_discriminators_have_the_schedule_of_the_model(tiny):
    losses = Losses(
        load_config(tiny, [f"losses.gan={{type: adversarial, weight: 1, discriminators: {DISCRIMINATORS}}}"])
    )
    gan, waveform = losses.terms["gan"], torch.randn(2, 4 * 960)
    batch = Batch(["a", "b"], torch.ones(2, 4, dtype=torch.bool), torch.zeros(2, 0), waveform)
    for factor in (0.5, 0.0):
        before = [p.detach().clone() for p in gan.parameters()]
        losses.discriminator_backward(Output(waveform=waveform.flip(1)), batch)
        losses.discriminator_update(factor)
        assert gan.optimiser.param_groups[0]["lr"] == factor * gan.learning_rate
        assert any(not torch.equal(a, b) for a, b in zip(before, gan.parameters())) == (factor > 0)
