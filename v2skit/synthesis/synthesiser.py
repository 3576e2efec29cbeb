"""A trained V2A model, ready to synthesise speech. It has no access to ground-truth audio."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from v2skit.config.features import check_same_features, feature_settings
from v2skit.config.load import parse_component
from v2skit.config.schema import Config
from v2skit.data.targets import Targets
from v2skit.errors import UserError
from v2skit.hub.fetch import local_path
from v2skit.hub.installed import default_model
from v2skit.models import checkpoint
from v2skit.models.build import build_model, build_targets, build_vocoder, for_inference, needs_vocoder
from v2skit.models.inference import assign, inference_arguments, with_inference_arguments
from v2skit.models.model import Model
from v2skit.models.pack_header import Card, read_header
from v2skit.models.package import PREDICTOR, read_voices, restore_vocoder, vocoder_of
from v2skit.models.places import open_model
from v2skit.models.predictor import check_chain, check_predictor, check_same_predictor
from v2skit.models.stored_config import check_available
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.registry.trust import trusting
from v2skit.synthesis.lip_reading import LipReader, reading_heads
from v2skit.synthesis.pipeline import Pipeline, networks_of
from v2skit.synthesis.video import Decoded, Progress, Speech, SpeechPieces, Video
from v2skit.system.devices import choose_device
from v2skit.tracking.tracker import Tracker

ONNX = ".onnx"
"""Suffix of the files of ``v2skit export``."""

MAX_UNUSED = 8
"""Trackers that are kept for the next videos."""


class Synthesiser:
    """A V2A model and its vocoder, loaded: from :func:`v2skit.load`.

    Args:
        config: of the model.
        model: V2A, in evaluation mode, on its device.
        vocoder: stream of the decoder -> waveform, on the same device; None where the decoder's output is a waveform.
        packed_voices: inputs of the speaker component that are packed with the model, by name.
        digest: of the weights of the V2A model.
        card: of a packed model; empty for others.
        packed_default: the voice that is used where none is named; None: the only packed one, or the model's own.
        speakers: names of the speakers of its training; empty where they are unknown.
    """

    def __init__(
        self,
        config: Config,
        model: Model,
        vocoder: nn.Module | None,
        packed_voices: dict[str, np.ndarray] | None = None,
        digest: str = "",
        card: Card = Card(),
        packed_default: str | None = None,
        speakers: Sequence[str] = (),
    ) -> None:
        self.config, self.model, self.vocoder, self.digest, self.card = config, model, vocoder, digest, card
        self.packed_voices, self.packed_default = packed_voices or {}, packed_default
        self.speakers = speakers
        only = next(iter(self.packed_voices)) if len(self.packed_voices) == 1 else None
        self._default = packed_default or only
        self._lock = threading.Lock()
        self._unused: list[tuple[Component, Tracker]] = []

    @classmethod
    def load(cls, path: Path, device: torch.device, vocoder: Config | Path | nn.Module | None = None) -> Synthesiser:
        """From a checkpoint, a run or a pack.

        Args:
            path: of the model.
            device: where the networks run.
            vocoder: the config that names it, and the decoder's inference arguments; a trained one's run, checkpoint
                or pack, or a built one; None: the model's own.

        Raises:
            UserError: the checkpoint can't be read, is not V2A, or its mel is not the vocoder's.
        """
        config, model, meta, targets = load_model(path, "v2a", vocoder if isinstance(vocoder, Config) else None)
        if isinstance(vocoder, Path):
            if not needs_vocoder(model):
                raise UserError(f"{path} outputs waveforms and needs no vocoder; leave the vocoder out")
            config = dataclasses.replace(config, vocoder=Component("trained", {"run": str(vocoder)}))
        if needs_vocoder(model) and not isinstance(vocoder, nn.Module):
            named_in = vocoder if isinstance(vocoder, Config) else config
            settings = feature_settings(named_in.clock, named_in.mel)
            check_same_features(meta.features, settings, f"checkpoint {path}", "the vocoder")
            own = path.is_file() and vocoder is None
            vocoder = build_vocoder(named_in, model.output, targets)
            if own:
                restore_vocoder(path, vocoder)
            vocoder = vocoder.to(device)
        built = vocoder if isinstance(vocoder, nn.Module) else None
        voices, default = read_voices(path) if path.is_file() else ({}, None)
        card = read_header(path).card if path.is_file() else Card()
        return cls(config, model.to(device), built, voices, meta.digest, card, default, meta.speakers)

    @property
    def sample_rate(self) -> int:
        """Of the speech, Hz."""
        return self.config.clock.sample_rate

    @property
    def fps(self) -> int:
        """Frame rate of the model's input, frames per second; videos of other rates are resampled."""
        return self.config.clock.fps

    @property
    def voices(self) -> list[str]:
        """Names that ``voice`` may have."""
        return [*self.packed_voices, *getattr(self.model.speaker, "voices", ())]

    @property
    def default_voice(self) -> str | None:
        """The voice that is used where none is named, for people; None where one must be named, or the model has none
        to choose from."""
        return self._default or getattr(self.model.speaker, "default_voice", None)

    @property
    def accepts_recording(self) -> bool:
        """Whether ``voice`` may be a recording."""
        return getattr(self.model.speaker, "accepts_recording", False)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The networks from crops to waveform, by name."""
        return networks_of(self.model, self.vocoder)

    def synthesise(
        self,
        video: str | Path | np.ndarray | torch.Tensor,
        fps: float | None = None,
        voice: str | Path | None = None,
        tracker: str | Component | Tracker | None = None,
        progress: Progress | None = None,
        decoded: Decoded | None = None,
    ) -> Speech:
        """Synthesise speech for a video; its own audio is never read.

        Args:
            video: any file that PyAV reads, or RGB frames, uint8 (T,H,W,3).
            fps: frame rate of an array.
            voice: one of :attr:`voices`, or a recording for a model with d-vectors; None: :attr:`default_voice`.
            tracker: of the mouth; None: the one of the model's training.
            progress: called with the seconds processed and the total, which is None where it is unknown.
            decoded: called by another thread with the number of frames decoded; what it raises ends the synthesis.

        Raises:
            UserError: no video, damaged, without a face, or no such voice.
        """
        pieces = self.synthesise_pieces(video, fps, voice, tracker, progress, decoded=decoded)
        return Speech(np.concatenate(list(pieces)), self.sample_rate, pieces.track)

    def synthesise_pieces(
        self,
        video: str | Path | np.ndarray | torch.Tensor,
        fps: float | None = None,
        voice: str | Path | None = None,
        tracker: str | Component | Tracker | None = None,
        progress: Progress | None = None,
        read: bool = False,
        decoded: Decoded | None = None,
    ) -> SpeechPieces:
        """As :meth:`synthesise`, for videos of any length: iterate over the result to get waveforms. ``read``: heads
        that decode text also read the lips; after the last waveform, ``readings`` of the result has what they read."""
        source = Video.open(video, fps, self.config.clock, decoded)
        choice, speaker = self._tracker_choice(tracker), self.voice(voice)
        mouth_tracker = self.tracker(choice)
        readers = {head: self.lip_reader(head, speaker) for head in self.reading_heads} if read else {}

        def finished() -> None:
            if isinstance(choice, Component):
                with self._lock:
                    self._unused = [*self._unused, (choice, mouth_tracker)][-MAX_UNUSED:]

        return SpeechPieces(source, mouth_tracker, self.pipeline(speaker), self.config, progress, readers, finished)

    def synthesise_crops(self, crops: np.ndarray, speaker: np.ndarray) -> np.ndarray:
        """Synthesise speech for the mouth crops of a whole clip.

        Args:
            crops: uint8 (T,H,W), as the preparation stores them.
            speaker: the input of the speaker component.

        Returns:
            float32 (T * samples_per_frame,).
        """
        pipeline = self.pipeline(speaker)
        return np.concatenate([pipeline.push(crops), pipeline.finish()])

    def read_crops(self, head: str, crops: np.ndarray, speaker: np.ndarray) -> str:
        """The text that a head of the model reads in the mouth crops of a whole clip.

        Args:
            head: one of :attr:`reading_heads`.
            crops: uint8 (T,H,W), as the preparation stores them.
            speaker: the input of the speaker component.
        """
        reader = self.lip_reader(head, speaker)
        reader.push(crops)
        return reader.finish().text

    @property
    def reading_heads(self) -> list[str]:
        """Names of the heads that decode text."""
        return list(reading_heads(self.model))

    def lip_reader(self, head: str, speaker: np.ndarray) -> LipReader:
        """One of :attr:`reading_heads`, ready for one clip; see :class:`LipReader`."""
        return LipReader(self.model, head, speaker, self.config.augmentation.crop, self.fps)

    def pipeline(self, speaker: np.ndarray, chunk: int | None = None) -> Pipeline:
        """The networks, ready for one clip; see :class:`Pipeline`."""
        return Pipeline(self.config, self.model, self.vocoder, speaker, chunk)

    def tracker(self, choice: str | Component | Tracker | None = None) -> Tracker:
        """A tracker: by name, as in a config, built, or that of the model's training; it is for one video at a time.
        Raises UserError."""
        choice = self._tracker_choice(choice)
        if not isinstance(choice, Component):
            return choice
        check_available(choice)
        with self._lock:
            for entry in self._unused:  # some take long to build
                if entry[0] == choice:
                    self._unused.remove(entry)
                    return entry[1]
        return build("tracker", choice)

    def _tracker_choice(self, choice: str | Component | Tracker | None) -> Component | Tracker:
        choice = choice or self.config.tracker
        return parse_component("tracker", choice, "tracker") if isinstance(choice, str) else choice

    def voice(self, name: str | Path | None) -> np.ndarray:
        """The input of the speaker component for a voice. Raises UserError where the model needs one, or lacks this."""
        name = self._default if name is None else name
        if name is not None and str(name) in self.packed_voices:
            return self.packed_voices[str(name)]
        speaker = self.model.speaker
        if not hasattr(speaker, "voice"):
            raise UserError(f"speaker '{self.config.networks.speaker.type}' has no voices for videos outside a corpus")
        try:
            return speaker.voice(None if name is None else str(name))
        except UserError as error:
            known = f"voices of this model: {', '.join(self.packed_voices)}; " if self.packed_voices else ""
            raise UserError(f"{known}{error}", **error.fields) from error


def load(
    model: str | Path | None = None,
    device: str = "auto",
    vocoder: str | Path | None = None,
    trust_plugins: bool = False,
    backend: str | None = None,
) -> Synthesiser:
    """Load a model.

    Args:
        model: a packed model, a V2A run or checkpoint, an ONNX file of ``v2skit export``, or the address of a pack on
            a hub, ``hf://owner/name``, with ``@revision`` or ``/file.v2s`` where needed; ``installed:NAME``, one that
            is installed with v2skit; None: the default one of these. Which it is and what it was made for is the
            ``card.headline`` of the result, without a message.
        device: ``auto``, ``cpu`` or ``cuda``.
        vocoder: a trained vocoder's run or checkpoint, or a pack or its address, instead of the model's own.
        trust_plugins: run plug-in files that are saved in checkpoints, and classes of modules that are not installed;
            fetch packs from repositories with pickles, which are not loaded.
        backend: ``torch`` or ``onnx`` (onnxruntime), which runs the networks; None: onnx for an ONNX file, else torch.

    Raises:
        UserError: none is named and none installed, it can't be fetched or read, runs code that is not trusted, or the
            vocoder does not fit the model.
    """
    with trusting(trust_plugins):
        path = default_model() if model is None else local_path(model)
        vocoder = None if vocoder is None else local_path(vocoder)
        if backend == "onnx" or (backend is None and path.suffix == ONNX):
            from v2skit.synthesis.exported.load import load_onnx  # it builds a Synthesiser

            return load_onnx(path, device, vocoder)
        if path.suffix == ONNX:
            raise UserError(f"{path} runs with the backend onnx only; leave --backend out")
        return Synthesiser.load(path, choose_device(device), vocoder)


TASKS = {"a2a": "an audio-to-audio model", "v2a": "a video-to-audio model", "vocoder": "a vocoder"}


def load_model(
    path: Path, task: str, chosen: Config | None = None, part: str = "model"
) -> tuple[Config, Model, checkpoint.Meta, Targets]:
    """The config of a checkpoint, of the best one of a run or of a pack, its model with the averaged weights, for
    inference, its description, and its targets as they are without their training data. A model whose inputs another
    one predicts has that as ``predictor``, and the digests of both.

    Args:
        path: of the model.
        task: that it must have, ``a2a`` or ``v2a``.
        chosen: a config with other values of the decoder's inference arguments.
        part: of a pack.

    Raises:
        UserError: the checkpoint can't be read, or its task is another one.
    """
    made = {"a2a": "stage 2", "v2a": "stage 4"}[task]
    packs = " a packed model (a .v2s file, installed:NAME or hf://owner/name)," if task == "v2a" else ""
    saved = open_model(path, part, f"give{packs} an experiment, or a run or checkpoint of {made}")
    if saved.meta.task != task:
        raise UserError(f"{path} contains {TASKS[saved.meta.task]}, but {TASKS[task]} is needed; give a run of {made}")
    config = checkpoint.config_of(saved.meta)
    if path.is_file():
        config = dataclasses.replace(config, vocoder=vocoder_of(path) or config.vocoder)
    targets = build_targets(config, saved.meta.targets)
    model = build_model(config, task, saved.meta.speakers, targets)
    checkpoint.restore(model, saved.inference_weights, path)
    if chosen:
        config = with_inference_arguments(config, chosen)
        assign(model.decoder, inference_arguments(config))
    meta = saved.meta
    if model.predicted:
        model.predictor, digest = _load_predictor(path, config, model, meta, targets)
        meta = dataclasses.replace(meta, digest=f"{meta.digest}+{digest}")
    return config, for_inference(model), meta, targets


def _load_predictor(
    path: Path, config: Config, model: Model, ours: checkpoint.Meta, targets: Targets
) -> tuple[Model, str]:
    """The model that predicts inputs of another one, and its digest: from the pack of that, or from the run that its
    config names. Raises UserError where it can't be read, does not fit, or is not that of the training."""
    source, part = (path, PREDICTOR) if path.is_file() else (local_path(config.predictor or ""), "model")
    name = f"predictor {source}"
    theirs, predictor, meta, _ = load_model(source, "v2a", part=part)
    if not path.is_file():  # in a pack it is; it may be rounded there
        check_same_predictor(ours, meta.digest, f"model {path}", name)
    check_predictor(config, targets, theirs, meta, name)
    check_chain(config, ours.speakers, model.predicted, (theirs, predictor, meta), name)
    return predictor, meta.digest
