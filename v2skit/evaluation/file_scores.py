"""The scores of one utterance: every metric is a number or a counted failure with its reason."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from v2skit.data.data_dir import Utterance
from v2skit.errors import UserError, reason_of
from v2skit.evaluation.alignment import LAG, find_lag
from v2skit.evaluation.asr import Asr
from v2skit.evaluation.metrics import Metric, MetricError
from v2skit.evaluation.score_cache import ScoreCache
from v2skit.evaluation.wer import Edits, count_edits
from v2skit.media.audio import read_audio
from v2skit.signal.delay import delayed

WER, CER = "wer", "cer"
"""Names of the word and character error rates among the scores."""


@dataclass
class FileScores:
    """Each name of a metric, ``wer`` and ``cer`` is either in ``values`` or, with the reason, in ``failures``.

    Args:
        id: utterance id.
        values: name -> number; ``wer`` and ``cer`` are fractions, 0.1 for 10 %.
        failures: name -> reason.
        edits: counts behind the word error rate; None where there is none.
        reference: words of the transcript, in upper case.
        hypothesis: recognised words.
        silent: all samples of the hypothesis are zero: metrics then give their lowest score.
        speaker: name of the speaker.
        aligned: ``lag_ms``, and the numbers of the metrics for the hypothesis shifted by it; None where not wanted.
        character_edits: counts behind the character error rate, of words joined by spaces.
    """

    id: str
    values: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    edits: Edits | None = None
    reference: list[str] = field(default_factory=list)
    hypothesis: list[str] = field(default_factory=list)
    silent: bool = False
    speaker: str = ""
    aligned: FileScores | None = None
    character_edits: Edits | None = None

    @property
    def error_rates(self) -> dict[str, Edits]:
        """Name of each error rate that the file has -> the edits behind it, which are pooled over files."""
        found = {WER: self.edits, CER: self.character_edits}
        return {name: edits for name, edits in found.items() if edits}


@dataclass(frozen=True)
class Scorer:
    """An utterance -> its scores. It is copied to other processes.

    Args:
        hypotheses: folder of ``<id>.wav``; None: the ground-truth audio is scored against itself.
        metrics: by their names in the config.
        asr: speech recogniser for the word and character error rates, or None.
        sample_rate: of all files, Hz.
        aligned: score the time-aligned hypothesis as well.
        others: utterance id -> other clips of its talker, for metrics that need some.
        videos: utterance id -> file with the whole face, for metrics that need it.
        cache: results of before, and those of the utterances scored with this object.
    """

    hypotheses: Path | None
    metrics: dict[str, Metric]
    asr: Asr | None
    sample_rate: int
    aligned: bool = True
    others: dict[str, list[Utterance]] = field(default_factory=dict)
    videos: Mapping[str, Path] = field(default_factory=dict)
    cache: ScoreCache = field(default_factory=ScoreCache)

    def __call__(self, utterance: Utterance) -> FileScores:
        """Score an utterance.

        Raises:
            UserError: a metric returns other names than its ``higher_is_better`` states.
        """
        words = getattr(self.asr, "words", lambda text: text.upper().split())
        scores = FileScores(utterance.id, reference=words(utterance.text or ""), speaker=utterance.speaker)
        names = [n for metric in self.metrics.values() for n in metric.higher_is_better]
        try:
            hypothesis = self._hypothesis(utterance)
        except Exception as error:  # whatever fails for one file is counted, and the other files are still scored
            self._fail(scores, names, error)
            if self.asr:
                scores.failures |= dict.fromkeys((WER, CER), reason_of(error))
            return scores
        scores.silent = not hypothesis.any()
        try:
            reference = self._reference(utterance)
        except Exception as error:
            self._fail(scores, names, error)
        else:
            for name, metric in self.metrics.items():
                self._measure(name, metric, reference, hypothesis, scores)
            if self.aligned:
                scores.aligned = self._align(reference, hypothesis, scores)
        if self.asr:
            self._recognise(self.asr, hypothesis, scores)
        return scores

    def _reference(self, utterance: Utterance) -> np.ndarray:
        if utterance.audio is None:
            raise UserError("no ground-truth audio")
        return read_audio(utterance.audio, self.sample_rate)

    def _hypothesis(self, utterance: Utterance) -> np.ndarray:
        if self.hypotheses is None:
            return self._reference(utterance)
        path = self.hypotheses / f"{utterance.id}.wav"
        if not path.exists():
            raise UserError("missing: not synthesised")
        return read_audio(path, self.sample_rate, remedy="synthesise it again (stage 5 --force)")

    def _fail(self, scores: FileScores, names: list[str], error: Exception) -> None:
        """Every metric has failed, for one reason."""
        scores.failures = dict.fromkeys(names, reason_of(error))
        if self.aligned:
            scores.aligned = FileScores(scores.id, failures=dict.fromkeys([LAG, *names], reason_of(error)))

    def _align(self, reference: np.ndarray, hypothesis: np.ndarray, plain: FileScores) -> FileScores:
        """The scores of the hypothesis shifted by its lag; the plain ones where it has none."""
        aligned = FileScores(plain.id)
        try:
            lag = self._lag(reference, hypothesis) if self.hypotheses else 0
        except Exception as error:
            aligned.failures = dict.fromkeys([LAG, *plain.values, *plain.failures], reason_of(error))
            return aligned
        aligned.values[LAG] = round(1000 * lag / self.sample_rate, 3)
        for name, metric in self.metrics.items():
            if lag and getattr(metric, "intrusive", True):
                self._measure(name, metric, reference, delayed(hypothesis, -lag), aligned)
                continue
            aligned.values |= {key: plain.values[key] for key in metric.higher_is_better if key in plain.values}
            aligned.failures |= {key: plain.failures[key] for key in metric.higher_is_better if key in plain.failures}
        return aligned

    def _lag(self, reference: np.ndarray, hypothesis: np.ndarray) -> int:
        """The lag of the hypothesis in samples."""
        rate = self.sample_rate
        return self.cache.recall(find_lag, [reference, hypothesis, rate], lambda: find_lag(reference, hypothesis, rate))

    def _measure(
        self, name: str, metric: Metric, reference: np.ndarray, hypothesis: np.ndarray, scores: FileScores
    ) -> None:
        """Add one metric's numbers or failures to the scores."""
        try:
            values = self._numbers(metric, reference, hypothesis, scores.id)
        except Exception as error:
            values = reason_of(error)
        if isinstance(values, str):
            scores.failures.update(dict.fromkeys(metric.higher_is_better, values))
            return
        if not isinstance(values, dict):
            raise UserError(f"metric '{name}' outputs {type(values).__name__}; it must output a dict, name -> number")
        if values.keys() != metric.higher_is_better.keys():
            raise UserError(
                f"metric '{name}' outputs {', '.join(values)}, its higher_is_better says "
                f"{', '.join(metric.higher_is_better)}; make the two agree"
            )
        for key, value in values.items():
            try:
                number = float(value)
            except (TypeError, ValueError):
                scores.failures[key] = f"no number: {type(value).__name__}"
                continue
            if math.isfinite(number):
                scores.values[key] = round(number, 6)
            else:
                scores.failures[key] = f"not finite: {number}"

    def _numbers(self, metric: Metric, reference: np.ndarray, hypothesis: np.ndarray, id_: str) -> Any:
        """What a metric returns for a file, or the reason why it is undefined."""
        count = getattr(metric, "other_clips", 0)
        others = [read_audio(u.audio, self.sample_rate) for u in self.others[id_][:count] if u.audio] if count else []
        inputs: list[np.ndarray | str | int] = [reference, hypothesis, self.sample_rate, *others]
        extra: dict[str, Any] = {"others": others} if count else {}
        if getattr(metric, "needs_video", False):
            if id_ not in self.videos:
                raise MetricError("the corpus has no video of this clip")
            extra["video"] = self.videos[id_]
            inputs.append(hashlib.sha256(extra["video"].read_bytes()).hexdigest())

        def compute() -> Any:
            try:
                return metric(reference, hypothesis, self.sample_rate, **extra)
            except MetricError as error:
                return reason_of(error)

        return self.cache.recall(metric, inputs, compute)

    def _recognise(self, asr: Asr, hypothesis: np.ndarray, scores: FileScores) -> None:
        """Add the word and character error rates or their failure to the scores."""
        if not scores.reference:
            scores.failures |= dict.fromkeys((WER, CER), "no transcript")
            return
        rate = self.sample_rate
        try:
            words = self.cache.recall(asr, [hypothesis, rate], lambda: asr(hypothesis, rate))
            if not isinstance(words, (list, tuple)) or not all(isinstance(word, str) for word in words):
                raise UserError(f"the recogniser output {type(words).__name__}, not a list of words")
            scores.edits = count_edits(scores.reference, words)
            scores.character_edits = count_edits(" ".join(scores.reference), " ".join(words))
        except Exception as error:
            scores.failures |= dict.fromkeys((WER, CER), reason_of(error))
            return
        scores.hypothesis = list(words)
        for name, edits in ((WER, scores.edits), (CER, scores.character_edits)):
            scores.values[name] = round(edits.errors / edits.words, 6)
