"""Head ``ctc``: token logits for connectionist temporal classification, and the text they decode to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from torch import Tensor, nn

from v2skit.errors import UserError
from v2skit.models.layers.masked import check_features, zero_padding
from v2skit.text.timed import Span


class Ctc(nn.Module):
    """Linear layer from a video frame to the logits of its tokens and the blank (Graves et al. 2006).

    It reads lips (:meth:`decode`): text from the features of silent video.

    Args:
        in_dim: features a video frame; given by the toolkit.
        targets: by name of their stream; given by the toolkit.
        stream: name of the target whose tokens it is trained on, by loss ``ctc``, and of its own output.
        upsampling: logits a video frame (k): more than 1 where texts may have more tokens than their videos frames.

    Raises:
        UserError: there is no such target, or it has no tokenizer.
    """

    left_context_frames = look_ahead_frames = 0

    def __init__(
        self,
        in_dim: int,
        targets: Mapping[str, Any],
        stream: str = "tokens",
        upsampling: Annotated[int, Field(ge=1, le=100)] = 1,
    ) -> None:
        super().__init__()
        self.tokenizer: Any = getattr(targets.get(stream), "tokenizer", None)
        if self.tokenizer is None:
            raise UserError(
                f"stream '{stream}' is not a target with a tokenizer; add it, as in targets: {{{stream}: "
                "{type: tokens}}, or give the stream of another target"
            )
        self.in_dim, self.stream, self.upsampling, self.outputs = in_dim, stream, upsampling, (stream,)
        self.linear = nn.Linear(in_dim, upsampling * (self.tokenizer.size + 1))

    def forward(self, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Token logits; the blank is the last one.

        Args:
            x: (B, T, in_dim).
            mask: (B, T), True for valid video frames.

        Returns:
            name of the stream -> (B, T * k, V + 1) for V tokens, zero for the video frames where the mask is False.

        Raises:
            UserError: ``x`` has another shape.
        """
        check_features(x, mask, self.in_dim, "ctc")
        logits = zero_padding(self.linear(x), mask)  # (B, T, k (V + 1))
        return {self.stream: logits.unflatten(-1, (self.upsampling, -1)).flatten(1, 2)}

    def check_lengths(self, tokens: np.ndarray, frames: np.ndarray, whole: np.ndarray) -> str:
        """Compare the texts of the training data with the lengths of their videos.

        Args:
            tokens: number of tokens of each utterance (U,).
            frames: its video frames (U,).
            whole: share of the tempos at which it is in a batch as a whole; segments have no tokens (U,).

        Returns:
            which utterances can't be used; "" where all can.

        Raises:
            UserError: none can be used.
        """
        transcribed = tokens > 0
        short = transcribed & (whole > 0) & (tokens > frames * self.upsampling)
        cut, partly = transcribed & (whole == 0), transcribed & ~short & (whole > 0) & (whole < 1)
        if not (short | cut | partly).any():
            return ""
        message = f"of {transcribed.sum()} utterances with tokens, {(transcribed & ~short & ~cut).sum()} are trained on"
        if partly.any():
            message += f", {partly.sum()} of them not at all tempos"
        if (cut | partly).any():
            message += f"; {(cut | partly).sum()} are cut to segments: set segment_frames: null"
        if short.any():
            least = math.ceil((tokens[short] / frames[short]).max())
            message += f"; {short.sum()} have more tokens than logits: set upsampling: {least}"
        if not (transcribed & ~short & ~cut).any():
            raise UserError(f"stream '{self.stream}': {message}", stream=self.stream)
        return message

    def decode(self, logits: Tensor, mask: Tensor) -> list[str]:
        """The text of the most probable token of each frame: repetitions and blanks are left out.

        Args:
            logits: (B, T * k, V + 1).
            mask: (B, T).

        Returns:
            the text of each clip; "" where it has only blanks.
        """
        return [self.tokenizer.decode([span.token for span in spans]) for spans in self.spans(logits, mask)]

    def spans(self, logits: Tensor, mask: Tensor) -> list[list[Span]]:
        """The tokens of the same path, and the logits in which each is the most probable one.

        Args:
            logits: (B, T * k, V + 1).
            mask: (B, T).

        Returns:
            of each clip, in order, without blanks; steps are logits, ``upsampling`` a video frame.
        """
        blank = logits.shape[-1] - 1
        found = []
        for best, steps in zip(logits.argmax(-1), (mask.sum(1) * self.upsampling).tolist(), strict=True):
            tokens, counts = best[:steps].unique_consecutive(return_counts=True)
            ends = counts.cumsum(0).tolist()
            runs = zip(tokens.tolist(), [0, *ends], ends)
            found.append([Span(token, start, end) for token, start, end in runs if token != blank])
        return found
