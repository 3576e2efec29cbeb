"""Checkpoint + mouth crops -> waveform. Nothing here takes, opens or knows of a target."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from v2skit.config.features import check_same_features, feature_settings
from v2skit.config.schema import Config
from v2skit.data.augment import centre_crop, normalise
from v2skit.data.batch import Inputs
from v2skit.data.data_dir import SilentClip, Utterance, read_settings
from v2skit.errors import UserError
from v2skit.media.audio import read_audio, write_audio
from v2skit.media.crops import read_crops
from v2skit.models import checkpoint
from v2skit.models.build import build_model, build_vocoder, for_inference
from v2skit.models.model import Model
from v2skit.models.package import open_model, vocoder_of
from v2skit.signal.mel import MelSpectrogram
from v2skit.synthesis.overlap import Chain, Windows
from v2skit.system.atomic import write_text

FEW_FRAMES, MANY_FRAMES = 100, 500
"""Frames that the frontend and the vocoder, and the other parts, compute together: the former want much memory a frame,
and are quickest while that is in the cache."""

CONTEXT_FRAMES, FADE_FRAMES = 100, 10
"""What a part that sees the whole clip sees before and after a piece of a long one; and over how many frames one
piece goes over into the next."""


@dataclass
class Synthesiser:
    """A V2A model and a vocoder, ready to speak. Build one with :meth:`load`.

    Args:
        config: the model's.
        model: V2A, in evaluation mode.
        vocoder: mel -> waveform; None where the decoder gives waveforms.
        device: where the model is.
    """

    config: Config
    model: Model
    vocoder: nn.Module | None
    device: torch.device

    @classmethod
    def load(
        cls,
        path: Path,
        device: torch.device,
        vocoder_config: Config | None = None,
        vocoder: nn.Module | None = None,
    ) -> Synthesiser:
        """From a checkpoint, a run or a pack, with its own vocoder, that of another config or one built already.

        Raises:
            UserError: the checkpoint can't be read, is not V2A, or its mel is not the vocoder's.
        """
        config, model, features = load_model(path, "v2a")
        if model.output == "mel" and vocoder is None:
            theirs = vocoder_config or config
            check_same_features(
                features, feature_settings(theirs.clock, theirs.mel), f"checkpoint {path}", "the vocoder"
            )
            vocoder = build_vocoder(theirs).to(device)
        return cls(config, model.to(device), vocoder, device)

    def speak(self, crops: np.ndarray, speaker: np.ndarray) -> np.ndarray:
        """Synthesise one clip.

        Args:
            crops: stored mouth crops, uint8 (T,H,W).
            speaker: what the speaker component's reader gives.

        Returns:
            float32 (T * samples_per_frame,).
        """
        speaking = self.start(speaker)
        return np.concatenate([speaking.push(crops), speaking.finish()])

    def start(self, speaker: np.ndarray, chunk: int | None = None) -> Speaking:
        """Begin with a clip of any length, whose crops come piece by piece.

        Args:
            speaker: what the speaker component's reader gives.
            chunk: speak after so many frames, live; None: after as many as are quick to compute together.

        Raises:
            UserError: a part of the model sees the whole clip, and can't speak live.
        """
        if chunk is not None:
            self.check_live()
        return Speaking(self, speaker, chunk)

    def parts(self) -> dict[str, nn.Module]:
        """The networks between crops and waveform, by name."""
        parts = {name: getattr(self.model, name) for name in ("frontend", "encoder", "decoder")}
        return {**parts, "vocoder": self.vocoder} if self.vocoder else parts

    def check_live(self) -> None:
        """Raises UserError, naming the parts, where one sees the whole clip, or where the crops do."""
        whole = [f"{name} {type(part).__name__}" for name, part in self.parts().items() if reach(part) is None]
        if self.config.crop.look_ahead_frames is None:
            whole.append("crop")
        if whole:
            raise UserError(
                f"this model can't speak live: {', '.join(whole)} must see the whole clip; train one with "
                "look_ahead_frames, as conf/streaming.yaml does"
            )


def reach(part: nn.Module) -> tuple[int, int] | None:
    """Steps back and ahead that a part's output depends on; None: the whole clip."""
    back, ahead = getattr(part, "left_context_frames", None), getattr(part, "look_ahead_frames", None)
    return None if back is None or ahead is None else (back, ahead)


