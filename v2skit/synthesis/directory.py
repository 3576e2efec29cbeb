"""Synthesis of data directories: by a V2A model, and its upper bounds from ground-truth audio."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from v2skit.config.load import identity
from v2skit.config.schema import Config
from v2skit.data.batch import Inputs
from v2skit.data.data_dir import SilentClip, Utterance, read_settings
from v2skit.data.targets import Targets, compute
from v2skit.errors import UserError
from v2skit.media.audio import read_audio
from v2skit.media.crops import read_crops
from v2skit.models.build import vocoder_input
from v2skit.models.finite import finite_speech
from v2skit.registry.component import Component
from v2skit.signal.mel import MelSpectrogram
from v2skit.synthesis.lip_reading import write_hypotheses
from v2skit.synthesis.synthesiser import Synthesiser, load_model
from v2skit.synthesis.written import delete_listed, listed, locked, start_list, write_missing
from v2skit.system.atomic import is_unused
from v2skit.system.provenance import Provenance, worded

SPEECH_RECORD = "source.json"
"""The file with what the speech in a folder was made from."""


def vocoder_source(choice: Component, vocoder: nn.Module) -> dict:
    """A vocoder in the record of what speech was made from: its settings, and the digest of its weights if any."""
    return {**identity(choice), "digest": getattr(vocoder, "digest", None)}


def source_of(synthesiser: Synthesiser, model: Path, directory: Path) -> dict[str, Any]:
    """The record of what the speech of a data directory is made from.

    Args:
        synthesiser: the loaded model.
        model: where it was loaded from.
        directory: the data directory.
    """
    source: dict[str, Any] = {
        "model": str(model.resolve()),
        "digest": synthesiser.digest,
        "data": str(directory.resolve()),
    }
    if synthesiser.vocoder:
        source["vocoder"] = vocoder_source(synthesiser.config.vocoder, synthesiser.vocoder)
    return source


@contextmanager
def speech_folder(out: Path, made_from: dict, force: bool) -> Iterator[None]:
    """Lock the folder ``out`` for speech. Speech in it that was made from other inputs than ``made_from`` is deleted.

    Raises:
        UserError: the folder has no record and is not empty, speech to delete was replaced by other files, or another
            process has locked the folder.
    """
    with locked(out):
        _start(out, made_from, force)
        yield


def _start(out: Path, made_from: dict, force: bool) -> None:
    record = out / SPEECH_RECORD
    if not record.exists() and not is_unused(out):
        raise UserError(f"{out} contains other files; give an empty folder", path=out)
    before, now = None if force else Provenance.read(record), Provenance(made_from)
    if before is None or before.diff(now):
        delete_listed(out)
        now.write(record)
        start_list(out)
    elif listed(out) is None:  # a version without lists made the folder
        start_list(out, (path.name for path in out.glob("*.wav")))


def check_prepared(config: Config, directory: Path, with_video: bool) -> None:
    """Raises UserError where a data directory was prepared with another clock or crop than the config's."""
    compared = ("clock", "crop") if with_video else ("clock",)
    now = Provenance({name: dataclasses.asdict(getattr(config, name)) for name in compared})
    differences = Provenance(read_settings(directory)).diff(now, only=now.values)
    if differences:
        raise UserError(
            f"{directory} was prepared with other settings ({worded(differences)}); run stage 1 --force, or give "
            "this config a data.folder of its own and prepare that",
            differences=differences,
        )


def synthesise_directory(
    synthesiser: Synthesiser, clips: list[SilentClip], directory: Path, out: Path, voice: np.ndarray | None = None
) -> None:
    """Synthesise speech for every clip of a data directory: ``out/<id>.wav``; existing files are skipped. With heads
    that read lips, ``out/<head>.text`` has what they read.

    Args:
        synthesiser: a loaded model.
        clips: of the directory, silent.
        directory: where the speaker component finds what the preparation stored for it.
        out: folder for the sound files.
        voice: input of the speaker component for all clips; None: what is stored for each.

    Raises:
        UserError: the directory was prepared with another clock or crop than the model's, or as :func:`write_missing`.
    """
    check_prepared(synthesiser.config, directory, with_video=True)
    reader: Any = (lambda *_: voice) if voice is not None else synthesiser.model.speaker.reader(directory)

    def synthesise(clip: SilentClip) -> np.ndarray:
        return synthesiser.synthesise_crops(_crops(clip), reader(clip.id, clip.speaker))

    def read(head: str, clip: SilentClip) -> str:
        return synthesiser.read_crops(head, _crops(clip), reader(clip.id, clip.speaker))

    write_missing(clips, synthesise, out, synthesiser.sample_rate)
    write_hypotheses({head: partial(read, head) for head in synthesiser.reading_heads}, clips, out)


