"""Phonemes -> movements of the mouth: target shapes by viseme, blended by dominance (Cohen and Massaro, 1993)."""

from __future__ import annotations

import numpy as np

PARAMETERS = ("opening", "width", "rounding", "teeth", "tongue", "tuck")
"""All about 0 to 1, but for width, which is -1 (narrow) to 1 (spread); tuck is the lower lip under the upper teeth."""

SOUNDS = {
    "rest": " ",
    "bilabial": "pbm",
    "labiodental": "fv",
    "dental": "θð",
    "coronal": "tdnszɾ",
    "lateral": "l",
    "postalveolar": "ʃʒ",
    "velar": "kɡŋh",
    "rhotic": "ɹr",
    "labial_glide": "wʍ",
    "palatal_glide": "j",
    "front_close": "iɪ",
    "front_mid": "eɛ",
    "open": "aæɑɐʌ",
    "central": "əɜɚ",
    "back_mid": "oɔɒ",
    "back_close": "uʊʉ",
}
"""Viseme -> the IPA letters that look like it. Sounds of one viseme (B and P) are visually indistinguishable."""

TARGETS = {
    "rest": (0.04, 0.0, 0.0, 0.0, 0.0, 0.0),
    "bilabial": (-0.20, 0.0, 0.05, 0.0, 0.0, 0.0),
    "labiodental": (0.16, 0.05, 0.0, 0.75, 0.0, 1.0),
    "dental": (0.24, 0.1, 0.0, 0.6, 0.9, 0.0),
    "coronal": (0.20, 0.2, 0.0, 0.8, 0.35, 0.0),
    "lateral": (0.32, 0.1, 0.0, 0.55, 0.8, 0.0),
    "postalveolar": (0.24, -0.3, 0.65, 0.85, 0.1, 0.0),
    "velar": (0.30, 0.0, 0.0, 0.4, 0.1, 0.0),
    "rhotic": (0.26, -0.2, 0.5, 0.4, 0.1, 0.0),
    "labial_glide": (0.08, -0.7, 1.0, 0.0, 0.0, 0.0),
    "palatal_glide": (0.26, 0.6, 0.0, 0.7, 0.3, 0.0),
    "front_close": (0.32, 0.8, 0.0, 0.75, 0.3, 0.0),
    "front_mid": (0.56, 0.5, 0.0, 0.6, 0.3, 0.0),
    "open": (0.95, 0.15, 0.0, 0.5, 0.2, 0.0),
    "central": (0.42, 0.0, 0.05, 0.4, 0.15, 0.0),
    "back_mid": (0.62, -0.4, 0.7, 0.1, 0.1, 0.0),
    "back_close": (0.22, -0.65, 0.95, 0.05, 0.1, 0.0),
}
"""Viseme -> its target for each of :data:`PARAMETERS`."""

