"""Target ``tokens``: the transcript of an utterance as token ids."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Annotated, Any

import numpy as np

from v2skit.data.targets import FitUtterance
from v2skit.errors import UserError
from v2skit.registry.component import Component


class Tokens:
    """Token ids of the transcripts, from the table ``text`` of the data directories, in any case.

    Its tokenizer is learned from the texts of the training data. Utterances without text have no tokens.

    Args:
        tokenizer: text -> token ids.
    """

    rate = "sequence"
    dtype = "int32"
    needs_audio = False
    why_empty = "none of them has text; a table 'text' of a data directory has lines 'utterance-id words'"

    def __init__(
        self,
        tokenizer: Annotated[Component, "tokenizer"] = Component("characters", {}, kind="tokenizer"),
    ) -> None:
        self.tokenizer: Any = tokenizer

    def fit(self, utterances: Iterable[FitUtterance]) -> dict:
        """Learn the tokenizer from the texts of utterances.

        Args:
            utterances: of the training data, in their order.

        Returns:
            the state of the tokenizer.

        Raises:
            UserError: none of the utterances has text, or the tokenizer can't be learned from it.
        """
        texts = (u.text for u in utterances if u.text)
        first = next((text for text in texts if self.tokenizer.normalise(text)), None)
        if first is None:
            raise UserError(
                "none of the utterances has text; give a data directory a table 'text' with lines 'utterance-id "
                "words', or leave out this target with its heads and losses"
            )
        return self.tokenizer.fit(chain([first], texts))

    def load_state(self, state: dict) -> None:
        """Take over the state that :meth:`fit` returned. Raises UserError where it is that of another tokenizer."""
        self.tokenizer.load_state(state)

    def compute(self, waveform: np.ndarray, text: str | None) -> np.ndarray:
        """Token ids, int32 (L,), of an utterance; L is 0 where it has no text."""
        return np.array(self.tokenizer.encode(text) if text else [], np.int32)
