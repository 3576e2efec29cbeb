"""Critics under several processes: gradients are means, so that all keep the same critics."""

import os

import torch
import torch.multiprocessing as multiprocessing
from torch import nn

from v2skit.losses.adversarial import Adversarial
from v2skit.model import Batch, Output

SETTINGS = {"objective": "least_squares", "feature_matching": 1.0, "learning_rate": 1e-2}


class Critic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(32, generator=generator))

    def forward(self, waveform):
        return [(waveform @ self.weight, [waveform * self.weight])]


def clips(rows: slice) -> tuple[Output, Batch]:
    generator = torch.Generator().manual_seed(1)
    real, fake = torch.randn(2, 6, 32, generator=generator)
    mask = torch.ones(6, 4, dtype=torch.bool)
    batch = Batch([""] * 6, mask[rows], torch.zeros(6, 0)[rows], real[rows])
    return Output(waveform=fake[rows]), batch


def learn(rows: slice) -> torch.Tensor:
    loss = Adversarial({"critic": Critic()}, **SETTINGS)
    for _ in range(3):
        loss.learn(*clips(rows))
    return loss.critics["critic"].weight.detach()


def process(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    torch.save(learn(slice(3 * rank, 3 * rank + 3)), f"{folder}/{rank}.pt")
    torch.distributed.barrier()
    os._exit(0)  # gloo's threads now and then abort the process that takes them down; what is tested is done


def test_two_processes_learn_what_one_does_with_all_the_clips(tmp_path):
    multiprocessing.spawn(process, (str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert torch.equal(first, second)
    assert torch.allclose(first, learn(slice(None)), atol=1e-6)
    assert not torch.allclose(first, learn(slice(0, 3)), atol=1e-3)  # what one of them alone would have learnt
