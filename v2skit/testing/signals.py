"""A signal that is like speech to metrics: syllables of changing vowels, with pauses."""

from __future__ import annotations

import numpy as np

RATE = 24000


def babble(seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    """A hum of 110 Hz whose two resonances jump at every syllable, five syllables a second; (N,) at ``RATE``."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    syllable = (5 * time).astype(int)
    formants = random.uniform((300, 900), (800, 2500), (syllable.max() + 1, 2))[syllable]  # (N, 2), Hz
    sound = np.zeros_like(time)
    for harmonic in range(1, 40):
        hz = 110 * harmonic
        loud = np.exp(-0.5 * ((hz - formants) / 150) ** 2).sum(1) + 0.01
        sound += loud * np.sin(2 * np.pi * hz * time + random.uniform(0, 6))
    sound *= np.sin(np.pi * 5 * time % np.pi) ** 2 * (syllable % 5 != 4)
    return 0.5 * sound / np.abs(sound).max() + 1e-4 * random.standard_normal(len(time))
