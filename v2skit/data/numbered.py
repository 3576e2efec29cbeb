"""Sequences whose items are made when they are asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TypeVar, overload

T = TypeVar("T")


class Numbered(Sequence[T]):
    """A read-only sequence, of which a subclass says how long it is and what :meth:`at` a number is."""

    @abstractmethod
    def at(self, number: int) -> T:
        """The item with this number, which lies in ``0..len - 1``."""

    @overload
    def __getitem__(self, number: int) -> T: ...
    @overload
    def __getitem__(self, number: slice) -> list[T]: ...
    def __getitem__(self, number: int | slice) -> T | list[T]:
        """One item, or a list of several; numbers below 0 are out of range."""
        if isinstance(number, slice):
            return [self.at(place) for place in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError(number)
        return self.at(number)
