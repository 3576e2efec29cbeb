"""Sequences that compute their items on access."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TypeVar, overload

T = TypeVar("T")


class LazySequence(Sequence[T]):
    """A read-only sequence; a subclass defines its length and :meth:`item`."""

    @abstractmethod
    def item(self, number: int) -> T:
        """The item with this number, in ``0..len - 1``."""

    @overload
    def __getitem__(self, number: int) -> T: ...
    @overload
    def __getitem__(self, number: slice) -> list[T]: ...
    def __getitem__(self, number: int | slice) -> T | list[T]:
        """One item, or a list of several; negative numbers are out of range."""
        if isinstance(number, slice):
            return [self.item(place) for place in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError(number)
        return self.item(number)
