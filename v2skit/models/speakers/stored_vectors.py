"""The d-vectors of a data directory: those of its clips, and the table of each speaker's clips."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np

from v2skit.data.data_dir import Utterance
from v2skit.data.lookup import Lookup
from v2skit.errors import UserError, nearest
from v2skit.media.ark import read_vector, write_vectors
from v2skit.system.atomic import write_text

DIM = 256
TABLE, CLIPS = "d_vector", "d_vector_clips"
"""``d_vector.ark/.scp``: utterance -> d-vector; ``d_vector_clips``: speaker, percent-encoded, -> utterances in it."""
FORMER = "d_vector_sources"
"""A file of earlier versions: their vectors were means over other clips, nearly the same for all of a speaker."""
TRAINING = "d_vector_training"
"""Where speakers have a single clip in a directory: path, from it, of the training data with others of theirs."""
ORIGINS = "spliced_from"
"""Of directories with spliced utterances: each of these -> the utterances that it has words of."""
MAX_DRAWN = 2
"""Clips whose mean is a training example's d-vector; one as often as two."""
VOICE_CLIPS = 20
"""Clips whose mean is a speaker's voice."""


def clips_of_speakers(utterances: Iterable[Utterance], most: int) -> dict[str, list[str]]:
    """For each speaker the ids of up to ``most`` clips with sound, the first by a hash of their ids."""
    speakers: dict[str, list[str]] = {}
    for u in utterances:
        speakers.setdefault(u.speaker, []).extend([u.id] if u.audio else [])
    for names in speakers.values():
        names.sort(key=lambda name: hashlib.sha256(name.encode()).digest())
    return {speaker: names[:most] for speaker, names in speakers.items()}


def write_origins(directory: Path, origins: Mapping[str, list[str]]) -> None:
    """Write the utterances that each spliced one has words of."""
    write_text(directory / ORIGINS, "".join(sorted(f"{name} {' '.join(of)}\n" for name, of in origins.items())))


def unspliced(directory: Path, utterances: Iterable[Utterance]) -> list[Utterance]:
    """Those of a data directory's utterances that are not spliced."""
    path = directory / ORIGINS
    spliced = {line.split()[0] for line in path.read_text(encoding="utf-8").splitlines()} if path.exists() else set()
    return [u for u in utterances if u.id not in spliced]


def table_of(clips: Mapping[str, list[str]]) -> str:
    """The text of ``d_vector_clips``."""
    return "".join(sorted(f"{' '.join([quote(speaker, safe=''), *names])}\n" for speaker, names in clips.items()))


def write(directory: Path, clips: Mapping[str, list[str]], vectors: Iterable[tuple[str, np.ndarray]]) -> None:
    """Write the files, the table of the clips last: a reader needs it.

    Args:
        directory: a data directory.
        clips: of each speaker; those without a vector are left out.
        vectors: (utterance id, d-vector (256,)), sorted by id.
    """
    for name in (CLIPS, FORMER):
        (directory / name).unlink(missing_ok=True)
    written = set()

    def noted() -> Iterator[tuple[str, np.ndarray]]:
        for utterance, vector in vectors:
            written.add(utterance)
            yield utterance, vector

    write_vectors(directory / f"{TABLE}.ark", directory / f"{TABLE}.scp", noted())
    found = {speaker: [name for name in names if name in written] for speaker, names in clips.items()}
    write_text(directory / CLIPS, table_of(found))


def link(directory: Path, training: Path) -> None:
    """Let the speakers of a data directory who have no other clip there have those in the training data.

    Args:
        directory: a data directory with d-vectors.
        training: another one.
    """
    ours, theirs = _table(directory), _table(training)
    if any(len(names) < 2 and set(theirs.get(speaker, ())) - set(names) for speaker, names in ours.items()):
        text = f"{os.path.relpath(training, directory)}\n"
    else:
        text = ""
    path = directory / TRAINING
    if text == (path.read_text(encoding="utf-8") if path.exists() else ""):
        return  # the directory may be read-only
    if text:
        write_text(path, text)
    else:
        path.unlink()


def _table(directory: Path) -> dict[str, list[str]]:
    """Speaker -> utterances."""
    lines = (line.split() for line in (directory / CLIPS).read_text(encoding="utf-8").splitlines())
    return {unquote(speaker): names for speaker, *names in lines}


def mean(vectors: list[np.ndarray]) -> np.ndarray:
    """Their mean, normalised, float32 (256,); zeros where there are none."""
    total = np.sum(vectors, axis=0, dtype=np.float64) if vectors else np.zeros(DIM)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-8), np.float32)


