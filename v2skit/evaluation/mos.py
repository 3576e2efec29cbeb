"""Predicted mean opinion scores (MOS) of the hypothesis alone, 1 to 5: DNSMOS and DistillMOS."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import redirect_stdout
from functools import cached_property
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from v2skit.evaluation.metrics import DROP_REMEDY, check_pair, resample
from v2skit.system.extras import needs

LOWEST = 1.0
"""The score of a silent hypothesis: the lowest of the scale. Predictors give silence about 2, as background noise is
low."""


class _Predictor:
    """A predictor of scores at 16 kHz. Its network is loaded on first use, and by each process anew."""

    higher_is_better: dict[str, bool]
    intrusive = False
    package: str
    method: str
    rate = 16_000

    def __init__(self) -> None:
        with needs("mos", self.method, DROP_REMEDY):
            self._package: Any = import_module(self.package)
        distribution = self.package.partition(".")[0]
        self.protocol = (
            f"{self.method}, {distribution} {version(distribution)}, hypothesis resampled to 16 kHz (polyphase); a "
            f"silent one scores {LOWEST:g}"
        )

    def __reduce__(self) -> tuple:
        return type(self), ()

    def __call__(self, reference: np.ndarray, hypothesis: np.ndarray, rate: int) -> dict[str, float]:
        """See :class:`v2skit.evaluation.metrics.Metric`."""
        _, hypothesis = check_pair(reference, hypothesis)
        if not hypothesis.any():
            return dict.fromkeys(self.higher_is_better, LOWEST)
        return self._predict(resample(hypothesis, rate, self.rate).clip(-1, 1).astype(np.float32))

    @cached_property
    def _predict(self) -> Callable[[np.ndarray], dict[str, float]]:
        """float32 (N,) at 16 kHz, in [-1, 1] -> the numbers."""
        raise NotImplementedError


class Dnsmos(_Predictor):
    """DNSMOS P.835 (Reddy et al. 2022): overall quality, signal and background, and DNSMOS P.808 (Reddy et al. 2021).

    Its networks have an input of 9 s; shorter clips are repeated.

    Raises:
        UserError: speechmos is not installed.
    """

    higher_is_better = {"dnsmos_ovrl": True, "dnsmos_sig": True, "dnsmos_bak": True, "dnsmos_p808": True}
    package, method = "speechmos.dnsmos", "DNSMOS P.835 and P.808"

    @cached_property
    def _predict(self) -> Callable[[np.ndarray], dict[str, float]]:
        def predict(waveform: np.ndarray) -> dict[str, float]:
            scores = self._package.run(waveform, self.rate)
            return {name: float(scores[f"{name.partition('_')[2]}_mos"]) for name in self.higher_is_better}

        return predict


class DistillMos(_Predictor):
    """DistillMOS (Stahl and Gamper 2025): overall quality, by a small network distilled from one on XLS-R.

    Raises:
        UserError: distillmos is not installed.
    """

    higher_is_better = {"distillmos": True}
    package, method = "distillmos", "DistillMOS"

    @cached_property
    def _predict(self) -> Callable[[np.ndarray], dict[str, float]]:
        with redirect_stdout(None):  # it prints where its weights are
            model = self._package.ConvTransformerSQAModel().eval()

        def predict(waveform: np.ndarray) -> dict[str, float]:
            with torch.inference_mode():
                return {"distillmos": float(model(torch.from_numpy(waveform)[None]))}

        return predict
