"""Two processes (gloo, CPU) train as one: the same losses, weights and utterances, even if their number changes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
import yaml
from torch import multiprocessing

from tests.conftest import TINY, make_d_vectors, make_data
from tests.training.trainers import trainer_of
from v2skit.config.load import load_config
from v2skit.config.schema import Config
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.build import build_model
from v2skit.recipes.verify_resume import _tensors
from v2skit.training.accumulation import Gradients
from v2skit.training.distributed import Processes, RollCall, check_shares
from v2skit.training.trainer import Interrupted, Trainer

STEPS, CLIPS = 6, 14
TRAINING = [
    f"finetune.steps={STEPS}", "finetune.validate_every=3", "finetune.batch_frames=36",
    "finetune.precision=float32", "networks.encoder.dropout=0.2",
]  # fmt: skip
DISCRIMINATORS = (
    "{waveform: {type: waveform, channels: 2, layers: 3}, power: {type: power, channels: [2, 2], blocks: 1}}"
)
RAW = [
    "finetune.accumulate=2",
    "networks.decoder={type: wavegan, channels: 8}", "losses.l1=null", "losses.spectral_convergence=null",
    "losses.power={type: power, weight: 1}",
    "losses.adversarial={type: adversarial, weight: 0.1, objective: wasserstein, gradient_penalty: 10, "
    f"discriminator_steps: 2, start_after: 2, window_frames: 6, discriminators: {DISCRIMINATORS}}}",
]  # fmt: skip
FROZEN = "parts.encoder={frozen: all, frozen_steps: 3}"
CORRUPTED = [
    *(name.replace("finetune.", "pretrain.") for name in TRAINING), "pretrain.accumulate=2",
    "parts.speaker.frozen=weights",
    "pretrain.corruption={time_share: 0.3, band_share: 0.2, snr_db: [0, 20], bottleneck_dim: 3}",
]  # fmt: skip
FLOW = [
    "finetune.accumulate=4", "finetune.batch_frames=24", "losses.l1.weight=0", "losses.spectral_convergence=null",
    "networks.decoder={type: flow_mel, dim: 8, blocks: 1, steps: 2}",
    "networks.speaker={type: d_vector, dropout: 0.5}", "finetune.best_checkpoint_metric=decoder/flow",
]  # fmt: skip
FAMILIES = {
    "mel": ["finetune.accumulate=4", "finetune.batch_frames=24", FROZEN],
    "raw": RAW,
    "corrupted": CORRUPTED,
    "flow": FLOW,
}
"""Name -> settings; with a corruption it is A2A that is trained, otherwise V2A."""


def task_of(config: Config) -> str:
    return "a2a" if config.pretrain.corruption else "v2a"


class Recorded:
    """Batches of a trainer: notes the utterances of each step in ``<run>-ids.jsonl``; asks to stop after a step."""

    def __init__(self, trainer: Trainer, stop: int) -> None:
        self.trainer, self.stop, self.loader = trainer, stop, trainer.batches

    def __iter__(self):
        trainer, processes = self.trainer, self.trainer.processes
        for batch in self.loader:
            with Path(f"{trainer.run}-ids.jsonl").open("a") as file:  # a line is written at once
                file.write(json.dumps([trainer.step, sorted(batch.ids)]) + "\n")
            trainer.roll_call.signalled |= processes.rank == processes.world - 1 and trainer.step + 1 == self.stop
            yield batch

    def __getattr__(self, name):
        return getattr(self.loader, name)


def train(folder: Path, name: str, processes: Processes, stop: int = STEPS) -> None:
    """Train each family's model, or resume it, up to a step."""
    torch.set_num_threads(1)
    for family, sets in FAMILIES.items():
        config: Config = load_config(folder / "tiny.yaml", [*TRAINING, *sets])
        run = folder / f"{name}-{family}"
        trainer = trainer_of(config, folder, run, processes, task=task_of(config))
        trainer.batches = Recorded(trainer, stop)
        processes.gather(None, "at the start")
        try:
            trainer.train()
        except Interrupted:
            assert trainer.step == stop < STEPS


def process(rank: int, folder: Path, rendezvous: str, runs: list[tuple[str, int]]) -> None:
    torch.distributed.init_process_group("gloo", f"file://{folder}/{rendezvous}", rank=rank, world_size=2)
    processes = Processes(rank, 2, 60.0, torch.distributed.new_group(backend="gloo"))
    for name, stop in runs:
        train(folder, name, processes, stop)
    if rendezvous == "second":
        check_exchanges(processes)
    processes.gather(None, "at the end")
    os._exit(0)  # gloo's threads now and then abort the process that takes them down; what is tested is done


