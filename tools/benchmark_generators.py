"""Synthesis speed of every generator, as vocoder and as decoder, and of Griffin-Lim, in multiples of real time.

    tools/venv/bin/python tools/benchmark_generators.py
    tools/venv/bin/python tools/benchmark_generators.py --run egs/grid/exp/vocoder_istft/pretrain

All run in alternating rounds on the same mel, or on features of the same length; the table has medians. Vocoders are
timed as in synthesis, with weight normalisation folded, with and without mel correction. Speed does not depend on the
values of the weights: the generators are untrained; ``--run`` adds a trained vocoder.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from argument_types import positive_number, whole_number
from torch import nn

from v2skit.cli.failures import status_of
from v2skit.config.features import Clock, Mel
from v2skit.models.build import for_inference
from v2skit.models.decoders.hifigan import HifiGan
from v2skit.models.decoders.istft import Istft
from v2skit.models.decoders.wavegan import WaveGan
from v2skit.models.vocoders.correction import ROUNDS, MelCorrection
from v2skit.models.vocoders.griffin_lim import GriffinLim
from v2skit.models.vocoders.trained import Trained

CLOCK, MEL = Clock(), Mel()
FEATURES = 256
"""Dimension of the encoder's features, the input of the decoders."""
GENERATORS: dict[str, Callable[[int, int], nn.Module]] = {
    "istft, dim 256, 6 blocks": lambda dim, step: Istft(dim, step, MEL, dim=256, blocks=6),
    "istft, dim 512, 8 blocks": lambda dim, step: Istft(dim, step, MEL),
    "wavegan, 128 channels": lambda dim, step: WaveGan(dim, step, channels=128),
    "wavegan, 512 channels": WaveGan,
    "hifigan, 128 channels (V2)": lambda dim, step: HifiGan(dim, step, channels=128),
    "hifigan, 512 channels (V1)": HifiGan,
}


class Corrected(nn.Module):
    """A generator as a trained vocoder uses it: its output's mel is corrected."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator, self.correction = generator, MelCorrection(CLOCK, MEL, ROUNDS)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        return self.correction(self.generator(mel), mel)


def subjects(run: Path | None, frames: int) -> list[tuple[str, nn.Module, torch.Tensor]]:
    """(label, module in evaluation mode, its input) of everything that is measured."""
    mel = torch.randn(1, frames * MEL.per_frame(CLOCK), MEL.n_mels) - 5
    features = torch.randn(1, frames, FEATURES)
    found = [("griffin_lim, 64 iterations", GriffinLim(CLOCK, MEL), mel)]
    if run:
        found.append((f"trained: {run}", Trained(CLOCK, MEL, str(run)), mel))
    for name, make in GENERATORS.items():
        vocoder, decoder = make(MEL.n_mels, MEL.hop), make(FEATURES, CLOCK.samples_per_frame)
        found.append((f"{name}, vocoder", Corrected(vocoder), mel))
        found.append((f"{name}, vocoder uncorrected", vocoder, mel))
        found.append((f"{name}, decoder", decoder, features))
    return [(label, for_inference(module), signal) for label, module, signal in found]


@torch.inference_mode()
def medians(work: list[tuple[str, nn.Module, torch.Tensor]], repeats: int) -> list[float]:
    """Median seconds of each, over alternating rounds after a warm-up round."""
    seconds: list[list[float]] = [[] for _ in work]
    for _ in range(repeats + 1):
        for times, (_, module, signal) in zip(seconds, work, strict=True):
            start = time.perf_counter()
            module(signal)
            times.append(time.perf_counter() - start)
    return [statistics.median(times[1:]) for times in seconds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=whole_number, default=1)
    parser.add_argument("--seconds", type=positive_number, default=3.0, help="duration of the audio")
    parser.add_argument("--repeats", type=whole_number, default=5)
    parser.add_argument("--run", type=Path, help="a trained vocoder's run or checkpoint, with the default mel")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    frames = max(1, round(args.seconds * CLOCK.fps))
    work = subjects(args.run, frames)
    sound = f"{frames / CLOCK.fps:g} s of audio at {CLOCK.sample_rate} Hz"
    print(f"{sound}, float32; {args.threads} threads; torch {torch.__version__}")
    print(f"{'':48}{'M weights':>10}{'seconds':>9}{'x real time':>13}{'x griffin_lim':>15}")
    times = medians(work, args.repeats)
    for (label, module, _), seconds in zip(work, times, strict=True):
        weights = sum(p.numel() for p in module.parameters()) / 1e6
        print(f"{label:48}{weights:10.2f}{seconds:9.3f}{frames / CLOCK.fps / seconds:13.1f}{times[0] / seconds:15.1f}")


if __name__ == "__main__":
    sys.exit(status_of(main, "benchmark_generators"))
