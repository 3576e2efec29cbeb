"""Recognisers of torchaudio: wav2vec 2.0 and HuBERT, fine-tuned with CTC."""

from __future__ import annotations

from functools import cached_property
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch

from v2skit.errors import UserError
from v2skit.evaluation.asr import is_silent
from v2skit.evaluation.metrics import resample
from v2skit.models.torchaudio_bundles import load_bundle
from v2skit.system.checksum import sha256_of

KIND = "Wav2Vec2ASRBundle"
BLANK, SPACE = "-", "|"


class TorchaudioAsr:
    """A bundle of ``torchaudio.pipelines`` for speech recognition, decoded greedily, without a language model.

    Args:
        bundle: its name, such as ``WAV2VEC2_ASR_BASE_960H``.
        file: its weights as torchaudio publishes them, relative to the folder that the command runs in.

    Raises:
        UserError: torchaudio is not installed or does not fit the installed torch, there is no such bundle, or the file
            is missing or holds other weights.
    """

    def __init__(self, bundle: str, file: str) -> None:
        self.bundle, self.file = bundle, file
        _, self._found, self._model = load_bundle("asr 'torchaudio'", bundle, Path(file), KIND)
        self.digest = sha256_of(Path(file))[:12]
        self.protocol = (
            f"WER over all words of the set, {bundle} of torchaudio {version('torchaudio')} (weights {self.digest}), "
            "greedy CTC without a language model"
        )

    def __reduce__(self) -> tuple:
        return type(self), (self.bundle, self.file)

    @cached_property
    def _labels(self) -> tuple[str, ...]:
        labels: Any = self._found.get_labels(blank=BLANK)
        return labels

    def __call__(self, waveform: np.ndarray, rate: int) -> list[str]:
        """See :class:`v2skit.evaluation.asr.Asr`.

        Raises:
            UserError: samples are not finite.
        """
        if is_silent(waveform):
            return []
        samples = resample(waveform, rate, int(self._found.sample_rate)).astype(np.float32)
        with torch.inference_mode():
            try:
                logits, _ = self._model(torch.from_numpy(samples)[None])  # (1, T, labels)
            except RuntimeError as error:  # its convolutions need some 400 samples
                raise UserError(f"{len(samples)} samples are too few for {self.bundle}") from error
        best = [label for label, _ in groupby(logits[0].argmax(-1).tolist())]
        text = "".join(self._labels[label] for label in best if self._labels[label] != BLANK)
        return text.replace(SPACE, " ").upper().split()
