"""The log of a run: JSON lines, TensorBoard, and a progress bar with the estimated remaining time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from v2skit.system.atomic import write_text


class RunLog:
    """Log of a run. Lines of an interrupted run after ``step`` are removed: these steps will be repeated.

    Args:
        run: the run's folder; ``log.jsonl`` and ``tensorboard/`` are in it.
        name: before the progress bar.
        step: optimiser steps already taken.
        steps: in total.
    """

    def __init__(self, run: Path, name: str, step: int, steps: int) -> None:
        path = run / "log.jsonl"
        kept = [line for line, number in _lines(path) if number <= step]
        write_text(path, "".join(kept))
        self._file = path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)
        self._bar = tqdm(total=steps, initial=step, desc=name, unit="step", mininterval=1.0, dynamic_ncols=True)
        self._seconds, self._waited, self._started, self._steps = 0.0, 0.0, time.perf_counter(), 0

    def step(self, waited: float) -> None:
        """Count an optimiser step, of which ``waited`` seconds were spent on waiting for data."""
        self._waited += waited
        self._steps += 1
        self._bar.update()

    def pause(self, seconds: float) -> None:
        """Exclude time, in seconds, from the speed of the steps."""
        self._started += seconds

    def write(self, step: int, kind: str, values: dict[str, float]) -> None:
        """One line of ``kind`` (``train`` or ``valid``); training lines include the speed since the last one."""
        row: dict = {"step": step, "kind": kind, **values}
        if kind == "train":
            seconds = time.perf_counter() - self._started
            row["seconds_per_step"] = round(seconds / max(1, self._steps), 4)
            row["waiting_share"] = round(self._waited / max(seconds, 1e-9), 4)
            self._started, self._waited, self._steps = time.perf_counter(), 0.0, 0
            self._bar.set_postfix_str(f"loss {values['total']:.3f}, waiting for data {row['waiting_share']:.0%}")
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        for name, value in row.items():
            if isinstance(value, float):
                self._board.add_scalar(f"{kind}/{name}", value, step)

    def say(self, text: str) -> None:
        """Print a line above the progress bar."""
        self._bar.write(text)

    def close(self) -> None:
        """Flush and close."""
        self._bar.close()
        self._file.close()
        self._board.close()


class NoLog:
    """Stands for the log in processes that write none."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: None


def _lines(path: Path) -> Iterator[tuple[str, int]]:
    """The complete lines of a log, each with its step; a damaged one, such as one truncated by a kill, is left out."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            number = _step(line) if line.endswith("}\n") else None
            if number is not None:
                yield line, number


def _step(line: str) -> int | None:
    """The step of a line of a log, None where the line is damaged."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
