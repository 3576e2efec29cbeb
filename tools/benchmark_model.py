"""Speed of the paper-sized model against a plain implementation of the same layers, with the same weights.

    tools/venv/bin/python tools/benchmark_model.py --threads 2

The plain one has a 3-D convolution, the default memory layout, attention as separate operations, and computes padded
frames. Both run in alternating rounds; the table has medians, and the ratio of the plain one's time to ours.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from argument_types import whole_number
from torch import Tensor, nn

from v2skit.cli.failures import status_of
from v2skit.config.features import Clock, Mel
from v2skit.models.decoders.mel_linear import MelLinear
from v2skit.models.encoders.conformer import Conformer
from v2skit.models.encoders.relative_attention import RelativeAttention, shift_to_keys
from v2skit.models.frontends.resnet3d import ResNet3d
from v2skit.training.optimiser import cpu_has_bfloat16


class Chain(nn.Module):
    """Frontend, Conformer S and mel decoder: (B, T, 1, H, W), (B, T) -> (B, F, M)."""

    def __init__(self, frontend: nn.Module, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.frontend, self.encoder, self.decoder = frontend, encoder, decoder

    def forward(self, video: Tensor, mask: Tensor) -> Tensor:
        return self.decoder(self.encoder(self.frontend(video, mask), mask), mask)


class PlainResNet3d(nn.Module):
    """The weights of a ResNet3d behind a 3-D convolution, on every frame, in the default memory layout."""

    def __init__(self, ours: ResNet3d) -> None:
        super().__init__()
        weight = ours.stem[0].weight.detach()[:, None].contiguous()  # (C, 5, 7, 7) -> (C, 1, 5, 7, 7)
        self.conv = nn.Conv3d(1, len(weight), (5, 7, 7), stride=(1, 2, 2), padding=(2, 3, 3), bias=False)
        self.conv.weight.data = weight
        self.norm = nn.BatchNorm3d(len(weight))
        self.pool = nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
        self.stages = ResNet3d().stages
        self.stages.load_state_dict(ours.stages.state_dict())

    def forward(self, video: Tensor, mask: Tensor) -> Tensor:
        x = self.pool(F.silu(self.norm(self.conv(video.transpose(1, 2)))))  # (B, C, T, H, W)
        x = x.transpose(1, 2).flatten(0, 1).contiguous()
        return self.stages(x).mean((2, 3)).unflatten(0, mask.shape)


class PlainAttention(RelativeAttention):
    """Relative attention as separate operations: scores, softmax, dropout, weighted sum."""

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        query, key, value = (self._split(layer(x)) for layer in (self.query, self.key, self.value))
        position = self._split(self.position(positions))
        scores = (query + self.content_bias) @ key.transpose(-2, -1)
        scores = scores + shift_to_keys((query + self.position_bias) @ position.transpose(-2, -1))
        scores = (scores / math.sqrt(query.shape[-1])).masked_fill(~mask[:, None, None], -1e4)
        weights = F.dropout(scores.softmax(-1), self.dropout, self.training)
        return self.out((weights @ value).transpose(1, 2).flatten(2))


def models(size: str) -> tuple[Chain, Chain]:
    """Ours and the plain one, with the same weights."""
    clock, mel = Clock(24000, 20), Mel(hop=300)
    chains = []
    for _ in range(2):
        encoder = Conformer(512, size=size)
        chains.append(Chain(ResNet3d(), encoder, MelLinear(encoder.out_dim, clock, mel)))
    ours, plain = chains
    plain.load_state_dict(ours.state_dict())
    plain.frontend = PlainResNet3d(ours.frontend)
    for block in plain.encoder.blocks:
        block.attention.__class__ = PlainAttention
    return ours, plain


def train_step(model: Chain, video: Tensor, mask: Tensor, bf16: bool) -> Callable[[], None]:
    """A forward and backward pass from the mean magnitude of the output, and an AdamW step."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.0)

    def step() -> None:
        model.train()
        with torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext():
            output = model(video, mask)
        output.float().abs().mean().backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def inference(model: Chain, video: Tensor, mask: Tensor, bf16: bool) -> Callable[[], None]:
    """A forward pass in evaluation mode."""

    def step() -> None:
        model.eval()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext():
            model(video, mask)

    return step


def medians(steps: list[Callable[[], None]], repeats: int) -> list[float]:
    """Median seconds of each step, over alternating rounds after a warm-up round."""
    seconds: list[list[float]] = [[] for _ in steps]
    for _ in range(repeats + 1):
        for times, step in zip(seconds, steps):
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
    return [statistics.median(times[1:]) for times in seconds]


def check_equal(ours: Chain, plain: Chain, video: Tensor) -> None:
    """Check that both have the same output for clips without padding.

    Raises:
        AssertionError: they differ.
    """
    mask = torch.ones(video.shape[:2], dtype=torch.bool)
    with torch.inference_mode():
        difference = (ours.eval()(video, mask) - plain.eval()(video, mask)).abs().max().item()
    assert difference < 1e-3, f"the two models differ by {difference:.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=whole_number, default=2)
    parser.add_argument("--size", default="s", choices=("s", "m", "l"), help="of the conformer")
    parser.add_argument("--clips", type=whole_number, default=4)
    parser.add_argument("--frames", type=whole_number, default=50, help="of the longest clip")
    parser.add_argument("--repeats", type=whole_number, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    ours, plain = models(args.size)
    video = torch.randn(args.clips, args.frames, 1, 88, 88)
    check_equal(ours, plain, video[:1, :8])
    has_bf16 = cpu_has_bfloat16()  # without it, autocast is many times slower
    print(f"{args.clips} clips of up to {args.frames} frames, 88x88; {args.threads} threads; torch {torch.__version__}")
    print(f"{'':44}{'plain s':>9}{'ours s':>9}{'ratio':>7}" + f"{'bf16 s':>9}{'ratio':>7}" * has_bf16)
    shortest = {"no padding": args.frames, "clips from half the length": args.frames // 2}
    for what, make in (("training step", train_step), ("inference", inference)):
        for padding, least in shortest.items():
            lengths = torch.linspace(args.frames, least, args.clips).long()
            mask = torch.arange(args.frames) < lengths[:, None]
            steps = [make(plain, video, mask, False), make(ours, video, mask, False)]
            if has_bf16:
                steps.append(make(ours, video, mask, True))
            slow, fast, *bf16 = medians(steps, args.repeats)
            row = f"{what + ', ' + padding:44}{slow:9.3f}{fast:9.3f}{slow / fast:7.2f}"
            print(row + "".join(f"{seconds:9.3f}{fast / seconds:7.2f}" for seconds in bf16), flush=True)
    bf16_note = ", then ours / ours under bf16 autocast" if has_bf16 else "; this CPU has no bf16 arithmetic"
    print(f"ratio: plain / ours{bf16_note}")


if __name__ == "__main__":
    sys.exit(status_of(main, "benchmark_model"))