class OtherClips:
    """(utterance id, speaker) -> the mean d-vector of other clips of the speaker, for a spliced one of clips that it
    has no words of: of the directory or, where it has no other, of the training data that it is linked to; zeros where
    there is none at all.

    Args:
        directory: a data directory.
        clips: largest number of clips in a mean.
        linked: whether its link is followed.

    Raises:
        UserError: the directory has no d-vectors, or those of an earlier version.
    """

    def __init__(self, directory: Path, clips: int, linked: bool = True) -> None:
        self.directory, self.clips = directory, clips
        if (directory / FORMER).exists():
            former = f"the d-vectors of {directory} are of an earlier version"
            raise UserError(f"{former}; stage 1 of its recipe computes them again")
        if not directory.is_dir():
            raise UserError(f"{directory} does not exist; give a prepared data directory{nearest(directory)}")
        if not (directory / CLIPS).exists():
            raise UserError(f"{directory} has no d-vectors; stage 1 of its recipe computes them")
        self._places, self._speakers = Lookup(directory / f"{TABLE}.scp"), Lookup(directory / CLIPS)
        self._origins = Lookup(directory / ORIGINS) if (directory / ORIGINS).exists() else None
        self._training = None
        if linked and (link := directory / TRAINING).exists():
            self._training = OtherClips(directory / link.read_text(encoding="utf-8").strip(), clips, linked=False)
        self._remedy = f"delete {directory / TABLE}.scp and run stage 1 again"

    def __call__(self, utterance: str, speaker: str) -> np.ndarray:
        """The mean over the first ``clips`` other clips, float32 (256,). Raises UserError where a file is damaged."""
        others = self._others(utterance, speaker)
        if not others and self._training is not None and self._training.has(speaker):
            return self._training(utterance, speaker)
        return self._mean(others[: self.clips])

    def has(self, speaker: str) -> bool:
        """Whether the directory has clips of the speaker. Raises UserError as the call does."""
        return self._get(self._speakers, quote(speaker, safe="")) is not None

    def draw(self, utterance: str, speaker: str, random: np.random.Generator) -> np.ndarray:
        """The mean over one or two other clips at random, float32 (256,). Raises UserError as the call does."""
        others = self._others(utterance, speaker)
        count = min(int(random.integers(1, MAX_DRAWN + 1)), len(others))
        return self._mean([others[index] for index in random.choice(len(others), count, replace=False)])

    @cached_property
    def digest(self) -> str:
        """Of what it reads, and of how many clips are in a mean."""
        content = hashlib.sha256(f"{self.clips}\n".encode())
        for name in (CLIPS, f"{TABLE}.ark", *([ORIGINS] if self._origins else [])):
            content.update((self.directory / name).read_bytes())
        if self._training is not None:
            content.update(self._training.digest.encode())
        return content.hexdigest()

    def voices(self) -> dict[str, np.ndarray]:
        """Of each speaker with sound the mean over up to 20 clips, float32 (256,). Raises UserError as the call."""
        return {s: self._mean(names[:VOICE_CLIPS]) for s, names in _table(self.directory).items() if names}

    def _others(self, utterance: str, speaker: str) -> list[str]:
        names = self._get(self._speakers, quote(speaker, safe=""))
        if names is None:
            missing = f"has no d-vectors of speaker '{speaker}'; stage 1 of its recipe computes them"
            raise UserError(f"{self.directory} {missing}")
        own = (self._get(self._origins, utterance) if self._origins else None) or utterance
        return [name for name in names.split() if name not in own.split()]

    def _mean(self, utterances: list[str]) -> np.ndarray:
        return mean([self._vector(utterance) for utterance in utterances])

    def _vector(self, utterance: str) -> np.ndarray:
        place = self._get(self._places, utterance)
        if place is None:
            raise UserError(f"{self.directory} has no d-vector of '{utterance}'; {self._remedy}")
        # It has the path at preparation; the data directory may have been moved since, with the archive in it.
        entry = self.directory / f"{TABLE}.ark:{place.rpartition(':')[2]}"
        try:
            vector = read_vector(entry, self._remedy)
        except OSError as error:
            raise UserError(f"{entry} can't be read ({error}); {self._remedy}") from error
        if not np.isfinite(vector).all():
            raise UserError(f"{entry} is not finite; {self._remedy}")
        if vector.size != DIM:
            raise UserError(f"{entry} has {vector.size} values, a d-vector has {DIM}; {self._remedy}")
        return vector.reshape(DIM)

    def _get(self, table: Lookup, key: str) -> str | None:
        try:
            return table.get(key)
        except (ValueError, OSError) as error:  # it is empty, not UTF-8, or gone
            raise UserError(f"{table.path} is damaged ({error}); {self._remedy}") from error
