"""Lip reading: the text that a head decodes from silent videos. It has no access to audio and transcripts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from v2skit.data.augment import centre_crop, normalise
from v2skit.data.data_dir import SilentClip
from v2skit.errors import UserError
from v2skit.models.model import Model, Part
from v2skit.synthesis.overlap import Cascade, concatenated
from v2skit.synthesis.pipeline import FEW_FRAMES, encoder_stages, frontend_stages, masked, windowed
from v2skit.synthesis.written import HYPOTHESES, add_to_list
from v2skit.system.atomic import write_text
from v2skit.system.progress import ProgressBar
from v2skit.system.text_file import read_text
from v2skit.text.timed import Reading, words_of


def reading_heads(model: Model) -> dict[str, Part]:
    """The heads of a model that decode text, by name."""
    return {name: head for name, head in model.heads.items() if hasattr(head, "decode")}


def has_times(head: Part) -> bool:
    """Whether a head that decodes text also gives the times of its words."""
    return hasattr(head, "spans") and hasattr(head, "tokenizer")


class LipReader:
    """A head that decodes text, on one clip of any length.

    Args:
        model: V2A, in evaluation mode.
        head: name of the head.
        speaker: the input of the speaker component.
        side: of the centre crops, pixels.
        fps: video frames per second.
    """

    def __init__(self, model: Model, head: str, speaker: np.ndarray, side: int, fps: int) -> None:
        self.side, self.device = side, model.device
        self.head: Part = reading_heads(model)[head]
        speaker_input = torch.from_numpy(speaker)[None].to(self.device)
        stages = frontend_stages(model, speaker_input)
        if model.heads_on[head] == "encoder":
            stages += encoder_stages(model, speaker_input)
        stream, rate = self.head.outputs[0], getattr(self.head, "upsampling", 1)
        stages.append(windowed(self.head, masked(lambda x, mask: self.head(x, mask)[stream]), rate))
        self._cascade, self._rate, self._fps = Cascade(stages), rate, fps
        self._logits: list[Tensor | None] = []

    @torch.no_grad()
    def push(self, crops: np.ndarray) -> None:
        """The next crops, uint8 (n,H,W)."""
        for start in range(0, len(crops), FEW_FRAMES):
            video = normalise(centre_crop(crops[start : start + FEW_FRAMES], self.side))
            self._logits.append(self._cascade.push(torch.from_numpy(video).to(self.device)))

    @torch.no_grad()
    def finish(self) -> Reading:
        """The text of the whole clip; with times, where the head has ``spans`` and a ``tokenizer``, as ``ctc``."""
        logits = concatenated([*self._logits, self._cascade.finish()])
        if logits is None:
            return Reading("")
        mask = torch.ones(1, len(logits) // self._rate, dtype=torch.bool, device=self.device)
        text = self.head.decode(logits[None], mask)[0]
        if not has_times(self.head):
            return Reading(text)
        spans = self.head.spans(logits[None], mask)[0]
        words, tokens = words_of(self.head.tokenizer, spans, 1 / (self._rate * self._fps))
        return Reading(text, tuple(words), tuple(tokens))


def write_hypotheses(heads: dict[str, Callable[[SilentClip], str]], clips: list[SilentClip], folder: Path) -> None:
    """Write what heads read in all clips, ``folder/<head>.text``; existing files are skipped.

    Args:
        heads: name -> function that reads a clip.
        clips: silent.
        folder: with the list of what was written into it.
    """
    for name, read in heads.items():
        path = folder / f"{name}{HYPOTHESES}"
        if not path.exists():
            bar = ProgressBar(clips, desc=f"{folder.name}, lip reading", unit="clip")
            lines = [f"{clip.id} {read(clip)}".rstrip() for clip in bar]
            add_to_list(path)
            write_text(path, "".join(f"{line}\n" for line in lines))


def read_hypotheses(path: Path) -> dict[str, str]:
    """Utterance id -> what was read, from a file of :func:`write_hypotheses`. Raises UserError where there is none."""
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"{path} can't be read ({error}); run stage 5 again", path=path) from error
    return {key: text for key, _, text in (line.partition(" ") for line in lines)}