def check_exchanges(processes: Processes) -> None:
    """Exchanges that these trainings do not need."""
    rank = processes.rank
    given, missing, never = (torch.nn.Parameter(torch.zeros(2)) for _ in range(3))
    given.grad = torch.full((2,), float(rank + 1))
    if rank:
        missing.grad = torch.ones(2)
    gradients = Gradients([given, missing, never], processes, 3)
    gradients.add()
    gradients.average(processes.gather(gradients.present(), ""))
    assert given.grad.tolist() == [1, 1] and never.grad is None
    assert torch.allclose(missing.grad, torch.full((2,), 1 / 3))
    module = torch.nn.BatchNorm1d(2)
    module.running_mean.fill_(rank)
    processes.broadcast(module)
    assert module.running_mean.tolist() == [0, 0]
    assert processes.gather({"rank": rank}, "") == [{"rank": 0}, {"rank": 1}]
    roll_call = RollCall(processes)
    for signalled in (False, True):
        roll_call.signalled = signalled and rank == 1
        assert roll_call.gather(rank, "") == [0, 1] and roll_call.stop == signalled


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Runs ``one`` and ``two``, named after their processes, and ``cut``, which had two, then one, then two."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY, sort_keys=False))
    make_data(folder / "train", CLIPS)
    make_data(folder / "valid", 5, seed=1)
    for name in ("train", "valid"):
        make_d_vectors(folder / name)
    train(folder, "one", Processes())
    multiprocessing.spawn(process, (folder, "first", [("two", STEPS), ("cut", 2)]), nprocs=2)
    train(folder, "cut", Processes(), 4)
    multiprocessing.spawn(process, (folder, "second", [("cut", STEPS)]), nprocs=2)
    return folder


def losses(run: Path) -> list[dict]:
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds_per_step", "waiting_share")} for row in rows]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["two", "cut"])
def test_losses_and_weights_are_those_of_one_process(runs, name, family):
    want, got = losses(runs / f"one-{family}"), losses(runs / f"{name}-{family}")
    assert [row["step"] for row in want] == [1, 2, 3, 3, 4, 5, 6, 6]
    assert len(want) == len(got) and (family != "raw" or any("adversarial/discriminator" in row for row in want))
    for ours, theirs in zip(want, got, strict=True):
        assert ours.pop("kind") == theirs.pop("kind") and ours == pytest.approx(theirs, rel=1e-5, abs=1e-5)
    saved = [checkpoint.load(checkpoint.latest(runs / f"{n}-{family}"), optimiser=True) for n in ("one", name)]
    assert saved[0].meta.position == saved[1].meta.position
    config = load_config(runs / "tiny.yaml", [*TRAINING, *FAMILIES[family]])
    start = build_model(config, task_of(config), ["s0", "s1"])
    assert any("running" in key for key in saved[0].weights)
    for part in ("weights", "averaged", "optimiser"):
        ours, theirs = (_tensors(getattr(one, part), part) for one in saved)
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            assert torch.allclose(value.double(), theirs[key].double(), rtol=1e-5, atol=1e-5), key
    moved = [key for key, value in start.state_dict().items() if not torch.equal(value, saved[0].weights[key])]
    assert {key.split(".")[0] for key in moved} >= {"frontend", "encoder", "decoder"}
    assert (family == "corrupted") != any(key.startswith("speaker.") for key in moved)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_utterance_of_an_epoch_is_seen_once_on_any_number_of_processes(runs, family):
    seen = [
        sorted(json.loads(line) for line in (runs / f"{name}-{family}-ids.jsonl").read_text().splitlines())
        for name in ("one", "two", "cut")
    ]
    assert seen[0] == seen[1] == seen[2]
    every = [name for _, ids in seen[0] for name in ids]
    assert len(every) > 2 * CLIPS and len(set(every)) == CLIPS
    ordered = [json.loads(line)[1] for line in (runs / f"one-{family}-ids.jsonl").read_text().splitlines()]
    epoch = [name for ids in ordered for name in ids][:CLIPS]
    assert len(set(epoch)) == CLIPS


def test_a_single_process_exchanges_nothing():
    processes, parameter = Processes(), torch.nn.Parameter(torch.zeros(2))
    for batches in (2, 4):
        gradients, parameter.grad = Gradients([parameter], processes, batches), torch.ones(2)
        gradients.add()
        gradients.average([gradients.present()])
        assert parameter.grad.tolist() == [1 / batches] * 2 and processes.first
    assert processes.gather("payload", "") == ["payload"]


def test_shares_that_are_not_even_are_refused():
    check_shares(4, 2)
    with pytest.raises(UserError, match="5 batches can't be shared evenly by 3 processes; set accumulate to 3 or 6"):
        check_shares(5, 3)
    with pytest.raises(UserError, match=r"set accumulate to 2 \(--set"):
        check_shares(1, 2)
