"""Scores of one system: its audio files against the references of a data directory. Reads files, never a model."""

from __future__ import annotations

import dataclasses
import json
import math
import multiprocessing
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import torch

from v2skit.data.data_dir import Utterance
from v2skit.errors import UserError
from v2skit.evaluation.alignment import LAG, PROTOCOL
from v2skit.evaluation.asr import Asr
from v2skit.evaluation.file_scores import CER, WER, FileScores, Scorer
from v2skit.evaluation.metrics import Metric
from v2skit.evaluation.other_clips import other_clips
from v2skit.evaluation.score_cache import ScoreCache, lines_of, read_cache
from v2skit.registry.files import Portable
from v2skit.system.devices import cores
from v2skit.system.progress import ProgressBar

SCORES = "scores.jsonl"
_FILES_PER_PROCESS = 100  # starting a process takes seconds, scoring a file about 0.15 s


@dataclass(frozen=True)
class SystemScores:
    """The scores of one system on a test set.

    Args:
        files: of each utterance, in the order of the set.
        protocols: name -> how the number is computed.
        higher_is_better: name -> direction, in the order of the metrics.
    """

    files: list[FileScores]
    protocols: dict[str, str]
    higher_is_better: dict[str, bool]

    @property
    def aligned(self) -> SystemScores | None:
        """The scores of time-aligned hypotheses, and their lag; None where there are none."""
        files = [file.aligned for file in self.files if file.aligned]
        names = [name for name in self.higher_is_better if name not in (WER, CER)]
        protocols = {**{name: self.protocols[name] for name in names}, LAG: PROTOCOL}
        directions = {**{name: self.higher_is_better[name] for name in names}, LAG: False}
        return SystemScores(files, protocols, directions) if files else None


def score(
    utterances: list[Utterance],
    hypotheses: Path | None,
    metrics: dict[str, Metric],
    asr: Asr | None,
    sample_rate: int,
    jobs: int = 0,
    aligned: bool = True,
    protocol: str | None = None,
    cache: Path | None = None,
    videos: Mapping[str, Path] | None = None,
) -> SystemScores:
    """Score every utterance; a file that is missing or cannot be scored is a counted failure.

    Args:
        utterances: with their ground-truth audio and transcripts.
        hypotheses: folder of ``<id>.wav``; ``scores.jsonl`` is written there, one line as soon as a file is scored.
            None: the ground-truth audio is scored against itself, for the ground-truth row.
        metrics: by their names in the config.
        asr: speech recogniser for the word and character error rates, or None.
        sample_rate: of all files, Hz.
        jobs: processes; 0: one for each core. Small sets get fewer.
        aligned: score time-aligned hypotheses as well.
        protocol: fingerprint of the evaluation protocol, written with the scores of each file; None: none.
        cache: file with results of before, by content: only what is not in it is computed, and added to it. It has no
            influence on the scores.
        videos: utterance id -> file with the whole face, for metrics that need it.

    Raises:
        UserError: there are no utterances, the folder is missing, none of the ground-truth audio can be scored, or two
            metrics return the same name.
    """
    if not utterances:
        raise UserError("there are no utterances to score; stage 1 makes the test set")
    if hypotheses is not None and not hypotheses.is_dir():
        raise UserError(f"{hypotheses} is not a folder of synthesised speech; stage 5 makes it")
    if jobs < 0:
        raise UserError(f"jobs {jobs}: give a number of processes, or 0 for one a core")
    protocols, directions = _columns(metrics, asr)
    processes = min(jobs or cores(), math.ceil(len(utterances) / _FILES_PER_PROCESS))
    others = other_clips(utterances, max((getattr(m, "other_clips", 0) for m in metrics.values()), default=0))
    known = ScoreCache(read_cache(cache) if cache else None)
    scorer = Scorer(hypotheses, metrics, asr, sample_rate, aligned, others, videos or {}, known)
    results = _in_processes(scorer, utterances, processes)
    name = "ground truth" if hypotheses is None else hypotheses.name
    files, unchanged = [], 0
    with ExitStack() as stack:
        record = stack.enter_context((hypotheses / SCORES).open("w", encoding="utf-8")) if hypotheses else None
        memory = stack.enter_context(_appended(cache)) if cache else None
        bar = stack.enter_context(ProgressBar(results, f"scoring {name}", len(utterances), unit="file"))
        for scores, fresh in bar:
            files.append(scores)
            if not fresh:
                unchanged += 1
                bar.set_postfix_str(f"{unchanged} unchanged", refresh=False)
            elif memory:
                memory.write(lines_of(fresh))
                memory.flush()
            if record:
                record.write(json.dumps({**dataclasses.asdict(scores), "protocol": protocol}) + "\n")
                record.flush()
    if hypotheses is None and metrics and any(u.audio for u in utterances) and not any(file.values for file in files):
        reason = next(iter(files[0].failures.values()))
        raise UserError(f"none of the {len(files)} files of ground-truth audio can be scored: {reason}")
    return SystemScores(files, protocols, directions)


def _columns(metrics: dict[str, Metric], asr: Asr | None) -> tuple[dict[str, str], dict[str, bool]]:
    """Protocol and direction of every number that the metrics and the recogniser return, by name."""
    protocols: dict[str, str] = {}
    directions: dict[str, bool] = {}
    for name, metric in metrics.items():
        twice = sorted(metric.higher_is_better.keys() & directions.keys())
        if twice:
            raise UserError(f"metric '{name}' outputs '{twice[0]}', as another metric does; leave one out")
        directions |= metric.higher_is_better
        protocols |= dict.fromkeys(metric.higher_is_better, metric.protocol)
    if asr:
        directions |= {WER: False, CER: False}
        protocols |= {
            WER: asr.protocol,
            CER: f"CER: edits a character of the transcripts, spaces among them, same words: {asr.protocol}",
        }
    return protocols, directions


def _appended(path: Path) -> TextIO:
    """A file that is appended to, in a folder that may have to be made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a", encoding="utf-8")


Scored = tuple[FileScores, dict[str, Any]]
"""Scores, and the results among them that had to be computed."""


def _in_processes(scorer: Scorer, utterances: list[Utterance], processes: int) -> Iterator[Scored]:
    """The scores of the utterances, in order."""
    if processes == 1:
        yield from ((scorer(utterance), scorer.cache.take_fresh()) for utterance in utterances)
        return
    # Spawned, not forked: a fork after torch has started its threads can deadlock.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _initialise, (Portable(scorer),)) as pool:
        try:
            yield from pool.map(_score_one, utterances, chunksize=4)
        except BrokenProcessPool as error:
            raise UserError("a scoring process died (out of memory?); score again with fewer jobs") from error


_scorer: Scorer


def _initialise(scorer: Portable) -> None:
    global _scorer  # noqa: PLW0603  one for each process, since loading a recogniser takes long
    torch.set_num_threads(1)
    _scorer = scorer.value


def _score_one(utterance: Utterance) -> Scored:
    return _scorer(utterance), _scorer.cache.take_fresh()
