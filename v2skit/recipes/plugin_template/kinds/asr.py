"""A speech recogniser."""

from typing import Annotated, Any

import numpy as np

from v2skit.registry.component import Component

DEFAULT = Component("pocketsphinx", {}, kind="asr")


class MyComponent:
    """Another recogniser on speech of one loudness, so that words do not depend on the level of a model's output.

    Args:
        recogniser: that recognises the words.
        level: root mean square of the speech that it is given.
    """

    def __init__(self, recogniser: Annotated[Component, "asr"] = DEFAULT, level: float = 0.07) -> None:
        inner: Any = recogniser  # given built
        self.recogniser, self.level = inner, level
        self.protocol = f"{inner.protocol}, at a root mean square of {level:g}"

    def __call__(self, waveform: np.ndarray, rate: int) -> list[str]:
        """Waveform (N,), rate in Hz -> words in upper case, none in silence."""
        loud = np.sqrt(np.square(waveform).mean())
        return self.recogniser(waveform * (self.level / loud), rate) if loud > 0 else []
