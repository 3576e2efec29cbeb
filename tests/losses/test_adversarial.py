"""The adversarial loss: its objectives, its penalty, its state, and that critic and generator stay apart."""

import math

import pytest
import torch
from torch import nn

from v2skit.config.load import load_config
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.losses.adversarial import OBJECTIVES, Adversarial, penalty
from v2skit.losses.discriminators.waveform import WaveformCritic
from v2skit.losses.total import Losses
from v2skit.models.model import Output
from v2skit.testing import check_loss

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


def test_penalty_of_a_linear_critic_has_its_closed_form():
    critic, batch = Linear(FRAMES * PER_FRAME), example()
    want = (critic.weight.norm() - 1) ** 2
    got = penalty(critic, batch.waveform, torch.zeros_like(batch.waveform))
    assert torch.allclose(got, want, rtol=1e-5)
    (slope,) = torch.autograd.grad(got, critic.weight)
    assert torch.allclose(slope, 2 * (1 - 1 / critic.weight.norm()) * critic.weight, rtol=1e-4)


@pytest.mark.parametrize(
    ("objective", "critic", "generator"),
    [("hinge", 0.5 + 3.0, -2.0), ("least_squares", 0.25 + 4.0, 1.0), ("wasserstein", 1.5, -2.0)],
)
def test_objectives(objective, critic, generator):
    real, fake = torch.tensor([0.5]), torch.tensor([2.0])
    of_critic, of_generator = OBJECTIVES[objective]
    assert of_critic(real, fake).item() == pytest.approx(critic)
    assert of_generator(fake).item() == pytest.approx(generator)


def test_generator_gradient_is_unaffected_by_the_critic_update():
    batch, loss = example(), adversarial(learning_rate=0.0, gradient_penalty=10.0, feature_matching=2.0)
    gain = nn.Parameter(torch.tensor(0.5))
    gradients = []
    for learns in (False, True):
        gain.grad = None
        loss.learnt = 1  # past its start
        output = Output(waveform=gain * batch.waveform.flip(1))
        if learns:
            loss.learn(output, batch)
            loss.update()
            assert gain.grad is None  # the critics' update does not reach the generator
        before = [None if p.grad is None else p.grad.clone() for p in loss.parameters()]
        sum(loss(output, batch).values()).backward()
        after = [p.grad for p in loss.parameters()]
        assert all(a is b is None or torch.equal(a, b) for a, b in zip(before, after))  # nor the other way
        gradients.append(gain.grad.clone())
    assert gradients[0] != 0 and torch.equal(*gradients)


def test_critics_learn_to_tell_the_two_apart():
    batch, loss = example(16), adversarial(objective="hinge", learning_rate=0.02)
    output = Output(waveform=torch.randn(16, FRAMES * PER_FRAME) * 0.1 + 0.5)
    first = loss.learn(output, batch)
    for _ in range(50):
        loss.update()
        last = loss.learn(output, batch)
    assert last["critic"] < 0.5 * first["critic"] and last["real"] > last["fake"]


def test_nothing_before_the_start():
    batch, loss = example(), adversarial(start_after=2)
    output = Output(waveform=batch.waveform.flip(1))
    before = loss.critics["linear"].weight.clone()
    for _ in range(2):
        assert loss.learn(output, batch) == {}
        loss.update()
        assert loss(output, batch) == {}
    assert torch.equal(loss.critics["linear"].weight, before)
    assert set(loss.learn(output, batch)) == {"critic", "real", "fake"}
    loss.update()
    assert set(loss(output, batch)) == {"adversarial"}
    assert not torch.equal(loss.critics["linear"].weight, before)


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


def test_state_goes_on_exactly():
    batch, output = example(), Output(waveform=example(seed=1).waveform)
    settings = {"gradient_penalty": 10.0, "objective": "wasserstein"}
    whole, cut = adversarial(**settings), adversarial(**settings)
    torch.manual_seed(0)
    for _ in range(4):
        whole.learn(output, batch)
        whole.update()
    torch.manual_seed(0)
    for _ in range(2):
        cut.learn(output, batch)
        cut.update()
    again = adversarial(**settings)
    again.load_state_dict(cut.state_dict())
    for _ in range(2):
        again.learn(output, batch)
        again.update()
    assert torch.equal(again.critics["linear"].weight, whole.critics["linear"].weight) and again.learnt == 4


