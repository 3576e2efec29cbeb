"""Data directories with further utterances in other voices, so that the voice can't be inferred from the face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

from v2skit.data.data_dir import Utterance, read_clock, read_manifest
from v2skit.errors import UserError
from v2skit.media.audio import read_audio, write_audio
from v2skit.recipes.subsets import write_derived
from v2skit.signal.voice import STEP, shift_voice
from v2skit.system.progress import ProgressBar

RANGE = (0.5, 2.0)


def write_voices(source: Path, factors: Sequence[float], out: Path) -> str:
    """Write a data directory with the utterances of another one, and with each of them once more for each factor, its
    pitch and formants shifted by that. These have the same video and text, and a speaker of their own, such as
    ``s1@1.18``, so that the d-vectors are those of the shifted audio.

    With a few talkers, a model can infer the voice from the face, and need not use the speaker component: then it has
    the talker's voice, whichever is named.

    Args:
        source: the other data directory.
        factors: of pitch and formants, different ones, to a hundredth.
        out: the folder that is written; one that is there already is kept.

    Returns:
        one line for the user: what is in it.

    Raises:
        UserError: ``source`` is not prepared or has no audio, a factor is out of range, or ``out`` has other files or
            other utterances.
    """
    low, high = RANGE
    wrong = [factor for factor in factors if not low <= factor <= high or round(factor * STEP) == STEP]
    if wrong or not factors:
        raise UserError(f"factors {wrong or factors} must be from {low:g} to {high:g} and not 1, e.g. 0.85 1.18")
    factors = sorted({round(factor * STEP) / STEP for factor in factors})
    utterances = read_manifest(source)
    if silent := next((u.id for u in utterances if u.audio is None), None):
        raise UserError(f"{source} has no audio of '{silent}'; give a data directory whose utterances all have audio")
    ids = {u.id for u in utterances}
    if known := next((key for u in utterances for factor in factors if (key := _in_voice(u.id, factor)) in ids), None):
        raise UserError(f"{source} has an utterance '{known}' already; give the data directory without further voices")
    out = out.resolve()
    make = partial(_with_voices, factors=factors, sample_rate=read_clock(source).sample_rate)
    write_derived(source, out, make, ["voices", *factors], factors=factors)
    utterances = read_manifest(out)
    hours = sum(utterance.frames for utterance in utterances) / read_clock(out).fps / 3600
    speakers = len({utterance.speaker for utterance in utterances})
    return f"{out}: {len(utterances)} utterances, {hours:.2f} h, {speakers} voices"


def _with_voices(
    utterances: list[Utterance], folder: Path, factors: Sequence[float], sample_rate: int
) -> list[Utterance]:
    """The utterances and those in other voices, whose audio is written into ``folder`` where it is not there yet."""
    further = []
    for u, factor in product(utterances, factors):
        key, speaker = _in_voice(u.id, factor), _in_voice(u.speaker, factor)
        further.append((u, factor, replace(u, id=key, speaker=speaker, audio=folder / "audio" / f"{key}.flac")))
    (folder / "audio").mkdir(exist_ok=True)
    for u, factor, new in ProgressBar(further, "voices", unit="utterance"):
        assert u.audio is not None and new.audio is not None, "write_voices refuses utterances without it"
        if not new.audio.exists():
            write_audio(new.audio, shift_voice(read_audio(u.audio, sample_rate), factor, sample_rate), sample_rate)
    return [*utterances, *(new for _, _, new in further)]


def _in_voice(name: str, factor: float) -> str:
    """The id or speaker of an utterance -> that of the utterance with the factor."""
    return f"{name}@{factor:g}"
