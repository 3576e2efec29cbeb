"""The toolkit from Python: ``v2skit.load(model).synthesise(video)``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from v2skit.config.load import parse_component
from v2skit.errors import UserError
from v2skit.models.package import read_voices
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.synthesis.synthesiser import Synthesiser, load_model
from v2skit.synthesis.video import Clip, ClipSpeech
from v2skit.system.devices import choose_device
from v2skit.tracking.crop import Track
from v2skit.tracking.tracker import Tracker


@dataclass(frozen=True)
class Speech:
    """Speech of a video.

    Args:
        waveform: float32 (N,), as long as the video to a sample.
        sample_rate: Hz.
        track: where the mouth was, and where it was lost.
    """

    waveform: np.ndarray
    sample_rate: int
    track: Track


class VideoToSpeech:
    """A loaded model, from :func:`v2skit.load`.

    Args:
        synthesiser: the networks.
        own_voices: vectors that came with the model, by name.
    """

    def __init__(self, synthesiser: Synthesiser, own_voices: dict[str, np.ndarray]) -> None:
        self.synthesiser, self._own = synthesiser, own_voices
        self._tracker: tuple[Component, Tracker] | None = None

    @property
    def sample_rate(self) -> int:
        """Of the speech, Hz."""
        return self.synthesiser.config.clock.sample_rate

    @property
    def fps(self) -> int:
        """Frames a second that the model sees; videos of other rates are resampled."""
        return self.synthesiser.config.clock.fps

    @property
    def voices(self) -> list[str]:
        """Names that ``voice`` may have."""
        return [*self._own, *getattr(self.synthesiser.model.speaker, "voices", ())]

    @property
    def takes_recording(self) -> bool:
        """Whether ``voice`` may be a recording."""
        return getattr(self.synthesiser.model.speaker, "takes_recording", False)

    def synthesise(
        self,
        video: str | Path | np.ndarray | torch.Tensor,
        fps: float | None = None,
        voice: str | Path | None = None,
        tracker: str | Component | Tracker | None = None,
        progress: Callable[[float, float | None], None] | None = None,
    ) -> Speech:
        """Speak a video; its own sound is never read.

        Args:
            video: any file that PyAV reads, or RGB frames, uint8 (T,H,W,3).
            fps: frames a second of an array.
            voice: one of :attr:`voices`, or a recording for a model with d-vectors; None: the only or mean voice.
            tracker: of the mouth; None: the one of the model's training.
            progress: told the seconds done and of how many, None where that is not known.

        Raises:
            UserError: no video, damaged, without a face, or no such voice.
        """
        speech = self.begin(video, fps, voice, tracker, progress)
        return Speech(np.concatenate(list(speech.pieces())), self.sample_rate, speech.track)

    def begin(
        self,
        video: str | Path | np.ndarray | torch.Tensor,
        fps: float | None = None,
        voice: str | Path | None = None,
        tracker: str | Component | Tracker | None = None,
        progress: Callable[[float, float | None], None] | None = None,
    ) -> ClipSpeech:
        """As :meth:`synthesise`, for videos of any length: ``begin(...).pieces()`` are waveforms, one after another."""
        clock = self.synthesiser.config.clock
        if isinstance(video, (str, Path)):
            if fps is not None:
                raise UserError("fps is for frames; a file states its own")
            clip = Clip.of_file(Path(video), clock)
        elif fps is None:
            raise UserError("frames need their fps: synthesise(frames, fps=25)")
        else:
            video = video.cpu().numpy() if isinstance(video, torch.Tensor) else np.asarray(video)
            clip = Clip.of_array(video, fps, clock)
        return ClipSpeech(self.synthesiser, clip, self.tracker(tracker), self.voice(voice), progress)

    def tracker(self, choice: str | Component | Tracker | None = None) -> Tracker:
        """A tracker: by name, as in a config, built, or that of the model's training. Raises UserError."""
        choice = choice or self.synthesiser.config.tracker
        if isinstance(choice, str):
            choice = parse_component("tracker", choice, "tracker")
        if not isinstance(choice, Component):
            return choice
        if self._tracker is None or self._tracker[0] != choice:
            self._tracker = choice, build("tracker", choice)  # some take long to build
        return self._tracker[1]

    def voice(self, name: str | Path | None) -> np.ndarray:
        """What the model is told of who speaks. Raises UserError where it needs a voice, or has not got this one."""
        if name is None and len(self._own) == 1:
            name = next(iter(self._own))
        if name is not None and str(name) in self._own:
            return self._own[str(name)]
        speaker = self.synthesiser.model.speaker
        if not hasattr(speaker, "voice"):
            kind = self.synthesiser.config.networks.speaker.type
            raise UserError(f"speaker '{kind}' can't take a voice for a video alone")
        try:
            return speaker.voice(None if name is None else str(name))
        except UserError as error:
            known = f"; voices of this model: {', '.join(self._own)}" if self._own else ""
            raise UserError(f"{error}{known}") from error


def load(model: str | Path, device: str = "auto", vocoder: str | Path | None = None) -> VideoToSpeech:
    """Load a model.

    Args:
        model: a packed model, or a V2A run or checkpoint.
        device: ``auto``, ``cpu`` or ``cuda``.
        vocoder: a trained vocoder's run or checkpoint, or a pack, instead of the model's own.

    Raises:
        UserError: it can't be read, or the two don't go together.
    """
    model, where = Path(model), choose_device(device)
    if vocoder is None:
        synthesiser = Synthesiser.load(model, where)
    else:
        config, network, _ = load_model(model, "v2a")  # its own vocoder may not be here
        if network.output == "waveform":
            raise UserError(f"{model} gives waveforms and needs no vocoder; leave the vocoder out")
        config = replace(config, vocoder=Component("trained", {"run": str(vocoder)}))
        synthesiser = replace(Synthesiser.load(model, where, config), config=config)
    return VideoToSpeech(synthesiser, read_voices(model) if model.is_file() else {})
