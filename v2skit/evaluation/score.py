"""Scores one system's sound files against the references of a data directory. Reads files, never a model."""

from __future__ import annotations

import dataclasses
import json
import math
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from v2skit.data.data_dir import Utterance
from v2skit.errors import UserError
from v2skit.evaluation.asr import Asr
from v2skit.evaluation.metrics import Metric
from v2skit.evaluation.wer import Edits, count_edits
from v2skit.media.audio import read_audio
from v2skit.system.devices import cores

SCORES = "scores.jsonl"
WER = "wer"
_FILES_A_PROCESS = 100  # a process costs seconds to start, a file about 0.15 s


@dataclass
class FileScores:
    """One file. Each name of a metric, and ``wer``, is either in ``values`` or, with the reason, in ``failures``.

    Args:
        id: utterance id.
        values: by name; ``wer`` is a share.
        failures: by name.
        edits: behind the word error rate, where there is one.
        reference: words.
        hypothesis: words that were recognised.
    """

    id: str
    values: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    edits: Edits | None = None
    reference: list[str] = field(default_factory=list)
    hypothesis: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SystemScores:
    """All files of one system.

    Args:
        files: one each utterance, in their order.
        protocols: name -> how the number is made.
        higher_is_better: name -> direction, in the order of the metrics.
    """

    files: list[FileScores]
    protocols: dict[str, str]
    higher_is_better: dict[str, bool]


def score(
    utterances: list[Utterance],
    hypotheses: Path | None,
    metrics: dict[str, Metric],
    asr: Asr | None,
    sample_rate: int,
    jobs: int = 0,
) -> SystemScores:
    """Score every utterance; a file that is missing or can't be scored is a counted failure.

    Args:
        utterances: with their reference sound and words.
        hypotheses: folder of ``<id>.wav``; ``scores.jsonl`` is written there, a line as soon as a file is scored.
            None: the references themselves, for the ground-truth row.
        metrics: by the name that the config gives them.
        asr: for the word error rate, or None.
        sample_rate: of all files, Hz.
        jobs: processes; 0: one a core. Small sets get fewer.

    Raises:
        UserError: nothing to score, the folder is missing, or two metrics give the same name.
    """
    if not utterances:
        raise UserError("there are no utterances to score; stage 1 makes the test set")
    if hypotheses is not None and not hypotheses.is_dir():
        raise UserError(f"{hypotheses} is not a folder of synthesised speech; stage 5 makes it")
    if jobs < 0:
        raise UserError(f"jobs {jobs}: give a number of processes, or 0 for one a core")
    protocols, directions = _columns(metrics, asr)
    processes = min(jobs or cores(), math.ceil(len(utterances) / _FILES_A_PROCESS))
    results = _scored(_Scorer(hypotheses, metrics, asr, sample_rate), utterances, processes)
    name = "ground truth" if hypotheses is None else hypotheses.name
    files = []
    with ExitStack() as stack:
        record = stack.enter_context((hypotheses / SCORES).open("w", encoding="utf-8")) if hypotheses else None
        for scores in tqdm(results, f"scoring {name}", len(utterances), unit="file", dynamic_ncols=True):
            files.append(scores)
            if record:
                record.write(json.dumps(dataclasses.asdict(scores)) + "\n")
                record.flush()
    return SystemScores(files, protocols, directions)


@dataclass(frozen=True)
class _Scorer:
    """One utterance -> its scores."""

    hypotheses: Path | None
    metrics: dict[str, Metric]
    asr: Asr | None
    sample_rate: int

    def __call__(self, utterance: Utterance) -> FileScores:
        scores = FileScores(utterance.id, reference=(utterance.text or "").upper().split())
        names = [n for metric in self.metrics.values() for n in metric.higher_is_better]
        try:
            hypothesis = self._read(utterance)
        except UserError as error:
            scores.failures = dict.fromkeys([*names, WER] if self.asr else names, str(error))
            return scores
        try:
            reference = self._reference(utterance)
        except UserError as error:
            scores.failures = dict.fromkeys(names, str(error))
        else:
            for name, metric in self.metrics.items():
                self._measure(name, metric, reference, hypothesis, scores)
        if self.asr:
            self._recognise(self.asr, hypothesis, scores)
        return scores

    def _reference(self, utterance: Utterance) -> np.ndarray:
        if utterance.audio is None:
            raise UserError("no reference sound")
        return read_audio(utterance.audio, self.sample_rate)

    def _read(self, utterance: Utterance) -> np.ndarray:
        if self.hypotheses is None:
            return self._reference(utterance)
        path = self.hypotheses / f"{utterance.id}.wav"
        if not path.exists():
            raise UserError("missing: not synthesised")
        return read_audio(path, self.sample_rate)

    def _measure(
        self, name: str, metric: Metric, reference: np.ndarray, hypothesis: np.ndarray, scores: FileScores
    ) -> None:
        try:
            values = metric(reference, hypothesis, self.sample_rate)
        except Exception as error:  # whatever one file does to a metric is counted and must not cost the others
            scores.failures.update(dict.fromkeys(metric.higher_is_better, _reason(error)))
            return
        if values.keys() != metric.higher_is_better.keys():
            raise UserError(
                f"metric '{name}' gives {', '.join(values)}, its higher_is_better says "
                f"{', '.join(metric.higher_is_better)}; make the two agree"
            )
        for key, value in values.items():
            if math.isfinite(value):
                scores.values[key] = round(float(value), 6)
            else:
                scores.failures[key] = f"not finite: {value}"

    def _recognise(self, asr: Asr, hypothesis: np.ndarray, scores: FileScores) -> None:
        if not scores.reference:
            scores.failures[WER] = "no transcript"
            return
        try:
            scores.hypothesis = asr(hypothesis, self.sample_rate)
        except Exception as error:  # as for a metric
            scores.failures[WER] = _reason(error)
            return
        scores.edits = count_edits(scores.reference, scores.hypothesis)
        scores.values[WER] = round(scores.edits.errors / scores.edits.words, 6)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


def _columns(metrics: dict[str, Metric], asr: Asr | None) -> tuple[dict[str, str], dict[str, bool]]:
    protocols: dict[str, str] = {}
    directions: dict[str, bool] = {}
    for name, metric in metrics.items():
        twice = sorted(metric.higher_is_better.keys() & directions.keys())
        if twice:
            raise UserError(f"metric '{name}' gives '{twice[0]}', which another metric gives too; leave one out")
        directions |= metric.higher_is_better
        protocols |= dict.fromkeys(metric.higher_is_better, metric.protocol)
    if asr:
        directions[WER], protocols[WER] = False, asr.protocol
    return protocols, directions


def _scored(scorer: _Scorer, utterances: list[Utterance], processes: int) -> Iterator[FileScores]:
    if processes == 1:
        yield from map(scorer, utterances)
        return
    # Spawned, not forked: a fork after torch has started its threads can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _start, (scorer,)) as pool:
        try:
            yield from pool.map(_score_one, utterances, chunksize=4)
        except BrokenProcessPool as error:
            raise UserError("a scoring process died (out of memory?); score again with fewer jobs") from error


_scorer: _Scorer


def _start(scorer: _Scorer) -> None:
    global _scorer  # noqa: PLW0603  made once a process, since a recogniser takes long to load
    torch.set_num_threads(1)
    _scorer = scorer


def _score_one(utterance: Utterance) -> FileScores:
    return _scorer(utterance)
