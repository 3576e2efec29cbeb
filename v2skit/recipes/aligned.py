"""Data directories whose audio is shifted, utterance by utterance, to where a model's speech is."""

from __future__ import annotations

import hashlib
import os
import shlex
import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from v2skit.data.data_dir import Utterance, read_clock, read_manifest
from v2skit.errors import UserError
from v2skit.evaluation.alignment import MAX_LAG_MS, measurable_lag
from v2skit.media.audio import read_audio, write_audio
from v2skit.recipes.subsets import is_made_with, read_with_audio, write_derived
from v2skit.synthesis.directory import SPEECH_RECORD
from v2skit.system.atomic import is_unused, write_text
from v2skit.system.progress import ProgressBar
from v2skit.system.provenance import Provenance

LAGS = "lags.tsv"
"""Utterance id, the ms by which its audio is earlier now, and the lags in ms of its first and its second half; "-" in
place of a lag that can't be measured."""
HALVES_MS = 40
"""A lag counts where those of both halves differ from it by no more."""
RATE_REMEDY = "synthesise the speech with a model of this sample rate"


@dataclass(frozen=True)
class Lags:
    """Lags of an utterance's audio behind the speech, in samples, of the whole and of both halves; None: none."""

    whole: int | None
    first: int | None
    second: int | None


def write_aligned(source: Path, speech: Path, out: Path, replace_others: bool = False) -> str:
    """Write a data directory with the utterances of another one, the audio of each shifted by its lag behind the speech
    that a model synthesised for its video. The median lag of a speaker stays as it was, so that the only clip of a
    speaker is not corrected. An utterance whose lag can't be measured keeps its audio where it is.

    Where the pictures and the sound of a corpus were cut apart, each clip has a lag of its own, which can't be inferred
    from the video. A model that is trained with it learns the mean of the speech at all lags, which is blurred.

    Args:
        source: the other data directory, of training or validation data. Validation data choose the checkpoint; their
            losses are not comparable with those of runs that validate on other audio. Test data keep their lags, which
            their scores must include: the stages refuse shifted ones.
        speech: folder with the speech, ``<id>.wav``, as ``v2skit synth-data`` writes it.
        out: the folder that is written; one that is there already is kept.
        replace_others: what another call has written there, of other speech or clips, is deleted.

    Returns:
        one line for the user: what is in it, and how the lags of the two halves of the clips are correlated. A lag of
        the whole clip is the same in both; lags that are errors of the model or of the measurement are not.

    Raises:
        UserError: ``source`` is not prepared, has no utterances or some without audio, speech is missing or can't be
            read, ``out`` has other files or other utterances, or its list of lags is missing or damaged.
    """
    utterances = read_with_audio(source)
    files = {u.id: speech / f"{u.id}.wav" for u in utterances}
    if missing := [path.name for path in files.values() if not path.is_file()]:
        command = shlex.join(_synthesis(source, speech))
        raise UserError(
            f"{speech} lacks {len(missing)} of {len(files)} files, such as {missing[0]}; {command} writes them"
        )
    digest = hashlib.sha256()
    for path in files.values():
        digest.update(path.read_bytes())
    out = out.resolve()
    make = partial(_aligned, speech=files, sample_rate=read_clock(source).sample_rate)
    made_by = ["align", MAX_LAG_MS, HALVES_MS, digest.hexdigest()]
    replaced = replace_others and is_made_with(out, "speech")
    write_derived(source, out, make, made_by, replaced, speech=os.path.relpath(speech.resolve(), out))
    return f"{out}: {_described(out)}"


def _synthesis(source: Path, speech: Path) -> list[str]:
    """The command that writes the missing speech of a data directory. It has the model of the speech that is there,
    since ``v2skit synth-data`` deletes that of another model, or of another data directory."""
    made_from = Provenance.read(speech / SPEECH_RECORD)
    values = made_from.values if made_from else {}
    is_of_source = values.get("data") == str(source.resolve()) if values else is_unused(speech)
    model, folder = values.get("model", "MODEL"), speech if is_of_source else "FOLDER"
    return ["v2skit", "synth-data", str(source), "--model", str(model), "-o", str(folder)]


