"""A copy of a data folder in which the audio of some clips, and what was computed from it, is replaced."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from v2skit.data.data_dir import Utterance, read_clock, read_manifest, read_table
from v2skit.data.index import NAME as INDEX
from v2skit.errors import UserError
from v2skit.media.ark import read_vector, split_location
from v2skit.media.audio import write_audio
from v2skit.media.kaldi import vector_entry
from v2skit.system.atomic import write_text

Change = Callable[[Utterance, int, int], np.ndarray]
"""(utterance, number of samples N, sample rate in Hz) -> its new audio, float32 (N,)."""


def changed_copy(
    folder: Path, name: str, copy: Path, videos: Iterable[str], changes: Mapping[str, Change] | None = None
) -> None:
    """Copy a folder of data directories; all that is not changed is a link.

    Args:
        folder: of the data directories.
        name: path in it of the directory that is changed.
        copy: folder to be created.
        videos: the utterances that keep their video; the others have audio only.
        changes: utterance id -> its new audio. Its vectors in the directory's tables (``d_vector.scp``) become
            random ones; those of other utterances stay. None: nothing is read or changed.

    Raises:
        UserError: the directory is not prepared or not in the folder, or its vectors are damaged.
    """
    if Path(name).is_absolute() or os.pardir in Path(name).parts:
        raise UserError(f"{name} is not in {folder}; move the data directory there, or give its own data.folder")
    source, target, kept = folder / name, copy / name, set(videos)
    _link_siblings(folder, copy, Path(name).parts)
    target.mkdir(parents=True)
    utterances = {u.id: u for u in read_manifest(source)}
    audio = {key: u.audio for key, u in utterances.items() if u.audio}
    clock = read_clock(source)
    for key, change in (changes or {}).items():
        waveform = change(utterances[key], utterances[key].frames * clock.samples_per_frame, clock.sample_rate)
        audio[key] = copy / "changed_audio" / f"{key}.flac"
        write_audio(audio[key], waveform, clock.sample_rate)
    video = {key: u.video for key, u in utterances.items() if u.video and key in kept}
    for table, paths in (("wav.scp", audio), ("video.scp", video)):
        write_text(target / table, "".join(f"{key} {path.resolve()}\n" for key, path in paths.items()))
    for path in source.iterdir():
        if path.name not in ("wav.scp", "video.scp", INDEX):
            (target / path.name).symlink_to(path.resolve())
    for vectors in sorted(source.glob("*.scp")):
        ark = source / f"{vectors.stem}.ark"
        if changes and vectors.name not in ("wav.scp", "video.scp") and ark.exists():
            _replace_vectors(ark, read_table(vectors), changes, target / ark.name)


def _link_siblings(folder: Path, copy: Path, parts: tuple[str, ...]) -> None:
    """Link everything in a folder, except what is on the path with these parts."""
    copy.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name != parts[0]:
            (copy / path.name).symlink_to(path.resolve())
    if len(parts) > 1:
        _link_siblings(folder / parts[0], copy / parts[0], parts[1:])


def _replace_vectors(ark: Path, places: dict[str, str], keys: Iterable[str], copy: Path) -> None:
    """Copy an archive of vectors, in which those of some utterances are random ones of the same norm."""
    copy.unlink()
    shutil.copyfile(ark, copy)
    with copy.open("r+b") as file:
        for key in keys:
            offset = split_location(Path(places.get(key, "")))[1]
            if offset is None:
                continue
            vector = read_vector(Path(f"{ark}:{offset}"), "stage 1 with --force makes it again")
            seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "little")
            other = np.random.default_rng(seed).standard_normal(vector.size)
            file.seek(offset, os.SEEK_SET)
            file.write(vector_entry((other * (np.linalg.norm(vector) / np.linalg.norm(other))).astype(np.float32)))
