"""GE2E d-vectors (Wan et al. 2018) computed by resemblyzer, always from other clips of the speaker."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from v2skit.config.limits import Dropout, Width, check_range
from v2skit.data.data_dir import Utterance, read_clock, read_manifest
from v2skit.errors import UserError
from v2skit.media.ark import open_location
from v2skit.media.audio import read_audio
from v2skit.media.audio_stream import decode_audio
from v2skit.models.speakers import stored_vectors
from v2skit.models.speakers.stored_vectors import CLIPS, DIM, FORMER, TABLE, OtherClips, mean
from v2skit.system.extras import needs
from v2skit.system.progress import ProgressBar
from v2skit.system.provenance import Provenance

RATE = 16000
RECORD = "d_vector.json"
"""What the d-vectors were computed from: digests of the table of clips, and of these clips' audio."""


class DVector(nn.Module):
    """A 256-d d-vector of other clips of the speaker: the mean over ``clips`` of them, in training over one or two that
    are drawn anew in each epoch. Each clip's own d-vector is computed at preparation, by resemblyzer.

    The *unknown voice* is an embedding that is learned in place of d-vectors that are dropped out. Clips whose speaker
    has no other clip (for validation and test data, none in the training data either) have it, and synthesis where no
    voice is named.

    Args:
        clips: largest number of other clips whose d-vectors are averaged, except in training.
        pool: largest number of a speaker's clips whose d-vectors are computed.
        dropout: share of the training clips that have the unknown voice; 0: there is none, clips without another clip
            of their speaker have zeros, and synthesis needs a voice.
        scale: factor of the d-vectors, whose norm is 1; 16: their root mean square is 1, as of normalised features.

    Raises:
        UserError: the scale is out of range.
    """

    out_dim = DIM
    accepts_recording = True
    reference = "other clips of the talker"
    output_arguments = ("scale",)
    training_arguments = ("clips", "pool", "dropout")

    def __init__(self, clips: Width = 10, pool: Width = 100, dropout: Dropout = 0.1, scale: float = 16.0) -> None:
        super().__init__()
        self.clips, self.pool, self.dropout, self.scale = clips, pool, dropout, scale
        check_range(self, scale=(1e-3, 1e3))
        self.unknown = nn.Parameter(torch.zeros(DIM)) if dropout else None

    @property
    def default_voice(self) -> str | None:
        """What :meth:`voice` gives where none is named, for people; None where one must be named."""
        return None if self.unknown is None else "unknown voice"

    def prepare(self, directory: Path) -> None:
        """Write ``d_vector.ark/.scp``, and ``d_vector_clips``: the clips of each speaker that have a d-vector.

        Those that were computed from the same audio of the same clips are kept.

        Raises:
            UserError: resemblyzer is not installed, or the audio can't be read.
        """
        utterances = stored_vectors.unspliced(directory, read_manifest(directory))
        clips = stored_vectors.clips_of_speakers(utterances, self.pool)
        used = {name for names in clips.values() for name in names}
        chosen = [u for u in sorted(utterances, key=lambda u: u.id) if u.id in used]
        rate, record = read_clock(directory).sample_rate, directory / RECORD
        table = hashlib.sha256(stored_vectors.table_of(clips).encode()).hexdigest()[:12]
        made_from = Provenance({"clips": table, "audio": _digest(chosen), "sample_rate": rate})
        files = (f"{TABLE}.ark", f"{TABLE}.scp", CLIPS)
        if all((directory / name).exists() for name in files) and _is_of(record, made_from):
            return
        if (directory / FORMER).exists():
            print(f"{directory}: its d-vectors are of an earlier version, and computed again for each clip")
        record.unlink(missing_ok=True)  # it must never stand for other vectors
        bar = ProgressBar(chosen, f"d-vectors of {directory.name}", unit="clip", disable=None)
        stored_vectors.write(directory, clips, _embed(bar, rate))
        made_from.write(record)

    def link(self, directory: Path, training: Path) -> None:
        """Let the speakers of a directory who have no other clip there have those in the training data."""
        stored_vectors.link(directory, training)

    def reader(self, directory: Path) -> OtherClips:
        """(utterance id, speaker) -> float32 (256,), and ``draw`` for training. Raises UserError where the directory
        has no d-vectors, or those of an earlier version."""
        return OtherClips(directory, self.clips)

    def voices_of(self, directory: Path) -> dict[str, np.ndarray]:
        """The mean d-vector of each speaker of a data directory, over up to 20 clips, float32 (256,). Raises UserError
        as :meth:`reader` does, or where they are damaged."""
        return self.reader(directory).voices()

    def voice(self, name: str | None) -> np.ndarray:
        """The d-vector of a recording, or zeros where none is named and there is an unknown voice; float32 (256,).
        Raises UserError where one must be named, or can't be read."""
        if name is None and self.unknown is not None:
            return mean([])
        if name is None:
            raise UserError("this model needs a voice: --voice FILE, a recording of the voice to synthesise")
        vector = voice_encoder()(decode_audio(Path(name), RATE), RATE)
        if vector is None:
            raise UserError.about(Path(name), "has no voice in it; give some seconds of one person's speech")
        return mean([vector])

    def forward(self, speaker: Tensor) -> Tensor:
        """d-vectors (B,256), zeros for the unknown voice -> (B,256)."""
        scaled = self.scale * speaker
        if self.unknown is None:
            return scaled
        known = speaker.any(dim=1, keepdim=True)  # (B, 1)
        if self.training:
            known = known & (torch.rand(known.shape, device=speaker.device) >= self.dropout)
        return torch.where(known, scaled, self.unknown)


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


def _embed(utterances: Iterable[Utterance], rate: int) -> Iterator[tuple[str, np.ndarray]]:
    """(utterance id, its d-vector (256,)) of those that have a voice in their audio."""
    embed = voice_encoder()
    for u in utterances:
        vector = None if u.audio is None else embed(read_audio(u.audio, rate), rate)
        if vector is not None:
            yield u.id, vector


@cache
def voice_encoder() -> Callable[[np.ndarray, int], np.ndarray | None]:
    """(waveform (N,), its rate) -> d-vector (256,), None where no voice is found. Raises UserError where resemblyzer is
    not installed."""
    with needs("d_vector", "speaker 'd_vector'"):
        from resemblyzer import VoiceEncoder, preprocess_wav

    encoder = VoiceEncoder("cpu", verbose=False)

    def embed(waveform: np.ndarray, rate: int) -> np.ndarray | None:
        voiced = preprocess_wav(waveform, rate) if waveform.any() else waveform[:0]
        return encoder.embed_utterance(voiced) if len(voiced) else None

    return embed
