"""The error of synthesised speech while each sound is said: it needs no recogniser of that speech."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from v2skit.config.features import Clock, Mel
from v2skit.data.data_dir import Utterance
from v2skit.errors import UserError, reason_of
from v2skit.evaluation.forced_alignment import Sound
from v2skit.evaluation.metrics import resample
from v2skit.evaluation.visemes import VISEME_OF
from v2skit.media.audio import read_audio
from v2skit.signal.mel import MelSpectrogram
from v2skit.system.progress import ProgressBar

SILENCE, ALL = "silence", "all"
"""Names of the entries of silence, and of all sounds but silence."""
DB = 20 / math.log(10)
"""dB of a natural logarithm of magnitude."""
PROTOCOL = (
    "mean absolute difference of the 80-bin log mel (24 kHz, 50 ms Hann, 10 ms hop), dB, over the frames of each sound "
    "in the ground-truth audio; forced alignment by PocketSphinx"
)
Align = Callable[[np.ndarray, int, str], list[Sound]]


def sound_errors(
    utterances: Sequence[Utterance], folders: Mapping[str, Path], rate: int, align: Align
) -> dict[str, Any]:
    """The difference of log mels by sound.

    Args:
        utterances: with ground-truth audio and text; others are left out.
        folders: results row -> folder with its speech, ``<id>.wav``.
        rate: of all files, Hz.
        align: (waveform, rate, text) -> the sounds.

    Returns:
        ``protocol``; ``failures``, utterance id -> why it was left out; ``n``, viseme class, ``silence`` and ``all``
        -> number of sounds; ``rows``, row -> ``visemes`` and ``phonemes``, name -> dB, a mean over frames.

    Raises:
        UserError: no utterance could be aligned.
    """
    spectrogram, clock = MelSpectrogram(Clock(), Mel()), Clock()

    def log_mel(path: Path) -> np.ndarray:
        waveform = resample(read_audio(path, rate), rate, clock.sample_rate)
        return spectrogram(torch.from_numpy(np.asarray(waveform, np.float32))[None])[0].numpy()

    failures: dict[str, str] = {}
    counts: dict[str, int] = defaultdict(int)
    totals: dict[str, dict[str, np.ndarray]] = {row: defaultdict(lambda: np.zeros(2)) for row in folders}
    for u in ProgressBar(utterances, "aligning", unit="clip", disable=None):
        if u.audio is None or not u.text:
            failures[u.id] = "no audio or no text"
            continue
        try:
            sounds = align(read_audio(u.audio, rate), rate, u.text)
            reference = log_mel(u.audio)
            errors = {row: _frame_errors(reference, log_mel(folder / f"{u.id}.wav")) for row, folder in folders.items()}
        except (UserError, OSError) as error:
            failures[u.id] = reason_of(error)
            continue
        for sound in sounds:
            frames = slice(
                *(round(time * clock.sample_rate / spectrogram.mel.hop) for time in (sound.start, sound.end))
            )
            viseme = VISEME_OF.get(sound.phoneme, SILENCE)
            groups = (viseme,) if viseme == SILENCE else (viseme, sound.phoneme, ALL)
            for group in groups:
                counts[group] += 1
                for row, by_frame in errors.items():
                    totals[row][group] += np.array([by_frame[frames].sum(), len(by_frame[frames])])
    if len(failures) == len(utterances):
        reason = next(iter(failures.values()), "there are none")
        raise UserError(f"no clip could be aligned ({reason}); give --data the directory with their audio and text")
    rows = {}
    for row, by_group in totals.items():
        means = {group: round(float(total / max(frames, 1)), 3) for group, (total, frames) in by_group.items()}
        phonemes = {name: value for name, value in means.items() if name in VISEME_OF}
        rows[row] = {"visemes": {n: v for n, v in means.items() if n not in phonemes}, "phonemes": phonemes}
    return {"protocol": PROTOCOL, "failures": failures, "n": dict(counts), "rows": rows}


def _frame_errors(reference: np.ndarray, hypothesis: np.ndarray) -> np.ndarray:
    """Log mels (F,M) -> dB (F,). Raises UserError where they are not of the same length."""
    if len(reference) != len(hypothesis):
        raise UserError("the speech is not as long as its ground-truth audio; run stage 5 again")
    return DB * np.abs(reference - hypothesis).mean(1)
