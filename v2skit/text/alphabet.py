"""Tokenizers whose tokens are the symbols that occur in the training texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from v2skit.errors import UserError

FOREIGN_STATE = "the stored state is not that of a tokenizer of this type; fit it again (stage 1 --force)"


class Alphabet:
    """The symbols of the texts, sorted by code point; symbols that are not in them are left out of other texts.

    A subclass has :meth:`split`; a space separates words. The interface is that of :mod:`v2skit.text`.
    """

    def __init__(self) -> None:
        self.symbols: list[str] = []

    @property
    def size(self) -> int:
        """Number of tokens."""
        return len(self.symbols)

    def split(self, text: str) -> list[str]:
        """The symbols of a text in its normal form."""
        raise NotImplementedError

    def normalise(self, text: str) -> str:
        """The text as :meth:`decode` gives it where all its symbols are known."""
        return "".join(self.split(text))

    def fit(self, texts: Iterable[str]) -> dict:
        """Learn the symbols of the texts. Returns the state, ``{"symbols": [...]}``."""
        self.load_state({"symbols": sorted({symbol for text in texts for symbol in self.split(text)})})
        return {"symbols": self.symbols}

    def load_state(self, state: dict) -> None:
        """Take over a state. Raises UserError where it is that of another tokenizer."""
        symbols = state.get("symbols")
        if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
            raise UserError(FOREIGN_STATE)
        self.symbols = symbols
        self._ids = {symbol: number for number, symbol in enumerate(symbols)}

    def encode(self, text: str) -> list[int]:
        """Text -> ids of its symbols, without those that the training texts do not have."""
        return [self._ids[symbol] for symbol in self.split(text) if symbol in self._ids]

    def decode(self, ids: Sequence[int]) -> str:
        """Ids -> text, words separated by single spaces."""
        return " ".join("".join(self.symbols[number] for number in ids).split())
