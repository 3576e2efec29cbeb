"""GE2E d-vectors (Wan et al. 2018) computed by resemblyzer, always from other clips of the speaker."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from v2skit.data.data_dir import Utterance, read_clock, read_manifest
from v2skit.data.lookup import Lookup
from v2skit.errors import UserError
from v2skit.media.ark import open_location, read_vector, write_vectors
from v2skit.media.audio import read_audio
from v2skit.media.audio_stream import decode_audio
from v2skit.system.atomic import write_text
from v2skit.system.extras import needs
from v2skit.system.provenance import Provenance

DIM = 256
RATE = 16000
TABLE, SOURCES = "d_vector", "d_vector_sources"
RECORD = "d_vector.json"
"""What the d-vectors were computed from: their sources, and a digest of these clips' audio."""


class DVector(nn.Module):
    """A 256-d d-vector of other clips of the speaker, computed at preparation by resemblyzer.

    Args:
        clips: largest number of a speaker's other clips whose d-vectors are averaged; zeros where there is no other.
    """

    out_dim = DIM
    accepts_recording = True

    def __init__(self, clips: int = 10) -> None:
        super().__init__()
        self.clips = clips

    def prepare(self, directory: Path) -> None:
        """Write ``d_vector.ark/.scp``, and ``d_vector_sources``: the clips whose d-vectors each one averages.

        Those that were computed from the same audio of the same clips are kept.

        Raises:
            UserError: resemblyzer is not installed.
        """
        utterances = read_manifest(directory)
        sources = other_clips(utterances, self.clips)
        content = "".join(f"{key} {' '.join(names) or '-'}\n" for key, names in sorted(sources.items()))
        used = {name for names in sources.values() for name in names}
        rate = read_clock(directory).sample_rate
        clips = [u for u in sorted(utterances, key=lambda u: u.id) if u.id in used]
        made_from = Provenance({"sources": content, "audio": _digest(clips), "sample_rate": rate})
        archive, table, record = (directory / name for name in (f"{TABLE}.ark", f"{TABLE}.scp", RECORD))
        if archive.exists() and table.exists() and _is_of(record, made_from):
            return
        record.unlink(missing_ok=True)  # it must never stand for other vectors
        vectors = _embed(clips, rate)
        means = ((key, _mean([vectors[name] for name in names])) for key, names in sorted(sources.items()))
        write_vectors(archive, table, means)
        write_text(directory / SOURCES, content)
        made_from.write(record)

    def reader(self, directory: Path) -> _Reader:
        """(utterance id, speaker) -> float32 (256,). Raises UserError where the directory has no d-vectors."""
        if not (directory / f"{TABLE}.scp").exists():
            raise UserError(f"{directory} has no d-vectors; stage 1 computes them")
        return _Reader(directory)

    def voice(self, name: str | None) -> np.ndarray:
        """The d-vector of a recording, float32 (256,). Raises UserError where none is named, or it can't be read."""
        if name is None:
            raise UserError("this model needs a voice: --voice FILE, a recording of the voice to synthesise")
        embed, recording = _encoder(), decode_audio(Path(name), RATE)
        from resemblyzer import preprocess_wav

        if not recording.any() or not len(preprocess_wav(recording, RATE)):
            raise UserError.about(Path(name), "has no voice in it; give some seconds of one person's speech")
        vector = embed(recording, RATE)
        return (vector / max(float(np.linalg.norm(vector)), 1e-8)).astype(np.float32)

    def forward(self, speaker: Tensor) -> Tensor:
        """(B,256) -> (B,256)."""
        return speaker


def other_clips(utterances: list[Utterance], clips: int) -> dict[str, list[str]]:
    """For each utterance the ids of up to ``clips`` clips of its speaker with sound, itself never among them.

    The first by a hash of their names, so that nearly the same clips serve all clips of a speaker.
    """
    speakers: dict[str, list[str]] = {}
    for u in utterances:
        if u.audio:
            speakers.setdefault(u.speaker, []).append(u.id)
    for names in speakers.values():
        names.sort(key=lambda name: hashlib.sha256(name.encode()).digest())
    return {u.id: [n for n in speakers.get(u.speaker, [])[: clips + 1] if n != u.id][:clips] for u in utterances}


class _Reader:
    """Reads the d-vectors of a data directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._places = Lookup(directory / f"{TABLE}.scp")

    def __call__(self, utterance: str, speaker: str) -> np.ndarray:
        remedy = f"delete {self.directory / TABLE}.scp and run stage 1 again"
        try:
            place = self._places.get(utterance)
        except ValueError as error:  # it is empty, or not UTF-8
            raise UserError(f"{self._places.path} is damaged ({error}); {remedy}") from error
        if place is None:
            raise UserError(f"{self.directory} has no d-vector of '{utterance}'; stage 1 computes them")
        # It has the path at preparation; the data directory may have been moved since, with the archive in it.
        entry = self.directory / f"{TABLE}.ark:{place.rpartition(':')[2]}"
        try:
            vector = read_vector(entry, remedy)
        except OSError as error:
            raise UserError(f"{entry} can't be read ({error}); {remedy}") from error
        if not np.isfinite(vector).all():
            raise UserError(f"{entry} is not finite; {remedy}")
        if vector.size != DIM:
            raise UserError(f"{entry} has {vector.size} values, a d-vector has {DIM}; {remedy}")
        return vector.reshape(DIM)


def _is_of(record: Path, made_from: Provenance) -> bool:
    """Whether a record exists and is the same; one that is damaged is not."""
    try:
        before = Provenance.read(record)
    except UserError:
        return False
    return before is not None and not before.diff(made_from)


def _digest(utterances: list[Utterance]) -> str:
    """Of the files or archive entries with the utterances' audio. Raises UserError where one can't be read."""
    found = hashlib.sha256()
    for name, audio in ((u.id, u.audio) for u in utterances if u.audio is not None):
        try:
            source = open_location(audio)
            content = Path(source).read_bytes() if isinstance(source, str) else source.read()
        except OSError as error:
            raise UserError.about(audio, f"can't be read ({error}); stage 1 with --force makes it") from error
        found.update(f"{name} {len(content)}\n".encode())
        found.update(content)
    return found.hexdigest()[:12]


def _mean(vectors: list[np.ndarray]) -> np.ndarray:
    """Their mean, normalised; zeros where there are none. (256,)."""
    mean = np.mean(vectors, axis=0) if vectors else np.zeros(DIM)
    return mean / max(float(np.linalg.norm(mean)), 1e-8)


def _embed(utterances: list[Utterance], rate: int) -> dict[str, np.ndarray]:
    embed = _encoder()
    return {u.id: embed(read_audio(u.audio, rate), rate) for u in utterances if u.audio is not None}


@cache
def _encoder() -> Callable[[np.ndarray, int], np.ndarray]:
    """(waveform, its rate) -> d-vector. Raises UserError where resemblyzer is not installed."""
    with needs("d_vector", "speaker 'd_vector'"):
        from resemblyzer import VoiceEncoder, preprocess_wav

    encoder = VoiceEncoder("cpu", verbose=False)
    return lambda waveform, rate: encoder.embed_utterance(preprocess_wav(waveform, rate))
