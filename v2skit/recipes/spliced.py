"""Data directories with further utterances that are spliced, at word boundaries, from those of one speaker."""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from v2skit.config.features import Clock
from v2skit.data.data_dir import Utterance, read_clock, read_manifest
from v2skit.errors import UserError, reason_of
from v2skit.media.audio import read_audio, write_audio
from v2skit.media.crops import read_crops, write_crops
from v2skit.models.speakers.stored_vectors import write_origins
from v2skit.recipes.subsets import SPLICED, is_made_with, read_with_audio, write_derived
from v2skit.system.progress import ProgressBar
from v2skit.text.timed import Timed, read_ctm

MAX_CUTS = 2
"""An utterance is spliced from at most one part more than this."""
FADE_SECONDS = 0.004
"""Of the audio on both sides of a cut, so that it does not click."""
Align = Callable[[np.ndarray, int, str], list[Timed]]


class Part(NamedTuple):
    """Words of an utterance.

    Args:
        utterance: that has them.
        first: index of the first one.
        end: index after the last one.
    """

    utterance: Utterance
    first: int
    end: int


def write_spliced(
    source: Path,
    copies: int,
    out: Path,
    times: Path | None = None,
    align: Align | None = None,
    replace_others: bool = False,
) -> str:
    """Write a data directory with the utterances of another one and further ones, each spliced from up to three of the
    same speaker: the first words of one, and those from the next word number on of another. So a grammar in which each
    place has its words, as that of GRID, is kept. Pictures and sound are cut together, at the video frame between two
    words.

    Where there is little video, a model learns its clips by heart; it sees the words in many more sentences so. The
    same idea for speech recognition: aligned data augmentation (Lam et al., Interspeech 2021).

    Args:
        source: the other data directory, of training data.
        copies: further utterances that begin with the first part of each one.
        out: the folder that is written; one that is there already is kept.
        times: ``ctm`` file with the start and end of each word, of all utterances that are spliced; None: ``align``.
        align: (waveform, Hz, text) -> words with their times.
        replace_others: what another call has written there, of other copies, times or clips, is deleted.

    Returns:
        one line for the user: what is in it.

    Raises:
        UserError: ``source`` is not prepared, has no utterances, some without audio or video or with files of another
            length, or spliced ones; ``copies`` is not positive; no speaker has two utterances with two words whose
            times are known; an id is that of a spliced utterance; ``times`` can't be read; or ``out`` has other files
            or other utterances.
    """
    if copies < 1:
        raise UserError(f"--copies {copies} must be at least 1")
    utterances = read_with_audio(source)
    if unseen := next((u.id for u in utterances if u.video is None), None):
        raise UserError(f"{source} has no video of '{unseen}'; give a data directory whose utterances all have video")
    clock = read_clock(source)
    if times is not None:
        content = hashlib.sha256(times.read_bytes()).hexdigest() if times.is_file() else None
        words_of = partial(_stored, words=read_ctm(times), path=times)
    else:
        assert align is not None, "one of both is given"
        content, words_of = "aligned", partial(_aligned, align=align, sample_rate=clock.sample_rate)
    out = out.resolve()
    options = {SPLICED: copies, **({"words": os.path.relpath(times.resolve(), out)} if times else {})}
    make = partial(_with_spliced, copies=copies, words_of=words_of, clock=clock)
    made_by = ["splice", MAX_CUTS, FADE_SECONDS, copies, content]
    write_derived(source, out, make, made_by, replace_others and is_made_with(out, SPLICED), **options)
    found = read_manifest(out)
    hours = sum(u.frames for u in found) / clock.fps / 3600
    return f"{out}: {len(found)} utterances, {len(found) - len(utterances)} of them spliced, {hours:.2f} h"


def _stored(utterance: Utterance, words: Mapping[str, list[Timed]], path: Path) -> list[Timed]:
    if utterance.id not in words:
        raise UserError(f"{path} has no words of it")
    return words[utterance.id]


def _aligned(utterance: Utterance, align: Align, sample_rate: int) -> list[Timed]:
    assert utterance.audio is not None, "write_spliced refuses utterances without it"
    return align(read_audio(utterance.audio, sample_rate), sample_rate, utterance.text or "")


def _with_spliced(
    utterances: list[Utterance],
    folder: Path,
    copies: int,
    words_of: Callable[[Utterance], list[Timed]],
    clock: Clock,
) -> list[Utterance]:
    """The utterances and the spliced ones, whose files are written into ``folder`` where they are not there yet."""
    boundaries: dict[str, list[int]] = {}
    reasons: list[str] = []
    for u in ProgressBar(utterances, "word times", unit="utterance"):
        try:
            boundaries[u.id] = _boundaries(u, words_of(u), clock.fps)
        except UserError as error:
            reasons.append(f"{u.id}: {reason_of(error)}")
    jobs = _copies([u for u in utterances if u.id in boundaries], boundaries, copies)
    if not jobs:
        why = f"; {len(reasons)} have no usable word times, e.g. {reasons[0]}" if reasons else ""
        raise UserError(f"no speaker has two utterances that can be spliced{why}")
    if twice := next((u.id for u in utterances if u.id in jobs), None):
        raise UserError(f"'{twice}' is the id of a spliced utterance; rename it in every table of its data directory")
    (folder / "audio").mkdir(exist_ok=True)
    (folder / "video").mkdir(exist_ok=True)
    spliced = []
    for key, parts in ProgressBar(list(jobs.items()), "splicing", unit="utterance"):
        spans = [(p.utterance, *(boundaries[p.utterance.id][word] for word in (p.first, p.end))) for p in parts]
        audio, video = folder / "audio" / f"{key}.flac", folder / "video" / f"{key}.mp4"
        if not audio.exists():
            write_audio(audio, np.concatenate([_audio(u, clock, *span) for u, *span in spans]), clock.sample_rate)
        if not video.exists():
            write_crops(video, np.concatenate([_crops(u, *span) for u, *span in spans]), clock.fps)
        text = " ".join(word for p in parts for word in (p.utterance.text or "").split()[p.first : p.end])
        frames = sum(end - start for _, start, end in spans)
        spliced.append(replace(parts[0].utterance, id=key, frames=frames, audio=audio, video=video, text=text))
    write_origins(folder, {key: [p.utterance.id for p in parts] for key, parts in jobs.items()})
    if reasons:
        print(f"{len(reasons)} utterances are not spliced, as their word times are not known, e.g. {reasons[0]}")
    return [*utterances, *spliced]


