"""Parallel jobs, in processes of this machine or in a job array of a Slurm cluster.

Slurm jobs use submitit; local ones do not, since its LocalExecutor starts them one after another (four in 1.0 s instead
of 0.2 s), lets them and their locks outlive a killed parent, and would be a requirement of every installation.
"""

from __future__ import annotations

import multiprocessing
import shlex
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from v2skit.config.prepare import Prepare
from v2skit.errors import UserError, reason_of
from v2skit.system.extras import needs
from v2skit.system.process import end_with_parent
from v2skit.system.progress import ProgressBar

POLL_SECONDS = 0.2
LIST = 5
"""Failed jobs that an error names."""


class Job(Protocol):
    """A running call of a function."""

    def done(self) -> bool:
        """Whether it has ended, successfully or not."""

    def error(self) -> str | None:
        """Why it failed, None where it did not; valid once it has ended."""

    def cancel(self) -> None:
        """Terminate it."""


def run_jobs(
    function: Callable[[Any], None],
    items: Sequence[Any],
    settings: Prepare,
    logs: Path,
    progress: Callable[[], int],
    total: int,
) -> None:
    """Call ``function`` once with each item, in parallel; a failure does not stop the others.

    Args:
        function: importable by name; its output is discarded.
        items: picklable, one per job.
        settings: where jobs run.
        logs: folder for the logs of Slurm jobs.
        progress: returns how many of ``total`` clips are done; called repeatedly.
        total: number of clips.

    Raises:
        UserError: jobs can't be started, or some failed, with their numbers and reasons.
    """
    start: Callable[..., Sequence[Job]] = _slurm if settings.cluster == "slurm" else _local
    jobs = start(function, items, settings, logs)
    try:
        with ProgressBar(total=total, desc="preparing", unit="clip") as bar:
            while not all(job.done() for job in jobs):
                bar.update(progress() - bar.n)
                time.sleep(POLL_SECONDS)
            bar.update(progress() - bar.n)
    except BaseException:
        for job in jobs:
            job.cancel()
        raise
    failed = [(number, why) for number, job in enumerate(jobs) if (why := job.error())]
    if failed:
        reasons = "; ".join(f"job {number}: {why}" for number, why in failed[:LIST])
        raise UserError(
            f"{len(failed)} of {len(jobs)} jobs failed ({reasons}{'; ...' if len(failed) > LIST else ''}); prepared "
            "utterances are kept, and stage 1 resumes when it is run again"
        )


class _LocalJob:
    """A job in a process of this machine."""

    def __init__(self, function: Callable, item: Any) -> None:
        spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        self._result, sender = spawn.Pipe(duplex=False)
        self._process = spawn.Process(target=_run_local, args=(function, item, sender), daemon=True)
        self._process.start()
        sender.close()

    def done(self) -> bool:
        return not self._process.is_alive()

    def error(self) -> str | None:
        try:
            return self._result.recv()
        except EOFError:
            code = self._process.exitcode
            how = f"by {signal.Signals(-code).name}" if code and code < 0 else f"with status {code}"
            return f"its process was ended {how}, possibly out of memory; fewer jobs (--nj) need less"

    def cancel(self) -> None:
        self._process.terminate()
        self._process.join()


def _local(function: Callable, items: Sequence[Any], settings: Prepare, logs: Path) -> list[_LocalJob]:
    return [_LocalJob(function, item) for item in items]


def _run_local(function: Callable, item: Any, result: Connection) -> None:
    end_with_parent()
    result.send(_error_of(function, item))


def _error_of(function: Callable, item: Any) -> str | None:
    """Call the function. Returns why it failed, None where it did not."""
    try:
        function(item)
    except (UserError, OSError) as error:
        return reason_of(error)
    except Exception as error:
        traceback.print_exc()
        return f"{type(error).__name__}: {error}"
    return None


class _SlurmJob:
    """A job of a Slurm array."""

    def __init__(self, job: Any) -> None:
        self._job = job

    def done(self) -> bool:
        return self._job.done()

    def error(self) -> str | None:
        if self._job.exception() is None:
            return self._job.result()
        return f"Slurm reports {self._job.state} for job {self._job.job_id}; see {self._job.paths.stderr}"

    def cancel(self) -> None:
        self._job.cancel(check=False)


def _slurm(function: Callable, items: Sequence[Any], settings: Prepare, logs: Path) -> list[_SlurmJob]:
    with needs("slurm", "prepare.cluster: slurm"):
        import submitit

    if not shutil.which("sbatch"):
        raise UserError("prepare.cluster: slurm, but this machine has no sbatch; run it on a machine that submits jobs")
    executor = submitit.SlurmExecutor(folder=logs, python=shlex.quote(sys.executable))
    options = {"job_name": "v2skit", "cpus_per_task": 1, "time": 1440, "use_srun": False, **settings.slurm}
    try:
        executor.update_parameters(**options)
        return [_SlurmJob(job) for job in executor.map_array(_error_of, [function] * len(items), items)]
    except (submitit.core.utils.FailedJobError, ValueError, NameError, TypeError) as error:
        raise UserError(f"prepare.slurm: jobs can't be submitted: {error}") from error