def _crops(clip: SilentClip) -> np.ndarray:
    """Mouth crops uint8 (T,H,W). Raises UserError where they are not as many as the data directory says."""
    crops = read_crops(clip.video)
    if len(crops) != clip.frames:
        reason = f"has {len(crops)} frames, its data directory says {clip.frames}; prepare it again"
        raise UserError.about(clip.video, reason)
    return crops


@torch.no_grad()
def copy_synthesis(
    vocoder: nn.Module, config: Config, utterances: list[Utterance], out: Path, targets: Targets = Targets()
) -> None:
    """The vocoder on its stream (mel, units) of ground-truth audio, ``out/<id>.wav``: the upper bound of a system with
    this vocoder, never its input."""
    name, spectrogram = vocoder_input(vocoder), MelSpectrogram(config.clock, config.mel)
    device = next((b.device for b in vocoder.buffers()), torch.device("cpu"))

    def synthesise(utterance: Utterance) -> np.ndarray:
        audio = _ground_truth(utterance, config)
        if name == "mel":
            stream = spectrogram(audio)
        else:
            stream = torch.from_numpy(compute(targets.stored[name], name, audio[0].numpy(), None))[None]
        return finite_speech(vocoder(stream.to(device))[0])

    write_missing([u for u in utterances if u.audio], synthesise, out, config.clock.sample_rate)


@torch.no_grad()
def resynthesise(
    folder: Path,
    device: torch.device,
    utterances: list[Utterance],
    directory: Path,
    out: Path,
    vocoder: nn.Module | None = None,
) -> None:
    """An A2A model on ground-truth audio, ``out/<id>.wav``: the upper bound of its decoder.

    Args:
        folder: of the model.
        device: where it runs.
        utterances: of the directory; those without audio are left out.
        directory: where the speaker component finds what the preparation stored for it.
        out: folder for the sound files.
        vocoder: of its decoder's stream, on the device; None: the decoder outputs waveforms.

    Raises:
        UserError: it is no A2A model, or needs a vocoder where there is none.
    """
    config, model, _, _ = load_model(folder, "a2a")
    stream = "waveform" if vocoder is None else vocoder_input(vocoder)
    if model.output != stream:
        raise UserError(f"{folder} outputs {model.output}, not {stream}; give a model whose decoder is the same kind")
    model, reader = model.to(device), model.speaker.reader(directory)
    spectrogram = MelSpectrogram(config.clock, config.mel)

    def synthesise(utterance: Utterance) -> np.ndarray:
        audio = _ground_truth(utterance, config)
        streams = {"mel": spectrogram(audio), "waveform": audio}
        mask = torch.ones(1, utterance.frames, dtype=torch.bool, device=device)
        speaker = torch.from_numpy(reader(utterance.id, utterance.speaker))[None].to(device)
        inputs = Inputs({name: streams[name].to(device) for name in model.inputs}, mask, speaker)
        output = model(inputs).stream(stream)
        return finite_speech((output if vocoder is None else vocoder(output))[0])

    write_missing([u for u in utterances if u.audio], synthesise, out, config.clock.sample_rate)


def _ground_truth(utterance: Utterance, config: Config) -> torch.Tensor:
    """Audio (1, N), N = frames * samples_per_frame."""
    samples = utterance.frames * config.clock.samples_per_frame
    assert utterance.audio is not None, "only utterances with audio are given"
    return torch.from_numpy(read_audio(utterance.audio, config.clock.sample_rate, 0, samples))[None]
