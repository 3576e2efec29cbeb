"""Data directories with further utterances in other voices, so that the voice can't be inferred from the face."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from v2skit.data.data_dir import Utterance, read_clock, read_manifest
from v2skit.errors import UserError
from v2skit.media.audio import read_audio, write_audio
from v2skit.recipes.subsets import is_made_with, read_with_audio, write_derived
from v2skit.signal.voice import FORMANTS, median_f0, shift_voice
from v2skit.system.progress import ProgressBar

RANGE_HZ = (65, 400)
"""Of the pitches: those that Praat's analysis finds again, whose floor is 60 Hz."""
CLIPS = 20
"""Utterances of a speaker whose F0 is measured."""
OWN = 0.03
"""A pitch that differs by no more from the speaker's own, as a share of it, is no other voice."""
EXAMPLE = "e.g. 90 130 180 220"


def write_voices(
    source: Path, pitches: Sequence[float], each: int | None, out: Path, replace_others: bool = False
) -> str:
    """Write a data directory with the utterances of another one, and with each of them once more for some pitches, to
    which its speaker's median F0 is shifted; the formants are shifted by a power of the same factor. These have the
    same video and text, and a speaker of their own, such as ``s1@180Hz``, so that the d-vectors are those of the
    shifted audio. A pitch near the speaker's own is left out.

    With a few talkers, a model can infer the voice from the face, and need not use the speaker component: then it has
    the talker's voice, whichever is named.

    Args:
        source: the other data directory.
        pitches: median F0 of the voices, Hz, rounded to 1 Hz.
        each: how many of the pitches an utterance has at most, chosen by a hash of its id; None: all.
        out: the folder that is written; one that is there already is kept.
        replace_others: what another call has written there, of other pitches or clips, is deleted.

    Returns:
        one line for the user: what is in it.

    Raises:
        UserError: ``source`` is not prepared, has no utterances or some without audio, a speaker without voiced speech
            or further voices; a pitch is out of range, all are the speakers' own, or ``each`` is not from 1 to their
            number; praat-parselmouth is not installed; or ``out`` has other files or other utterances.
    """
    low, high = RANGE_HZ
    wrong = [pitch for pitch in pitches if not low <= pitch <= high]
    if wrong or not pitches:
        raise UserError(f"pitches {wrong} must be from {low} to {high} Hz, {EXAMPLE}")
    rounded = sorted({round(pitch) for pitch in pitches})
    each = len(rounded) if each is None else each
    if not 1 <= each <= len(rounded):
        raise UserError(f"--each {each} must be from 1 to {len(rounded)}, the number of pitches")
    utterances = read_with_audio(source)
    if known := next((u.id for u in utterances if re.search(r"@\d+Hz$", u.id)), None):
        raise UserError(f"{source} has further voices, as of '{known}'; give the data directory without these")
    out = out.resolve()
    make = partial(_with_voices, pitches=rounded, each=each, sample_rate=read_clock(source).sample_rate)
    replaced = replace_others and is_made_with(out, "pitch")
    write_derived(source, out, make, ["voices", *rounded, each], replaced, pitch=rounded, each=each)
    utterances = read_manifest(out)
    hours = sum(utterance.frames for utterance in utterances) / read_clock(out).fps / 3600
    speakers = len({utterance.speaker for utterance in utterances})
    return f"{out}: {len(utterances)} utterances, {hours:.2f} h, {speakers} voices"


def _with_voices(
    utterances: list[Utterance], folder: Path, pitches: Sequence[int], each: int, sample_rate: int
) -> list[Utterance]:
    """The utterances and those in other voices, whose audio is written into ``folder`` where it is not there yet."""
    own = _median_f0s(utterances, sample_rate)
    further = []
    for u in utterances:
        others = [pitch for pitch in pitches if abs(pitch / own[u.speaker] - 1) > OWN]
        for pitch in sorted(others, key=lambda pitch: _hash(u.id, pitch))[:each]:
            key, speaker = f"{u.id}@{pitch}Hz", f"{u.speaker}@{pitch}Hz"
            further.append((u, pitch, replace(u, id=key, speaker=speaker, audio=folder / "audio" / f"{key}.flac")))
    if not further:
        raise UserError(f"pitches {list(pitches)} are those of the speakers themselves; give others, {EXAMPLE}")
    (folder / "audio").mkdir(exist_ok=True)
    for u, pitch, new in ProgressBar(further, "voices", unit="utterance"):
        assert u.audio is not None and new.audio is not None, "write_voices refuses utterances without it"
        if not new.audio.exists():
            factor = pitch / own[u.speaker]
            shifted = shift_voice(read_audio(u.audio, sample_rate), factor, factor**FORMANTS, sample_rate)
            write_audio(new.audio, shifted, sample_rate)
    return [*utterances, *(new for _, _, new in further)]


def _median_f0s(utterances: list[Utterance], sample_rate: int) -> dict[str, float]:
    """Speaker -> median F0, Hz, of up to CLIPS utterances, chosen by a hash of their ids."""
    of_speaker: dict[str, list[Utterance]] = defaultdict(list)
    for u in sorted(utterances, key=lambda u: _hash(u.id)):
        if len(of_speaker[u.speaker]) < CLIPS:
            of_speaker[u.speaker].append(u)
    found = {}
    for speaker, some in ProgressBar(sorted(of_speaker.items()), "F0", unit="speaker"):
        median = median_f0((read_audio(u.audio, sample_rate) for u in some if u.audio is not None), sample_rate)
        if median is None:
            raise UserError(
                f"nothing is voiced in {len(some)} utterances of speaker '{speaker}', e.g. '{some[0].id}'; delete the "
                "speaker's utterances from every table of the data directory"
            )
        found[speaker] = median
    return found


def _hash(*values: object) -> str:
    return hashlib.sha256(" ".join(map(str, values)).encode()).hexdigest()
