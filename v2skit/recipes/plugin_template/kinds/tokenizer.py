"""A tokenizer of words."""

from v2skit.text.alphabet import Alphabet
from v2skit.text.normalise import normalise


class MyComponent(Alphabet):
    """One token for each word of the training texts; a space follows each word."""

    def split(self, text: str) -> list[str]:
        """The words of the normal form."""
        return [word + " " for word in normalise(text).split()]

    def normalise(self, text: str) -> str:
        """The normal form of a text."""
        return normalise(text)
