"""Tokenizer ``sentencepiece``: words and parts of words, by byte-pair encoding or a unigram language model."""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Annotated, Any, Literal

from pydantic import Field

from v2skit.errors import UserError
from v2skit.system.extras import needs
from v2skit.text.alphabet import FOREIGN_STATE
from v2skit.text.normalise import normalise


def _needed() -> AbstractContextManager[None]:
    return needs("text", "tokenizer 'sentencepiece'", "choose tokenizer 'characters'")


class SentencePiece:
    """Subword units (Kudo and Richardson 2018), learned in memory from the normal form of the training texts.

    Characters that are not in these are one token, ``unknown``, which ``decode`` leaves out. The interface is that of
    :mod:`v2skit.text`; the state has the model file in base64.

    Args:
        model: ``bpe`` (Sennrich et al. 2016), ``unigram`` (Kudo 2018), or ``char``.
        vocab_size: largest number of tokens; small sets of texts give fewer.
        punctuation: keep punctuation; otherwise only apostrophes within words are kept.

    Attributes:
        size: number of tokens, ``unknown`` among them.
    """

    def __init__(
        self,
        model: Literal["bpe", "unigram", "char"] = "unigram",
        vocab_size: Annotated[int, Field(ge=2, le=1_000_000)] = 200,
        punctuation: bool = False,
    ) -> None:
        self.model, self.vocab_size, self.punctuation = model, vocab_size, punctuation
        self.size = 0
        self._state: dict = {}

    @functools.cached_property
    def _processor(self) -> Any:
        """Loaded on first use: synthesis with a model that has a head needs no more than ``size``.

        Raises:
            UserError: sentencepiece is not installed, or the state is damaged.
        """
        with _needed():
            from sentencepiece import SentencePieceProcessor
        processor = SentencePieceProcessor()
        try:
            processor.LoadFromSerializedProto(base64.b64decode(self._state["model"]))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(FOREIGN_STATE) from error
        return processor

    def normalise(self, text: str) -> str:
        """The normal form of :func:`v2skit.text.normalise.normalise`."""
        return normalise(text, self.punctuation)

    def fit(self, texts: Iterable[str]) -> dict:
        """Learn the model. Returns the state, ``{"model": base64, "size": tokens}``.

        Raises:
            UserError: sentencepiece is not installed, there are more different characters than tokens, or the texts
                can't be learned from.
        """
        with _needed():
            from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

        written = io.BytesIO()
        try:
            SentencePieceTrainer.train(
                sentence_iterator=(self.normalise(text) for text in texts),
                model_writer=written,
                model_type=self.model,
                vocab_size=self.vocab_size,
                hard_vocab_limit=False,
                character_coverage=1.0,
                normalization_rule_name="identity",  # the texts are in their normal form
                unk_id=0,
                bos_id=-1,
                eos_id=-1,
                pad_id=-1,
                unk_surface="",
                num_threads=1,  # the sums of several threads are not reproducible
                minloglevel=2,
            )
        except RuntimeError as error:
            reason = " ".join(str(error).split()).rpartition("] ")[2]
            raise UserError(
                f"sentencepiece can't learn {self.vocab_size} tokens ({reason}); give another vocab_size, or choose "
                "tokenizer 'characters'"
            ) from error
        model = written.getvalue()
        size = SentencePieceProcessor(model_proto=model).get_piece_size()
        state = {"model": base64.b64encode(model).decode(), "size": size}
        self.load_state(state)
        return state

    def load_state(self, state: dict) -> None:
        """Take over a state. Raises UserError where it is that of another tokenizer."""
        if not isinstance(state.get("model"), str) or not isinstance(state.get("size"), int):
            raise UserError(FOREIGN_STATE)
        self.size, self._state = state["size"], state
        self.__dict__.pop("_processor", None)

    def encode(self, text: str) -> list[int]:
        """Text -> ids of its subwords."""
        return self._processor.encode(self.normalise(text))

    def decode(self, ids: Sequence[int]) -> str:
        """Ids -> text."""
        return self._processor.decode([int(number) for number in ids]).strip()
