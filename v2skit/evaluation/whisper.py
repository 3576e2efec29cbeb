"""Whisper (Radford et al. 2023), run by faster-whisper."""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from v2skit.config.limits import check_range
from v2skit.errors import UserError, reason_of
from v2skit.evaluation.asr import is_silent
from v2skit.evaluation.metrics import DROP_REMEDY, resample
from v2skit.system.checksum import sha256_of
from v2skit.system.extras import needs
from v2skit.text.normalise import capitals
from v2skit.text.spoken import spoken_words

FILES = ("model.bin", "config.json", "tokenizer.json")
_HOW = "give the folder of a model in CTranslate2's format as model, with model.bin, config.json and tokenizer.json"


class Whisper:
    """Whisper, with open vocabulary. Each file is decoded by itself, at temperature 0, so that its words are the same
    every time; they and the transcripts are compared without punctuation, in English with numbers as words. A silent
    file has no words, though Whisper makes some up for noise.

    Args:
        model: a name that faster-whisper knows, such as ``base.en`` or ``large-v3``, which it downloads on first use;
            or a folder in CTranslate2's format, relative to the folder that the command runs in.
        language: code of the language of the corpus.
        beam: hypotheses of the beam search.
        compute_type: of CTranslate2, such as ``float32`` or ``int8``, which is faster; words may differ by it.

    Raises:
        UserError: faster-whisper is not installed, there is no such model, or it is English-only and the language is
            another one.
    """

    rate = 16_000

    def __init__(
        self, model: str = "base.en", language: str = "en", beam: int = 5, compute_type: str = "float32"
    ) -> None:
        self.model, self.language, self.beam, self.compute_type = model, language, beam, compute_type
        check_range(self, beam=(1, 100))
        with needs("whisper", "Whisper", f"{DROP_REMEDY}: --set scoring.asr=null"):
            self._package: Any = import_module("faster_whisper")
        english = UserError(
            f"whisper: model '{model}' is English-only, and language is '{language}'; give a multilingual model, such "
            "as base or large-v3",
            key="scoring.asr.model",
        )
        if language != "en" and Path(model).name.endswith(".en"):
            raise english
        self._folder = self._found()
        if language != "en" and not self._recogniser.model.is_multilingual:  # it would be used for English all the same
            raise english
        self.digest = sha256_of(self._folder / "model.bin")[:12]
        self.protocol = (
            f"WER over all words of the set, Whisper {Path(model).name} (weights {self.digest}), faster-whisper "
            f"{version('faster-whisper')}, {language}, {compute_type}, beam {beam}, temperature 0"
        )
        self.normaliser = "upper case, NFKC, no punctuation" + (", numbers as words" if language == "en" else "")

    def __reduce__(self) -> tuple:
        return type(self), (self.model, self.language, self.beam, self.compute_type)

    def _found(self) -> Path:
        """The folder of the model's files."""
        folder = Path(self.model)
        if not folder.is_dir():
            if folder.is_absolute() or len(folder.parts) > 2:  # no name, nor OWNER/NAME of a hub
                raise UserError(f"whisper: {folder} is no folder; {_HOW}", key="scoring.asr.model")
            try:
                folder = Path(self._package.utils.download_model(self.model))
            except Exception as error:  # of the network and of a hub's client, many kinds
                raise UserError(
                    f"whisper: model '{self.model}' is not here and can't be downloaded ({reason_of(error)[:200]}); "
                    f"{_HOW}",
                    key="scoring.asr.model",
                ) from error
        missing = [name for name in FILES if not (folder / name).is_file()]
        if missing:
            raise UserError(f"whisper: {folder} has no {', '.join(missing)}; {_HOW}", key="scoring.asr.model")
        return folder

    @cached_property
    def _recogniser(self) -> Any:
        return self._package.WhisperModel(
            str(self._folder), device="cpu", compute_type=self.compute_type, cpu_threads=1, local_files_only=True
        )

    def words(self, text: str) -> list[str]:
        """The words of a transcript or a hypothesis, in the form that :attr:`normaliser` describes."""
        return spoken_words(text) if self.language == "en" else capitals(text).split()

    def __call__(self, waveform: np.ndarray, rate: int) -> list[str]:
        """See :class:`v2skit.evaluation.asr.Asr`.

        Raises:
            UserError: samples are not finite.
        """
        if is_silent(waveform):
            return []
        segments, _ = self._recogniser.transcribe(
            resample(waveform, rate, self.rate).astype(np.float32),
            language=self.language,
            beam_size=self.beam,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        return self.words(" ".join(segment.text for segment in segments))
