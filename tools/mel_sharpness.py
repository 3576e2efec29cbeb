"""Sharpness of synthesised speech: global variance of the log mel against ground truth, and predicted opinion scores.

    tools/venv/bin/python tools/mel_sharpness.py egs/mini/data/test egs/mini/exp/*/synth/*

The global variance of a clip is the variance over time of each mel bin, in frames at most 40 dB below the loudest one
of the ground truth; the table has the ratio to that of the ground truth, averaged over clips and bins: 1 is as sharp,
below 1 is blurred. DNSMOS and DistillMOS are those of the metrics of these names, and left out where their packages are
not installed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from v2skit.cli.failures import status_of
from v2skit.config.features import Clock
from v2skit.data.data_dir import read_manifest
from v2skit.errors import UserError
from v2skit.evaluation.global_variance import variance_ratios
from v2skit.evaluation.metrics import Metric
from v2skit.evaluation.mos import DistillMos, Dnsmos
from v2skit.evaluation.paired_mels import PairedMels
from v2skit.media.audio import read_audio


def predictors() -> list[Metric]:
    """The predictors of opinion scores whose packages are installed."""
    found: list[Metric] = []
    for kind in (Dnsmos, DistillMos):
        try:
            found.append(kind())
        except UserError as error:
            print(f"left out: {error}", file=sys.stderr)
    return found


def main() -> None:
    """Print a row of the table for the ground truth and for each folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path, help="data directory with the ground truth")
    parser.add_argument("folders", type=Path, nargs="+", help="folders of <utterance>.wav")
    parser.add_argument("--sample_rate", type=int, default=Clock().sample_rate, help="of all files, Hz")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rate, mels = options.sample_rate, PairedMels(max_hz=None, range_db=40.0)
    metrics, utterances = predictors(), read_manifest(options.data_dir)
    truths = {u.id: read_audio(u.audio, rate) for u in utterances if u.audio}
    if not truths:
        parser.error(f"{options.data_dir} has no clips with audio")
    for folder in [None, *options.folders]:
        scores = []
        for name, audio in truths.items():
            waveform = read_audio(folder / f"{name}.wav", rate) if folder else audio
            count = min(len(waveform), len(audio))
            truth, waveform = audio[:count], waveform[:count]
            values = {"global variance": float(variance_ratios(*mels(truth, waveform, rate)).mean())}
            for metric in metrics:
                values |= metric(truth, waveform, rate)
            scores.append(values)
        columns = {key: float(np.mean([score[key] for score in scores])) for key in scores[0]}
        if folder is None:
            print(f"| speech | {' | '.join(columns)} |\n| --- |{' --- |' * len(columns)}")
        print(
            f"| {folder or 'ground truth'} | {' | '.join(f'{value:.3f}' for value in columns.values())} |", flush=True
        )


if __name__ == "__main__":
    sys.exit(status_of(main, "mel_sharpness"))
