"""Utterances of data directories -> batches; every random choice is a function of (seed, epoch, utterance)."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from v2skit.config.augmentation import Augmentation
from v2skit.config.features import Clock
from v2skit.data.augment import augment, centre_crop, normalise
from v2skit.data.batch import PADDING, Batch
from v2skit.data.by_length import ByLength
from v2skit.data.index import Joined, open_index
from v2skit.data.sampler import Key
from v2skit.data.streams import StoredStream
from v2skit.data.tempo import Excerpt, draw_excerpt, excerpt_length, interpolate_frames
from v2skit.errors import UserError
from v2skit.media.audio import read_audio
from v2skit.media.crops import read_crops
from v2skit.signal.tempo import change_tempo

SpeakerReader = Callable[[str, str], np.ndarray]
"""(utterance id, speaker) -> the input of the speaker component's forward, for one utterance; it may have ``draw``, see
:mod:`v2skit.models.speakers`."""


@dataclass(frozen=True)
class Example:
    """A training example: waveform (N,) float32, crops normalised (T,1,H,W) float32 or None, stored streams (L,...),
    and the audio before and after the waveform (2,P)."""

    id: str
    frames: int
    speaker: np.ndarray
    waveform: np.ndarray
    margins: np.ndarray
    video: np.ndarray | None
    extras: Mapping[str, np.ndarray]
    position: tuple[int, int]


class SpeechDataset(Dataset):
    """Training examples from audio-only or audio-visual data directories.

    Args:
        directories: data directories.
        readers: for each directory, the speaker component's reader.
        clock: rates of audio and video.
        with_video: read the mouth crops too.
        augmentation: of the crops; its ``crop`` is the side of the frontend's input. Its ``tempos`` hold for audio and
            video, and allow no stored streams but sequences.
        training: random segments, augmented crops, speaker inputs that are drawn where the reader can; otherwise whole
            utterances, centre crop.
        segment_frames: longest segment in training, None: whole utterances.
        seed: of all random choices.
        cache_mb: memory for decoded files, in each data loading process.
        streams: for each directory, the stored streams by name; empty: none.
        margin_samples: audio read before and after a segment, for its mel (:meth:`Batch.with_mel`).

    Raises:
        UserError: a directory is not prepared, empty, or lacks the required audio or video.
    """

    def __init__(
        self,
        directories: list[Path],
        readers: list[SpeakerReader],
        clock: Clock,
        with_video: bool,
        augmentation: Augmentation,
        training: bool,
        segment_frames: int | None = None,
        seed: int = 1,
        cache_mb: int = 0,
        streams: Sequence[Mapping[str, StoredStream]] = (),
        margin_samples: int = 0,
    ) -> None:
        self.clock, self.with_video, self.augmentation = clock, with_video, augmentation
        self.training = training
        self.tempos = augmentation.tempos if training and with_video else [1.0]
        self.segment_frames = segment_frames if training else None
        self.margin_samples = margin_samples if self.segment_frames else 0
        self.seed, self.cache_bytes = seed, cache_mb * 1_000_000
        self._cache: dict[Path, np.ndarray] = {}
        self._readers, self._streams = readers, streams or [{}] * len(directories)
        indexes = [open_index(directory) for directory in directories]
        for directory, index, _ in zip(directories, indexes, readers, strict=True):
            if not len(index):
                raise UserError(f"{directory} has no utterances; see its report.md, and prepare again (stage 1)")
            for name in ("audio", "video") if with_video else ("audio",):
                count, example = index.lacking[name]
                if count:
                    raise UserError(
                        f"{directory}: {count} utterances have no {name} (e.g. {example}); training needs it"
                    )
        self.utterances = Joined(indexes)

    @property
    def by_length(self) -> ByLength:
        """The utterances in order of length, for the sampler."""
        return ByLength([index.runs for index in self.utterances.indexes], self.segment_frames)

    def __len__(self) -> int:
        return len(self.utterances)

    def sequences(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each utterance: its number of values in a stored sequence, its video frames at the fastest tempo, and the
        share of the tempos at which it is whole in a batch, not cut to a segment; (U,) each."""
        counts = np.concatenate([streams[name].lengths for streams in self._streams])
        frames = np.concatenate([index.frames for index in self.utterances.indexes])
        whole = [excerpt_length(frames, self.segment_frames, tempo) == frames for tempo in self.tempos]
        return counts, np.rint(frames / max(self.tempos)).astype(int), np.mean(whole, axis=0)

    def __getitem__(self, key: Key) -> Example:
        directory, row = self.utterances.place(key.number)
        u = self.utterances.indexes[directory][row]
        random = np.random.default_rng([self.seed, key.epoch, zlib.crc32(u.id.encode())])
        excerpt = draw_excerpt(u.frames, self.segment_frames, self.tempos, random)
        start, length, frames = excerpt
        video = None
        if self.with_video:
            crops = self._part(u.video, read_crops, u.frames, start, length)
            if self.training:
                crops = interpolate_frames(crops, frames)
                video = normalise(augment(crops, self.augmentation, self.clock.fps, random))
            else:
                video = normalise(centre_crop(crops, self.augmentation.crop))
        waveform, margins = self._audio(u.audio, u.frames, excerpt)
        reader = self._readers[directory]
        draw = getattr(reader, "draw", None) if self.training else None
        speaker = draw(u.id, u.speaker, random) if draw else reader(u.id, u.speaker)
        stored = self._streams[directory].items()
        extras = {name: stream.read(row, start, length, length == u.frames) for name, stream in stored}
        return Example(u.id, frames, speaker, waveform, margins, video, extras, key.position)

    def _audio(self, path: Path | None, available: int, excerpt: Excerpt) -> tuple[np.ndarray, np.ndarray]:
        """The samples of an excerpt from a file of ``available`` video frames, and the margins (2,P) before and after
        them, of the same tempo."""
        (start, length, frames), per_frame, rate = excerpt, self.clock.samples_per_frame, self.clock.sample_rate
        whole = -(-self.margin_samples // frames)  # so that a margin of another tempo has a whole number of samples
        margin, first, count = whole * length, start * per_frame, length * per_frame
        before, after = min(margin, first), min(margin, available * per_frame - first - count)
        read = self._part(
            path,
            lambda p, s, n: read_audio(p, rate, s, n),
            available * per_frame,
            first - before,
            before + count + after,
        )
        around = np.pad(read, (margin - before, margin - after))
        around = change_tempo(around, len(around) // length * frames, rate)
        first, last, margin = whole * frames, len(around) - whole * frames, self.margin_samples
        return around[first:last], np.stack([around[first - margin : first], around[last : last + margin]])

    def _part(
        self,
        path: Path | None,
        read: Callable[[Path, int, int | None], np.ndarray],
        length: int,
        start: int,
        count: int,
    ) -> np.ndarray:
        """``count`` samples or frames of a file from ``start`` on; whole files are cached within the memory limit.

        Raises:
            UserError: the length of the file differs from the data directory's tables.
        """
        assert path is not None, "the constructor refuses utterances without it"
        if path not in self._cache and self.cache_bytes > 0:
            self._cache[path] = read(path, 0, None)
            self.cache_bytes -= self._cache[path].nbytes
        part = self._cache[path][start : start + count] if path in self._cache else read(path, start, count)
        found = len(self._cache[path]) if path in self._cache else length
        if found != length or len(part) != count:
            raise UserError(f"{path} is not as long as its data directory says ({length}); prepare it again")
        return part


def collate(clips: list[Example]) -> Batch:
    """Zero-pad examples to the longest; the mask is False in the padding."""
    frames = torch.tensor([c.frames for c in clips])
    mask = torch.arange(int(frames.max()))[None] < frames[:, None]
    return Batch(
        ids=[c.id for c in clips],
        mask=mask,
        speaker=torch.from_numpy(np.stack([c.speaker for c in clips])),
        waveform=_padded([c.waveform for c in clips]),
        video=None if clips[0].video is None else _padded([c.video for c in clips if c.video is not None]),
        extras={name: _padded([c.extras[name] for c in clips]) for name in clips[0].extras},
        position=clips[0].position,
        margins=torch.from_numpy(np.stack([c.margins for c in clips])),
    )


def _padded(arrays: list[np.ndarray]) -> torch.Tensor:
    """(L,...) of several lengths -> (B,L,...): floats padded with zeros, integers, as int64, with PADDING."""
    shape = (len(arrays), max(map(len, arrays)), *arrays[0].shape[1:])
    integers = np.issubdtype(arrays[0].dtype, np.integer)
    out = torch.full(shape, PADDING, dtype=torch.int64) if integers else torch.zeros(shape)
    for row, array in zip(out, arrays):
        row[: len(array)] = torch.from_numpy(array)
    return out