DOMINANCE = {
    "rest": (1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
    "bilabial": (6.0, 0.3, 0.3, 3.0, 0.5, 6.0),
    "labiodental": (6.0, 0.5, 0.5, 3.0, 0.5, 9.0),
    "dental": (2.0, 0.5, 0.4, 2.0, 4.0, 1.0),
    "coronal": (1.6, 0.4, 0.3, 1.5, 1.5, 1.0),
    "lateral": (1.3, 0.5, 0.3, 1.0, 3.0, 1.0),
    "postalveolar": (2.0, 1.5, 2.5, 2.0, 1.0, 1.0),
    "velar": (0.5, 0.2, 0.2, 0.4, 0.4, 1.0),
    "rhotic": (1.0, 0.8, 1.5, 0.8, 0.5, 1.0),
    "labial_glide": (4.0, 3.0, 4.0, 2.0, 1.0, 1.0),
}
"""Viseme -> its dominance over its neighbours, for each parameter; that of vowels is 1.5."""

VOWEL_DOMINANCE = (1.5,) * len(PARAMETERS)
DECAY_SECONDS = np.array([0.025, 0.06, 0.075, 0.035, 0.03, 0.025])
"""Time constants of a target's influence before and after its phoneme, for each parameter; the lips round early."""

VISEME_OF = {sound: viseme for viseme, sounds in SOUNDS.items() for sound in sounds}
EXPOSURE_STEPS = 4
STOPS = tuple("pbtdkɡ")
CLOSURE_SECONDS = 0.05
RELEASE_SECONDS = 0.01


def visemes(phoneme: str) -> list[str]:
    """The visemes of one phoneme in IPA: two for a diphthong or an affricate, ``rest`` for a pause. Stress and length
    marks do not show on the lips. Raises KeyError for a letter that English does not have."""
    letters = phoneme.translate({ord(mark): None for mark in "ˈˌː\u032a\u0361"})
    return [VISEME_OF[letter] for letter in letters or " "]


def gesture_starts(phonemes: list[tuple[float, str]]) -> np.ndarray:
    """When the mouth starts to articulate each phoneme, in seconds. espeak-ng times a stop at its burst, which follows
    the closure; after the burst the mouth moves to the next phoneme."""
    starts = [start for start, _ in phonemes]
    for index, (burst, phoneme) in enumerate(phonemes):
        if phoneme[:1] in STOPS:
            starts[index] = burst - CLOSURE_SECONDS
            if index + 1 < len(starts):
                starts[index + 1] = min(starts[index + 1], burst + RELEASE_SECONDS)
    return np.maximum.accumulate(np.maximum(starts, 0.0))


def segments(phonemes: list[tuple[float, str]], duration: float) -> list[tuple[float, float, str]]:
    """Phonemes with their start times -> (start, end, viseme), in seconds, from 0 to ``duration`` without gaps."""
    starts = gesture_starts(phonemes)
    found = [(0.0, starts[0], "rest")]
    for start, end, (_, phoneme) in zip(starts, [*starts[1:], duration], phonemes, strict=True):
        parts = visemes(phoneme)
        bounds = np.linspace(start, end, len(parts) + 1)
        found += zip(bounds[:-1], bounds[1:], parts, strict=True)
    return found


def articulate(
    phonemes: list[tuple[float, str]], frames: int, fps: int, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """Movements of the mouth for a sequence of phonemes.

    Each target is felt beyond its own segment, decaying exponentially, and the mouth is their mean weighted by
    dominance; every frame averages over its exposure. Targets vary by chance from one phoneme to the next, in the
    same way for all phonemes of a viseme.

    Args:
        phonemes: (start in seconds, IPA) in order of time.
        frames: length, in video frames.
        fps: video frames a second.
        generator: utterance of the variation.

    Returns:
        one (frames,) track for each of :data:`PARAMETERS`; opening, rounding, teeth, tongue and tuck in [0, 1.2].
    """
    parts = segments(phonemes, frames / fps)
    starts, ends = (np.array([part[i] for part in parts])[:, None] for i in (0, 1))  # (S, 1)
    targets = np.array([TARGETS[viseme] for *_, viseme in parts])  # (S, P)
    dominance = np.array([DOMINANCE.get(viseme, VOWEL_DOMINANCE) for *_, viseme in parts])
    targets = targets * generator.normal(1.0, 0.1, targets.shape) + generator.normal(0.0, 0.015, targets.shape)
    times = (np.arange(frames * EXPOSURE_STEPS) + 0.5) / (EXPOSURE_STEPS * fps)
    away = np.maximum(0.0, np.maximum(starts - times, times - ends))  # (S, frames * steps), seconds
    weight = dominance[:, None] * np.exp(-away[..., None] / DECAY_SECONDS)  # (S, frames * steps, P)
    blend = (weight * targets[:, None]).sum(axis=0) / weight.sum(axis=0)
    blend = blend.reshape(frames, EXPOSURE_STEPS, -1).mean(axis=1)
    low = [-1.0 if name == "width" else 0.0 for name in PARAMETERS]
    return dict(zip(PARAMETERS, np.clip(blend, low, 1.2).T, strict=True))
