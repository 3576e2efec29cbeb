"""Whether the speaker's input for a clip is computed from the clip itself, as it never is."""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from v2skit.data.data_dir import is_prepared, read_clock, read_manifest, read_settings, write_manifest
from v2skit.media.audio import write_audio
from v2skit.models.model import Part


def check_own_audio(module: Part, directory: Path, utterances: Sequence[tuple[str, str]]) -> None:
    """Raises AssertionError where the input for a clip changes with the audio of this clip alone.

    Two clips are changed, one after the other: the first one, and one whose speaker has no other, in place of which a
    component might use the clip itself.

    Args:
        module: the speaker component.
        directory: a data directory; nothing is checked where it has no tables, or no audio.
        utterances: of the directory, with their speakers: (id, speaker).
    """
    if not is_prepared(directory):
        return
    audible = {utterance.id for utterance in read_manifest(directory) if utterance.audio}
    found = [utterance for utterance in utterances if utterance[0] in audible]
    clips = Counter(speaker for _, speaker in utterances)
    alone = [utterance for utterance in found if clips[utterance[1]] == 1]
    for utterance in dict.fromkeys((*found[:1], *alone[:1])):
        before, after = (_inputs(module, directory, utterance, changed) for changed in (False, True))
        same = all(a.shape == b.shape and np.allclose(a, b, 1e-4, 1e-5) for a, b in zip(before, after, strict=True))
        assert same, (
            f"the input for clip '{utterance[0]}' depends on the audio of this clip, which is to be synthesised"
        )


def _inputs(module: Part, directory: Path, utterance: tuple[str, str], changed: bool) -> list[np.ndarray]:
    """The inputs for an utterance, in synthesis and in training, of a copy of the directory, in which the audio of this
    utterance is noise if it is ``changed``."""
    module = copy.deepcopy(module)
    with tempfile.TemporaryDirectory(dir=directory.parent) as folder:  # there, relative paths in it lead to the same
        copied = Path(shutil.copytree(directory, folder, dirs_exist_ok=True))
        if changed:
            _change(copied, utterance[0])
        module.prepare(copied)
        reader = module.reader(copied)
        values = [reader(*utterance)]
        if hasattr(reader, "draw"):
            values.append(reader.draw(*utterance, np.random.default_rng(0)))
        return [np.asarray(value) for value in values]


def _change(directory: Path, name: str) -> None:
    """Replace the audio of an utterance by noise."""
    clock, path = read_clock(directory), directory / "audio" / f"{name}.flac"
    utterances = read_manifest(directory)
    frames = next(utterance.frames for utterance in utterances if utterance.id == name)
    noise = 0.1 * np.random.default_rng(0).standard_normal(frames * clock.samples_per_frame)
    write_audio(path, noise, clock.sample_rate)
    changed = [replace(utterance, audio=path) if utterance.id == name else utterance for utterance in utterances]
    write_manifest(directory, changed, read_settings(directory))
