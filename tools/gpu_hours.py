"""Hours that the training runs of configs need on a GPU, from the floating-point operations of a step.

    tools/venv/bin/python tools/gpu_hours.py egs/grid/conf/mel_s_seen4.yaml egs/lrs3/conf/mel_s.yaml --tflops 30 60

No GPU is needed: the floating-point operations of matrix products and convolutions, forward and backward, a
multiply-add being two, are counted in a training step on one segment, and multiplied by the segments of a batch. A step
takes as long as they do at ``--tflops``, what a GPU reaches in training, in 10^12 a second, not its peak; or as the
launches of its kernels by the CPU, ``--launch_us`` each, where that is longer. Nothing is frozen; time for loading and
validation is not included.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from v2skit.cli.failures import status_of
from v2skit.config.load import load_config
from v2skit.config.schema import Config, Training
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.losses.total import Losses
from v2skit.models.build import build_model
from v2skit.models.model import Model
from v2skit.signal.mel import MelSpectrogram
from v2skit.training.distributed import Processes, RollCall
from v2skit.training.optimiser import Average, Optimiser
from v2skit.training.step import TrainingStep

WHOLE_CLIP_SECONDS = 3
"""Of clips that are not cut to segments."""


class Cost(NamedTuple):
    """Of a training step: floating-point operations, and kernels."""

    operations: int
    kernels: int

    def seconds(self, segments: int, accumulate: int, tflops: float, launch_us: float) -> float:
        """Of an optimiser step of ``accumulate`` batches of so many segments; ``self`` is of one segment."""
        return accumulate * max(segments * self.operations / tflops / 1e12, self.kernels * launch_us / 1e6)


class KernelCounter(TorchDispatchMode):
    """Counts the operations that compute, each of which launches a kernel at least; views launch none."""

    kernels = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.kernels += not function.is_view
        return function(*args, **(kwargs or {}))


def runs(config: Config) -> Iterator[tuple[str, str, Training]]:
    """Name, task and settings of each training run of a config."""
    if config.pretrained is None:
        yield "pretrain", "a2a", config.pretrain
    yield "finetune", "v2a", config.finetune
    if config.scratch:
        yield "scratch", "v2a", config.finetune


def convolution_backward(
    gradient: Sequence[int], x: Sequence[int], weight: Sequence[int], *others: Any, out_shape: Any = None
) -> int:
    """Operations of the gradients of a convolution, from shapes: each takes as many as the convolution.

    Not torch's formula, which takes depthwise convolutions for full ones in the gradient of their weights.
    """
    *_, transposed, _, _, needed = others
    positions = (x if transposed else gradient)[2:]
    return sum(needed[:2]) * 2 * gradient[0] * math.prod(positions) * math.prod(weight)


def segment(config: Config, model: Model, frames: int) -> Batch:
    """A batch of one segment of noise."""
    side, voices = config.augmentation.crop, getattr(model.speaker, "voices", ())
    voice = torch.from_numpy(model.speaker.voice(voices[0] if voices else None))
    mask, waveform = torch.ones(1, frames, dtype=torch.bool), torch.randn(1, frames * config.clock.samples_per_frame)
    video = torch.randn(1, frames, 1, side, side) if "video" in model.inputs else None
    return Batch(["noise"], mask, voice[None], waveform, video=video).with_mel(MelSpectrogram(config.clock, config.mel))


def cost_of(config: Config, task: str, settings: Training, frames: int) -> Cost:
    """Of a training step on one segment."""
    model, losses = build_model(config, task, ["speaker"]), Losses(config)
    losses.check(model, ())
    single = dataclasses.replace(settings, accumulate=1)
    batches = itertools.repeat(segment(config, model, frames))
    optimiser, average = Optimiser(model, single, {}), Average(model, settings.ema_decay)
    step = TrainingStep(model, losses, optimiser, average, batches, None, config.seed, RollCall(Processes()))
    formulas = {torch.ops.aten.convolution_backward: convolution_backward}
    counter, kernels = FlopCounterMode(display=False, custom_mapping=formulas), KernelCounter()
    with sdpa_kernel(SDPBackend.MATH), counter, kernels:
        step.run(0, logged=False)
    return Cost(counter.get_total_flops(), kernels.kernels)


def main() -> None:
    """Print a row of the table for each training run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", type=Path, nargs="+")
    parser.add_argument("--tflops", type=float, nargs="+", default=[30.0, 60.0], help="of the GPU in training")
    parser.add_argument("--launch_us", type=float, default=10.0, help="of a kernel, with PyTorch's work for it")
    options = parser.parse_args()
    if min(options.tflops) <= 0 or options.launch_us < 0:
        parser.error("--tflops: give numbers above 0; --launch_us: a number from 0")
    torch.set_num_threads(1)
    hours = " | ".join(f"hours at {tflops:g} TFLOP/s" for tflops in options.tflops)
    print(f"| config | run | steps | frames a step | TFLOP a step | kernels a batch | {hours} |")
    print(f"|{' --- |' * (6 + len(options.tflops))}")
    for path in options.configs:
        config = load_config(path)
        if config.trains != "v2s" or config.targets:
            raise UserError(f"{path}: only models without targets, and no vocoders, are counted; leave it out")
        costs: dict[str, Cost] = {}
        for name, task, settings in runs(config):
            frames = settings.segment_frames or WHOLE_CLIP_SECONDS * config.clock.fps
            if task not in costs:
                costs[task] = cost_of(config, task, settings, frames)
            cost, segments = costs[task], max(1, settings.batch_frames // frames)
            work = settings.accumulate * segments
            seconds = [cost.seconds(segments, settings.accumulate, t, options.launch_us) for t in options.tflops]
            cells = (
                path, name, settings.steps, work * frames, f"{work * cost.operations / 1e12:.2f}", cost.kernels,
                *(f"{settings.steps * each / 3600:.1f}" for each in seconds),
            )  # fmt: skip
            print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    sys.exit(status_of(main, "gpu_hours"))