class Speaking:
    """One clip in the making; from :meth:`Synthesiser.start`. Every part of the model goes on as soon as its own reach
    allows. Parts that see the whole clip see 20 s of it at a time, and 4 s before and after."""

    def __init__(self, synthesiser: Synthesiser, speaker: np.ndarray, chunk: int | None) -> None:
        config, model = synthesiser.config, synthesiser.model
        self.side, self.device = config.augmentation.crop, synthesiser.device
        told = torch.from_numpy(speaker)[None].to(self.device)

        def masked(part: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
            return lambda x: part(x[None], torch.ones(1, len(x), dtype=torch.bool, device=x.device))[0]

        def link(part: nn.Module, function: Callable, rate: int, steps: int = 1, piece: int = 1) -> Windows:
            """``steps``: the part's input steps for a frame of the video; ``piece``: frames to compute together."""
            known = reach(part)
            if known is None:
                context, fade = CONTEXT_FRAMES * steps, FADE_FRAMES * steps
                return Windows(function, rate, context, context, MANY_FRAMES * steps, fade=fade)
            back, ahead = known
            ahead = -(-ahead // steps) * steps  # whole frames of the video come out
            most = None if piece == 1 else piece * steps
            align = getattr(part, "period_frames", 1)
            return Windows(function, rate, back, ahead, piece * steps, align=align, most=most)

        mels = config.mel.per_frame(config.clock)
        rate = mels if model.output == "mel" else config.clock.samples_per_frame
        links = [link(model.frontend, masked(model.frontend), 1, piece=chunk or FEW_FRAMES)]
        if reach(model.encoder) and hasattr(model.encoder, "links"):
            steps = [(lambda x, mask: model.condition(x, told), 0, 0), *model.encoder.links()]
            links += [Windows(masked(step), 1, back, ahead) for step, back, ahead in steps]
        else:
            links.append(link(model.encoder, masked(lambda x, mask: model.encode(x, told, mask)), 1))
        links.append(link(model.decoder, masked(model.decoder), rate))
        if synthesiser.vocoder:
            vocoder, piece = synthesiser.vocoder, 1 if chunk else FEW_FRAMES
            links.append(link(vocoder, lambda x: vocoder(x[None].float())[0], config.mel.hop, mels, piece))
        self.chain = Chain(links)

    @torch.no_grad()
    def push(self, crops: np.ndarray) -> np.ndarray:
        """The next crops, uint8 (n,H,W) -> the waveform that is now known, float32 (N,), whole frames of it."""
        pieces = []
        for start in range(0, len(crops), FEW_FRAMES):
            video = normalise(centre_crop(crops[start : start + FEW_FRAMES], self.side))
            pieces.append(self.chain.push(torch.from_numpy(video).to(self.device)))
        return self._waveform(pieces)

    @torch.no_grad()
    def finish(self) -> np.ndarray:
        """There are no more crops -> the rest of the waveform."""
        return self._waveform([self.chain.finish()])

    def _waveform(self, pieces: list[Tensor | None]) -> np.ndarray:
        known = [p.float().cpu().numpy() for p in pieces if p is not None]
        return np.concatenate(known) if known else np.zeros(0, np.float32)


TASKS = {"a2a": "an audio-to-audio model", "v2a": "a video-to-audio model", "vocoder": "a vocoder"}


def load_model(path: Path, task: str) -> tuple[Config, Model, dict]:
    """The config of a checkpoint, of the best one of a run or of a pack, its model with the averaged weights, for
    inference, and its feature settings.

    Raises:
        UserError: the checkpoint can't be read, or its task is not ``task``, which is ``a2a`` or ``v2a``.
    """
    made = {"a2a": "stage 2", "v2a": "stage 4"}[task]
    saved, _ = open_model(path, "model", f"{made} makes them")
    if saved.meta.task != task:
        raise UserError(f"{path} holds {TASKS[saved.meta.task]}, but {TASKS[task]} is needed; give a run of {made}")
    config = checkpoint.config_of(saved.meta)
    if path.is_file():
        config = dataclasses.replace(config, vocoder=vocoder_of(path) or config.vocoder)
    model = build_model(config, task, saved.meta.speakers)
    checkpoint.restore(model, saved.averaged or saved.weights, path)
    return config, for_inference(model), saved.meta.features


def check_prepared(config: Config, directory: Path, with_video: bool) -> None:
    """Raises UserError where a data directory was prepared with another clock or crop than the config's."""
    made = read_settings(directory)
    for name in ("clock", "crop") if with_video else ("clock",):
        now, there = dataclasses.asdict(getattr(config, name)), made.get(name) or {}
        differs = [f"{name}.{k}: {there.get(k)} there, {v} now" for k, v in now.items() if there.get(k) != v]
        if differs:
            raise UserError(
                f"{directory} was prepared with other settings ({'; '.join(differs)}); run stage 1 --force, or give "
                "this config a data.folder of its own and prepare that"
            )


def speech_folder(out: Path, source: dict, force: bool) -> None:
    """Make ``out`` ready for speech made from ``source``: what was made from something else is deleted first.

    Raises:
        UserError: the folder holds files that synthesis did not write.
    """
    record = out / "source.json"
    if out.is_dir() and any(out.iterdir()) and not record.exists():
        raise UserError(f"{out} holds other files; give an empty folder")
    if force or not record.exists() or json.loads(record.read_text(encoding="utf-8")) != source:
        shutil.rmtree(out, ignore_errors=True)
        write_text(record, json.dumps(source, indent=1) + "\n")


def synthesise(synthesiser: Synthesiser, clips: list[SilentClip], directory: Path, out: Path) -> None:
    """Speak every clip of a data directory into ``out/<id>.wav``; what is there already is kept.

    Args:
        synthesiser: a loaded model.
        clips: of the directory, silent.
        directory: where the speaker component finds what it prepared.
        out: folder for the sound files.

    Raises:
        UserError: the directory was prepared with another clock or crop than the model's, or a clip is damaged.
    """
    check_prepared(synthesiser.config, directory, with_video=True)
    reader = synthesiser.model.speaker.reader(directory)
    for clip, path in _missing(clips, out):
        crops = read_crops(clip.video)
        if len(crops) != clip.frames:
            raise UserError(
                f"{clip.video} has {len(crops)} frames, its data directory says {clip.frames}; prepare it again"
            )
        waveform = synthesiser.speak(crops, reader(clip.id, clip.speaker))
        write_audio(path, waveform, synthesiser.config.clock.sample_rate)


@torch.no_grad()
def copy_synthesis(vocoder: nn.Module, config: Config, utterances: list[Utterance], out: Path) -> None:
    """The vocoder on the true mel, into ``out/<id>.wav``: the upper bound of a mel system, never its input."""
    spectrogram = MelSpectrogram(config.clock, config.mel)
    device = next((b.device for b in vocoder.buffers()), torch.device("cpu"))
    for utterance, path in _missing([u for u in utterances if u.audio], out):
        waveform = vocoder(spectrogram(_true_sound(utterance, config)).to(device))[0]
        write_audio(path, waveform.float().cpu().numpy(), config.clock.sample_rate)


@torch.no_grad()
def resynthesise(folder: Path, device: torch.device, utterances: list[Utterance], directory: Path, out: Path) -> None:
    """An A2A model that gives waveforms on the true sound, into ``out/<id>.wav``: the upper bound of its decoder."""
    config, model, _ = load_model(folder, "a2a")
    model, reader = model.to(device), model.speaker.reader(directory)
    spectrogram = MelSpectrogram(config.clock, config.mel)
    for utterance, path in _missing([u for u in utterances if u.audio], out):
        sound = _true_sound(utterance, config)
        signal = spectrogram(sound) if model.input == "mel" else sound
        mask = torch.ones(1, utterance.frames, dtype=torch.bool, device=device)
        speaker = torch.from_numpy(reader(utterance.id, utterance.speaker))[None].to(device)
        waveform = model(Inputs(signal.to(device), mask, speaker)).waveform[0]
        write_audio(path, waveform.float().cpu().numpy(), config.clock.sample_rate)


def _true_sound(utterance: Utterance, config: Config) -> torch.Tensor:
    """(1, N), N = frames * samples_per_frame."""
    samples = utterance.frames * config.clock.samples_per_frame
    assert utterance.audio is not None, "asked for only where there is sound"
    return torch.from_numpy(read_audio(utterance.audio, config.clock.sample_rate, 0, samples))[None]


def _missing(clips: Iterable, out: Path) -> Iterator[tuple]:
    todo = [(clip, out / f"{clip.id}.wav") for clip in clips if not (out / f"{clip.id}.wav").exists()]
    yield from tqdm(todo, desc=out.name, unit="clip", dynamic_ncols=True)