def test_wrong_settings_are_refused():
    wrong = ({"objective": "hing"}, {"learn_steps": 0}, {"window_frames": 0}, {"betas": [0.5]}, {"betas": [1.5, 0.9]})
    for settings in (*wrong, {"learning_rate": -1}, {"gradient_penalty": -1}, {"feature_matching": -1}):
        with pytest.raises(UserError):
            adversarial(**settings)
    for critics in ({}, {"keys": Linear(4)}, {"a.b": Linear(4)}):
        with pytest.raises(UserError):
            Adversarial(critics)
    with pytest.raises(UserError, match="critic 'w': feature_matching compares its layers; set its phase_shuffle to 0"):
        Adversarial({"w": WaveformCritic(channels=2)}, feature_matching=1.0)
    Adversarial({"w": WaveformCritic(channels=2, phase_shuffle=0)}, feature_matching=1.0)


def test_the_contract_of_losses_that_learn(tiny, monkeypatch):
    batch = example()
    output = Output(waveform=batch.waveform.flip(1))
    check_loss(adversarial(gradient_penalty=10.0, feature_matching=1.0), output, batch)
    breaks = {
        "learn.. moves critics.linear.weight": {"learn": lambda self, o, b: self.critics["linear"].weight.data.add_(1)},
        "a second learn.. does not add": {
            "learn": lambda self, o, b: self.optimiser.zero_grad() or Adversarial.learn(self, o, b)
        },
        "update.. leaves gradients": {"update": lambda self: None},
    }
    for message, methods in breaks.items():
        broken = type("Broken", (Adversarial,), methods)({"linear": Linear(FRAMES * PER_FRAME)})
        with pytest.raises(AssertionError, match=message):
            check_loss(broken, output, batch)
    monkeypatch.delattr(Adversarial, "update")
    with pytest.raises(UserError, match="loss 'gan': learn.. collects gradients, .* it has no update"):
        Losses(load_config(tiny, [f"losses.gan={{type: adversarial, weight: 1, critics: {CRITICS}}}"]))


NO_MEL = ["losses.l1=null", "losses.spectral_convergence=null"]
CRITICS = "{waveform: {type: waveform, channels: 2, layers: 2}, power: {type: power, channels: [2, 2], blocks: 1}}"


def test_config_builds_critics_and_the_state_holds_them_alone(tiny):
    term = f"{{type: adversarial, weight: 2, learn_steps: 3, critics: {CRITICS}}}"
    power = "losses.power={type: power, weight: 0}"
    losses = Losses(load_config(tiny, [*NO_MEL, power, f"losses.gan={term}"]))
    assert losses.learn_steps == 3
    state = losses.state()
    assert set(state) == {"gan"} and {n.split(".")[1] for n in state["gan"] if n != "_extra_state"} == {
        "waveform",
        "power",
    }
    waveform = torch.randn(2, 4 * 960)
    batch = Batch(["a", "b"], torch.ones(2, 4, dtype=torch.bool), torch.zeros(2, 0), waveform)
    output = Output(waveform=waveform.flip(1).requires_grad_())
    learnt = losses.learn(output, batch)
    losses.update()
    assert {"gan/critic", "gan/real", "gan/fake"} == set(learnt) and math.isfinite(learnt["gan/critic"])
    total, values = losses(output, batch)
    assert total.item() == pytest.approx(2 * values["gan/adversarial"].item())
    assert set(losses(output, batch, validate=True)[1]) == {"power"}  # critics are no measure of progress


def test_what_learns_gets_no_graph(tiny, monkeypatch):
    losses = Losses(load_config(tiny))
    seen = []
    losses.learners["plug-in"] = type("Learner", (), {"learn": lambda self, output, batch: seen.append(output) or {}})()
    waveform = torch.zeros(1, 960, requires_grad=True)
    losses.learn(Output(waveform=2 * waveform), example())
    assert not seen[0].waveform.requires_grad and seen[0].mel is None


def test_losses_that_do_not_go_together_are_refused(tiny):
    one = f"{{type: adversarial, weight: 1, learn_steps: 1, critics: {CRITICS}}}"
    two = one.replace("learn_steps: 1", "learn_steps: 2")
    with pytest.raises(UserError, match="critics can't tell the best checkpoint; add a loss such as log_mel"):
        Losses(load_config(tiny, [*NO_MEL, f"losses.gan={one}"]))
    with pytest.raises(UserError, match="give all the same learn_steps"):
        Losses(load_config(tiny, [f"losses.a={one}", f"losses.b={two}"]))