def _described(directory: Path) -> str:
    speakers = {u.id: u.speaker for u in read_manifest(directory)}
    shifts: list[float] = []
    halves: defaultdict[str, list[list[float]]] = defaultdict(list)
    try:
        for line in (directory / LAGS).read_text(encoding="utf-8").splitlines():
            name, *values = line.split("\t")
            shift, first, second = (None if value == "-" else float(value) for value in values)
            if shift is not None:
                shifts.append(shift)
            if first is not None and second is not None:
                halves[speakers[name]].append([first, second])
            elif shift is not None:
                raise ValueError(f"{name} is shifted, but its halves have no lag")
    except (OSError, ValueError, KeyError) as error:
        remedy = f"delete {directory}, and v2skit data align writes it again"
        raise UserError(f"{directory / LAGS} is missing or damaged; {remedy}", path=directory / LAGS) from error
    if not shifts:
        return f"{len(speakers)} utterances, none shifted: no lag can be measured"
    text = f"{len(speakers)} utterances, shifted by lags with a standard deviation of {np.std(shifts):.0f} ms"
    if len(shifts) < len(speakers):
        text += f", but for {len(speakers) - len(shifts)} whose lag can't be measured"
    # Otherwise the speakers' own lags, which stay as they are, would be taken for lags of clips.
    deviations = [values - np.median(values, axis=0) for values in map(np.array, halves.values())]
    first_half, second_half = np.concatenate(deviations).T
    if first_half.std() > 0 and second_half.std() > 0:
        correlation = np.corrcoef(first_half, second_half)[0, 1]
        text += f"; the lags of their halves, less each speaker's median, have a correlation of {correlation:.2f}"
    return text


def _aligned(
    utterances: list[Utterance], folder: Path, speech: Mapping[str, Path], sample_rate: int
) -> list[Utterance]:
    """The utterances, with their shifted audio in ``folder``."""
    lags: dict[str, Lags] = {}
    of_speaker: defaultdict[str, list[int]] = defaultdict(list)
    for u in ProgressBar(utterances, "lags", unit="utterance"):
        synthesised = read_audio(speech[u.id], sample_rate, remedy=RATE_REMEDY)
        found = lags[u.id] = _lags(_audio(u, sample_rate), synthesised, sample_rate)
        if found.whole is not None:
            of_speaker[u.speaker].append(found.whole)
    medians = {speaker: round(statistics.median(values)) for speaker, values in of_speaker.items()}
    (folder / "audio").mkdir(exist_ok=True)
    lines, aligned = [], []
    for u in ProgressBar(utterances, "shifts", unit="utterance"):
        found = lags[u.id]
        samples = None if found.whole is None else found.whole - medians[u.speaker]
        path = folder / "audio" / f"{u.id}.flac"
        write_audio(path, earlier(_audio(u, sample_rate), samples or 0), sample_rate)
        values = (samples, found.first, found.second)
        shown = ("-" if value is None else f"{1000 * value / sample_rate:.1f}" for value in values)
        lines.append("\t".join([u.id, *shown]) + "\n")
        aligned.append(replace(u, audio=path))
    write_text(folder / LAGS, "".join(lines))
    return aligned


def _lags(audio: np.ndarray, speech: np.ndarray, sample_rate: int) -> Lags:
    """Lags of ground truth (N,) behind speech (N',). That of the whole counts only where both halves have about the
    same: others are errors of the model or of the measurement."""
    length = min(len(audio), len(speech))
    middle = length // 2
    spans = slice(0, length), slice(0, middle), slice(middle, length)
    found = (measurable_lag(audio[span], speech[span], sample_rate) for span in spans)
    whole, first, second = (None if lag is None else -lag for lag in found)
    furthest = HALVES_MS * sample_rate / 1000
    counts = whole is not None and all(half is not None and abs(half - whole) <= furthest for half in (first, second))
    return Lags(whole if counts else None, first, second)


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