def _copies(
    utterances: Sequence[Utterance], boundaries: Mapping[str, list[int]], copies: int
) -> dict[str, tuple[Part, ...]]:
    """Id -> parts of the spliced utterances, each other than the rest."""
    of_speaker: defaultdict[str, list[Utterance]] = defaultdict(list)
    for u in sorted(utterances, key=lambda u: -len(boundaries[u.id])):  # those with more words than a number are first
        of_speaker[u.speaker].append(u)
    words = {speaker: [1 - len(boundaries[u.id]) for u in some] for speaker, some in of_speaker.items()}
    found: dict[str, tuple[Part, ...]] = {}
    known = set()
    for u in utterances:
        for number in range(1, copies + 1):
            parts = _parts(u, number, of_speaker[u.speaker], words[u.speaker], boundaries)
            identity = tuple((p.utterance.id, p.first) for p in parts)
            if len(parts) > 1 and identity not in known:
                known.add(identity)
                found[f"{u.id}+{number}"] = parts
    return found


def _boundaries(utterance: Utterance, words: Sequence[Timed], fps: int) -> list[int]:
    """The video frames at which an utterance may be cut: before its first word, its start; between two words; after its
    last word, its end. Raises UserError where the words are not those of its text, or have no frame of their own."""
    texts = (utterance.text or "").split()
    if [word.text.casefold() for word in words] != [text.casefold() for text in texts]:
        raise UserError("the words with times are not those of the text")
    between = [round((one.end + other.start) / 2 * fps) for one, other in pairwise(words)]
    frames = [0, *between, utterance.frames]
    if any(start >= end for start, end in pairwise(frames)):
        raise UserError("a word is shorter than a video frame, or beyond the end")
    return frames


def _parts(
    utterance: Utterance,
    number: int,
    others: Sequence[Utterance],
    words: Sequence[int],
    boundaries: Mapping[str, list[int]],
) -> tuple[Part, ...]:
    """The parts of a copy, chosen by a hash of its id.

    Args:
        utterance: with the first part.
        number: of the copy.
        others: utterances of the speaker, those with most words first.
        words: their negative numbers of words, ascending.
        boundaries: of all of them.
    """
    digest = hashlib.sha256(f"{utterance.id} {number}".encode()).digest()
    random = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    count = len(boundaries[utterance.id]) - 1
    cuts = random.permutation(np.arange(1, count))[: int(random.integers(1, MAX_CUTS + 1))]
    parts, current, first = [], utterance, 0
    for cut in map(int, sorted(cuts)):
        longer = bisect_left(words, -cut)  # so many have a word after the cut
        if longer < 2 or len(boundaries[current.id]) - 1 <= cut:
            break
        parts.append(Part(current, first, cut))
        drawn = int(random.integers(longer))
        current, first = next(u for u in (others[drawn], others[(drawn + 1) % longer]) if u.id != current.id), cut
    return (*parts, Part(current, first, len(boundaries[current.id]) - 1))


def _audio(utterance: Utterance, clock: Clock, start: int, end: int) -> np.ndarray:
    """The audio (N,) of video frames ``start`` to ``end``, faded at cuts."""
    assert utterance.audio is not None, "write_spliced refuses utterances without it"
    whole, per_frame = read_audio(utterance.audio, clock.sample_rate), clock.samples_per_frame
    if len(whole) != utterance.frames * per_frame:
        raise _other_length(utterance.audio)
    cut = whole[start * per_frame : end * per_frame].copy()
    ramp = np.linspace(0, 1, round(FADE_SECONDS * clock.sample_rate), dtype=cut.dtype)
    if start:
        cut[: len(ramp)] *= ramp
    if end < utterance.frames:
        cut[-len(ramp) :] *= ramp[::-1]
    return cut


def _crops(utterance: Utterance, start: int, end: int) -> np.ndarray:
    """Its mouth crops, uint8 (T,H,W), of video frames ``start`` to ``end``."""
    assert utterance.video is not None, "write_spliced refuses utterances without it"
    crops = read_crops(utterance.video, start, end - start)
    if len(crops) != end - start:
        raise _other_length(utterance.video)
    return crops


def _other_length(location: Path) -> UserError:
    return UserError.about(location, "is not as long as its data directory says; run stage 1 with --force")
