"""Extractors of F0 on synthetic speech whose F0 is known: time, voicing errors, gross and median errors.

    tools/venv/bin/python tools/benchmark_f0.py

The signals are vowels of gliding pitch with pauses and fricatives, in three voices, clean and with white noise. Praat's
is v2skit's own extractor; others are measured where their packages are installed (pyworld, swift-f0, librosa,
torchaudio). The voicing error includes the fades of onsets, which have no certain frame; a gross error is one of more
than 20 % in a frame that both call voiced. Times are of one thread, the mean of all signals.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from argument_types import positive_number

from v2skit.cli.failures import status_of

RATE, HOP = 24000, 240
FLOOR_HZ, CEILING_HZ = 60.0, 500.0
VOICES_HZ, NOISES_DB = (95.0, 220.0, 350.0), (None, 20.0, 10.0)
Extractor = Callable[[np.ndarray], np.ndarray]


def speech(mean_hz: float, seconds: float, snr_db: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Waveform (N,) float32 and its F0 (F,), Hz, 0 where unvoiced."""
    random, samples = np.random.default_rng(0), round(seconds * RATE)
    t = np.arange(samples) / RATE
    f0 = mean_hz * 2 ** (0.35 * np.sin(2 * np.pi * 0.7 * t) + 0.1 * np.sin(2 * np.pi * 3.1 * t))
    voiced = np.sin(2 * np.pi * 1.3 * t) + 0.4 * np.sin(2 * np.pi * 0.37 * t) > -0.45
    fade = np.hanning(480) / np.hanning(480).sum()
    envelope = np.convolve(voiced, fade, "same")
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    formants = (500 + 300 * np.sin(2 * np.pi * 2.3 * t), 150), (1500 + 600 * np.sin(2 * np.pi * 1.7 * t), 200)
    vowels = np.zeros(samples)
    for order in range(1, 60):
        peaks = sum(np.exp(-0.5 * ((order * f0 - hz) / width) ** 2) for hz, width in formants)
        vowels += (peaks + 0.02) / np.sqrt(order) * (order * f0 < RATE / 2) * np.sin(order * phase)
    vowels *= 0.5 / np.abs(vowels).max() * envelope * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))
    hiss = 0.02 * np.diff(random.standard_normal(samples), prepend=0) * (1 - envelope) * (np.sin(4 * np.pi * t) > 0)
    level = 1e-4 if snr_db is None else np.sqrt(np.square(vowels).mean()) * 10 ** (-snr_db / 20)
    waveform = vowels + hiss + level * random.standard_normal(samples)
    centres = slice(HOP // 2, None, HOP)
    return waveform.astype(np.float32), np.where(envelope[centres] > 0.5, f0[centres], 0)


def at_centres(seconds: np.ndarray, f0: np.ndarray, samples: int) -> np.ndarray:
    """The frames nearest to the centres of hops, (F,)."""
    centres = (np.arange(samples // HOP) * HOP + HOP / 2) / RATE
    return f0[np.searchsorted((seconds[1:] + seconds[:-1]) / 2, centres).clip(max=len(f0) - 1)]


def praat() -> Extractor:
    """v2skit's own."""
    from v2skit.signal.f0 import F0Extractor

    extract = F0Extractor(FLOOR_HZ, CEILING_HZ)
    return lambda waveform: extract(waveform, RATE, HOP)


def harvest() -> Extractor:
    """Harvest of WORLD."""
    import pyworld

    def extract(waveform: np.ndarray) -> np.ndarray:
        f0, seconds = pyworld.harvest(waveform.astype(np.float64), RATE, FLOOR_HZ, CEILING_HZ, 5.0)
        return at_centres(seconds, f0, len(waveform))

    return extract


def dio() -> Extractor:
    """DIO of WORLD, refined by StoneMask."""
    import pyworld

    def extract(waveform: np.ndarray) -> np.ndarray:
        sound = waveform.astype(np.float64)
        f0, seconds = pyworld.dio(sound, RATE, FLOOR_HZ, CEILING_HZ, frame_period=5.0)
        return at_centres(seconds, pyworld.stonemask(sound, f0, seconds, RATE), len(waveform))

    return extract


def swift_f0() -> Extractor:
    """SwiftF0, a small network."""
    from scipy.signal import resample_poly
    from swift_f0 import SwiftF0

    detector = SwiftF0(threads=1)

    def extract(waveform: np.ndarray) -> np.ndarray:
        found = detector.detect(resample_poly(waveform, 2, 3).astype(np.float32), 16000, FLOOR_HZ, CEILING_HZ)
        f0 = np.where(found.confidence >= 0.5, found.pitch_hz, 0)
        return at_centres(found.timestamps, f0, len(waveform))

    return extract


def pyin() -> Extractor:
    """pYIN of librosa."""
    import librosa

    def extract(waveform: np.ndarray) -> np.ndarray:
        f0, voiced, _ = librosa.pyin(waveform, sr=RATE, fmin=FLOOR_HZ, fmax=CEILING_HZ, hop_length=HOP)
        return at_centres(np.arange(len(f0)) * HOP / RATE, np.where(voiced, f0, 0), len(waveform))

    return extract


def torchaudio() -> Extractor:
    """Normalised cross-correlation of torchaudio; all frames are voiced."""
    from torchaudio.functional import detect_pitch_frequency

    def extract(waveform: np.ndarray) -> np.ndarray:
        f0 = detect_pitch_frequency(torch.from_numpy(waveform)[None], RATE, freq_low=FLOOR_HZ, freq_high=CEILING_HZ)
        return at_centres((np.arange(f0.shape[1]) + 0.5) * 0.01, f0[0].numpy(), len(waveform))

    return extract


EXTRACTORS = {praat: "parselmouth", harvest: "pyworld", dio: "pyworld", swift_f0: "swift_f0", pyin: "librosa"}
EXTRACTORS |= {torchaudio: "torchaudio"}


def measure(extract: Extractor, seconds: float) -> list[tuple[float, float, float, float]]:
    """Milliseconds a second, voicing and gross errors in %, median error in cents, of each signal."""
    rows = []
    for mean_hz in VOICES_HZ:
        for snr_db in NOISES_DB:
            waveform, reference = speech(mean_hz, seconds, snr_db)
            start = time.process_time()
            f0 = extract(waveform)
            spent = time.process_time() - start
            both = (f0 > 0) & (reference > 0)
            octaves = np.log2(f0[both] / reference[both])
            gross = 100 * (np.abs(np.exp2(octaves) - 1) > 0.2).mean()
            voicing = 100 * ((f0 > 0) != (reference > 0)).mean()
            rows.append((1000 * spent / seconds, voicing, gross, 1200 * float(np.median(np.abs(octaves)))))
    return rows


def main() -> None:
    """Measure all that are installed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=positive_number, default=20.0, help="length of each of the nine signals")
    seconds = parser.parse_args().seconds
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of packages, about versions
    print(f"{'extractor':12} {'ms a second':>14} {'voicing %':>12} {'gross %':>12} {'median cents':>16}")
    for make, module in EXTRACTORS.items():
        if importlib.util.find_spec(module) is None:
            print(f"{make.__name__:12} {module} is not installed")
            continue
        extract = make()
        extract(speech(VOICES_HZ[0], 1.0, None)[0])  # compiles what is compiled at the first call
        columns = zip(*measure(extract, seconds), strict=True)
        ms, *others = (f"{min(column):.1f}-{max(column):.1f}" for column in columns)
        print(f"{make.__name__:12} {ms:>14} {others[0]:>12} {others[1]:>12} {others[2]:>16}")


if __name__ == "__main__":
    sys.exit(status_of(main, "benchmark_f0"))
