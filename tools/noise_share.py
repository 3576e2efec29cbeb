"""How much of the losses of log magnitudes is background noise, with and without a floor relative to the clip.

    tools/venv/bin/python tools/noise_share.py --clips 20 /data/grid/s1/*.mpg

Predicted is Griffin-Lim's resynthesis of the clip's mel. Noise are the bins of the STFT of the loss ``power`` in which
the clip is below the level of white noise at -60 dB of full scale. The table has their share of the loss for several
``range_db``, and the loss, averaged over clips.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from v2skit.cli.failures import status_of
from v2skit.config.features import Clock, Mel
from v2skit.data.batch import Batch
from v2skit.losses.power import Power, log_magnitude_difference, valid_power
from v2skit.media.audio_stream import decode_audio
from v2skit.models.output import Output
from v2skit.models.vocoders.griffin_lim import GriffinLim
from v2skit.signal.mel import MelSpectrogram

NOISE_POWER = 1e-6
RANGES: tuple[float | None, ...] = (None, 80.0, 70.0, 60.0, 50.0, 40.0)


@torch.no_grad()
def shares(waveform: torch.Tensor, clock: Clock, mel: Mel) -> list[tuple[float, float]]:
    """Waveform (1,N) -> for each of RANGES the share of noise in the loss, and the loss; last its share of bins, 0."""
    resynthesised = GriffinLim(clock=clock, mel=mel, iterations=16)(MelSpectrogram(clock, mel)(waveform))
    mask = torch.ones(1, waveform.shape[1] // clock.samples_per_frame, dtype=torch.bool)
    loss = Power()
    spectra = valid_power(loss.stft, Output(waveform=resynthesised), Batch(["clip"], mask, torch.zeros(1, 0), waveform))
    noise = spectra[1] < NOISE_POWER * loss.stft.window.square().sum()
    found = []
    for range_db in RANGES:
        difference = log_magnitude_difference(*spectra, loss.floor, range_db)
        found.append((float(difference[noise].sum() / difference.sum()), float(difference.mean())))
    return [*found, (float(noise.float().mean()), 0.0)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="audio or video files of speech")
    parser.add_argument("--clips", type=int, default=20, help="of them, evenly chosen")
    args = parser.parse_args()
    if args.clips < 1:
        parser.error("--clips: at least one")
    clock, mel = Clock(), Mel()
    chosen = sorted(args.files)[:: max(1, len(args.files) // args.clips)][: args.clips]
    rows = []
    for file in chosen:
        waveform = torch.from_numpy(decode_audio(file, clock.sample_rate)).float()
        rows.append(
            shares(waveform[None, : len(waveform) // clock.samples_per_frame * clock.samples_per_frame], clock, mel)
        )
    means = torch.tensor(rows).mean(0).tolist()
    print(f"{len(rows)} clips; noise is {means[-1][0]:.1%} of all bins\n\n| range_db | noise in the loss | loss |")
    print("| --- | --- | --- |")
    for range_db, (share, loss) in zip(RANGES, means, strict=False):
        print(f"| {'null' if range_db is None else f'{range_db:g}'} | {share:.1%} | {loss:.3f} |")


if __name__ == "__main__":
    sys.exit(status_of(main, "noise_share"))
