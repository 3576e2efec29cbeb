"""Sharpness of synthesised speech: global variance of the log mel against ground truth, and predicted opinion scores.

    tools/venv/bin/python tools/mel_sharpness.py egs/mini/data/test egs/mini/exp/*/synth/*

The global variance of a clip is the variance over time of each mel bin, in frames at most 40 dB below the loudest one
of the ground truth; the table has the ratio to that of the ground truth, averaged over clips and bins: 1 is as sharp,
below 1 is blurred. DNSMOS (overall, signal, and P.808) needs the package speechmos with onnxruntime, DistillMOS the
package distillmos; without one its columns are left out. Both score 16 kHz.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch

from v2skit.config.features import Clock, Mel
from v2skit.data.data_dir import read_manifest
from v2skit.media.audio import read_audio
from v2skit.signal.mel import MelSpectrogram

RANGE_DB, SCORED_RATE = 40.0, 16_000
Scorer = Callable[[np.ndarray], dict[str, float]]


def scorers() -> list[Scorer]:
    """The predictors of opinion scores that are installed: waveform at 16 kHz (N,) -> scores by name."""
    found: list[Scorer] = []
    if importlib.util.find_spec("speechmos"):
        from speechmos import dnsmos

        def dnsmos_of(waveform: np.ndarray) -> dict[str, float]:
            scores = dnsmos.run(waveform, SCORED_RATE)
            return {"DNSMOS": scores["ovrl_mos"], "SIG": scores["sig_mos"], "P.808": scores["p808_mos"]}

        found.append(dnsmos_of)
    if importlib.util.find_spec("distillmos"):
        import distillmos

        model = distillmos.ConvTransformerSQAModel().eval()

        def distillmos_of(waveform: np.ndarray) -> dict[str, float]:
            with torch.inference_mode():
                return {"DistillMOS": float(model(torch.from_numpy(waveform)[None]))}

        found.append(distillmos_of)
    return found


def global_variance(mel: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """Variance of a log mel (F,M) over the frames (F,) -> (M,)."""
    return mel[frames].var(dim=0)


def main() -> None:
    """Print a row of the table for the ground truth and for each folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path, help="data directory with the ground truth")
    parser.add_argument("folders", type=Path, nargs="+", help="folders of <utterance>.wav")
    parser.add_argument("--sample_rate", type=int, default=Clock().sample_rate, help="of all files, Hz")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rate = options.sample_rate
    mel = MelSpectrogram(Clock(rate, 25), Mel(f_max=rate / 2))
    predictors, utterances = scorers(), read_manifest(options.data_dir)
    truths = {u.id: read_audio(u.audio, rate) for u in utterances if u.audio}
    for folder in [None, *options.folders]:
        ratios, scores = [], []
        for name, truth in truths.items():
            waveform = soundfile.read(folder / f"{name}.wav", dtype="float32")[0] if folder else truth
            count = min(len(waveform), len(truth)) // mel.mel.hop * mel.mel.hop
            reference, synthesised = mel(torch.from_numpy(np.stack([truth[:count], waveform[:count]])))
            level = reference.exp().square().sum(dim=1).log10() * 10
            loud = level > level.max() - RANGE_DB
            ratios.append(global_variance(synthesised, loud) / global_variance(reference, loud).clamp(min=1e-4))
            scored = soxr.resample(waveform, rate, SCORED_RATE).clip(-1, 1)
            scores.append({key: value for predict in predictors for key, value in predict(scored).items()})
        columns = {"global variance": float(torch.stack(ratios).mean())}
        columns |= {key: float(np.mean([score[key] for score in scores])) for key in scores[0]}
        if folder is None:
            print(f"| speech | {' | '.join(columns)} |\n| --- |{' --- |' * len(columns)}")
        print(
            f"| {folder or 'ground truth'} | {' | '.join(f'{value:.3f}' for value in columns.values())} |", flush=True
        )


if __name__ == "__main__":
    main()
