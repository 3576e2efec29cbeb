"""Data directories whose audio is shifted, utterance by utterance, to where a model's speech is."""

from __future__ import annotations

import hashlib
import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from v2skit.data.data_dir import Utterance, read_clock, read_manifest
from v2skit.errors import UserError
from v2skit.evaluation.alignment import MAX_LAG_MS, find_lag
from v2skit.media.audio import read_audio, write_audio
from v2skit.recipes.subsets import write_derived
from v2skit.system.atomic import write_text
from v2skit.system.progress import ProgressBar

LAGS = "lags.tsv"
"""Utterance id, the ms by which its audio is earlier now, and the lags in ms of its first and its second half."""


def write_aligned(source: Path, speech: Path, out: Path) -> str:
    """Write a data directory with the utterances of another one, the audio of each shifted by its lag behind the speech
    that a model synthesised for its video. The median lag of a speaker stays as it was.

    Where the pictures and the sound of a corpus were cut apart, each clip has a lag of its own, which no video tells. A
    model that is trained with it learns the mean of the speech at all lags, and its speech is blurred.

    Args:
        source: the other data directory, of training data: validation and test data keep their lags.
        speech: folder with the speech, ``<id>.wav``, as ``v2skit synth-data`` writes it.
        out: the folder that is written; one that is there already is kept.

    Returns:
        one line for the user: what is in it, and how the lags of the two halves of the clips are correlated. A lag of
        the whole clip is the same in both; lags that are errors of the model or of the measurement are not.

    Raises:
        UserError: ``source`` is not prepared or has no audio, speech is missing or can't be read, or ``out`` has other
            files or other utterances.
    """
    utterances = read_manifest(source)
    if silent := next((u.id for u in utterances if u.audio is None), None):
        raise UserError(f"{source} has no audio of '{silent}'; give a data directory whose utterances all have audio")
    files = {u.id: speech / f"{u.id}.wav" for u in utterances}
    if missing := [path.name for path in files.values() if not path.is_file()]:
        remedy = f"v2skit synth-data {source} -o {speech} writes them"
        raise UserError(f"{speech} lacks {len(missing)} of {len(files)} files, such as {missing[0]}; {remedy}")
    digest = hashlib.sha256()
    for path in files.values():
        digest.update(path.read_bytes())
    out = out.resolve()
    make = partial(_aligned, speech=files, sample_rate=read_clock(source).sample_rate)
    write_derived(source, out, make, ["align", digest.hexdigest()], speech=str(speech.resolve()))
    return f"{out}: {_described(out / LAGS)}"


def _described(lags: Path) -> str:
    rows = [line.split("\t")[1:] for line in lags.read_text(encoding="utf-8").splitlines()]
    shifts, *halves = np.array(rows, dtype=np.float64).T
    text = f"{len(shifts)} utterances, shifted by lags with a standard deviation of {shifts.std():.0f} ms"
    if all(half.std() > 0 for half in halves):
        text += f"; the lags of their halves have a correlation of {np.corrcoef(halves)[0, 1]:.2f}"
    return text


def _aligned(
    utterances: list[Utterance], folder: Path, speech: Mapping[str, Path], sample_rate: int
) -> list[Utterance]:
    """The utterances, with their shifted audio in ``folder``."""
    lags: dict[str, list[int]] = {}
    of_speaker: defaultdict[str, list[int]] = defaultdict(list)
    for u in ProgressBar(utterances, "lags", unit="utterance"):
        lags[u.id] = _lags(_audio(u, sample_rate), read_audio(speech[u.id], sample_rate), sample_rate)
        of_speaker[u.speaker].append(lags[u.id][0])
    medians = {speaker: round(statistics.median(values)) for speaker, values in of_speaker.items()}
    (folder / "audio").mkdir(exist_ok=True)
    lines, aligned = [], []
    for u in ProgressBar(utterances, "shifts", unit="utterance"):
        whole, *halves = lags[u.id]
        samples = whole - medians[u.speaker]
        path = folder / "audio" / f"{u.id}.flac"
        write_audio(path, earlier(_audio(u, sample_rate), samples), sample_rate)
        lines.append("\t".join([u.id, *(f"{1000 * value / sample_rate:.1f}" for value in (samples, *halves))]) + "\n")
        aligned.append(replace(u, audio=path))
    write_text(folder / LAGS, "".join(lines))
    return aligned


def _lags(audio: np.ndarray, speech: np.ndarray, sample_rate: int) -> list[int]:
    """Lag of ground truth (N,) behind speech (N',) in samples: of the whole, of the first and of the second half; 0
    where the ground truth is silent, or no lag within the bounds is found."""
    length = min(len(audio), len(speech))
    middle = length // 2
    spans = slice(0, length), slice(0, middle), slice(middle, length)
    lags = [-find_lag(audio[span], speech[span], sample_rate) if audio[span].any() else 0 for span in spans]
    return [lag if 1000 * abs(lag) < MAX_LAG_MS * sample_rate else 0 for lag in lags]  # at the bound is no maximum


def _audio(utterance: Utterance, sample_rate: int) -> np.ndarray:
    assert utterance.audio is not None, "write_aligned refuses utterances without it"
    return read_audio(utterance.audio, sample_rate)


def earlier(waveform: np.ndarray, samples: int) -> np.ndarray:
    """The waveform (N,) earlier by a number of samples, later where it is negative. Its end, mirrored, fills the gap:
    with zeros, the background noise would end there."""
    gap = min(abs(samples), len(waveform) - 1)
    if samples > 0:
        return np.pad(waveform, (0, gap), mode="reflect")[gap:]
    return np.pad(waveform, (gap, 0), mode="reflect")[: len(waveform)]
