"""A function on several things at once: in processes of this machine, or in a job array of a Slurm cluster."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from v2skit.config.schema import Prepare
from v2skit.errors import UserError
from v2skit.system.extras import needs

POLL_SECONDS = 0.2
LIST = 5
"""Failed jobs that are named."""


class Job(Protocol):
    """A call that is under way elsewhere."""

    def done(self) -> bool:
        """Whether it has ended, in whatever way."""

    def error(self) -> str | None:
        """Why it failed, None where it did not; once it is done."""

    def cancel(self) -> None:
        """End it."""


def run_jobs(
    function: Callable[[Any], None],
    items: Sequence[Any],
    settings: Prepare,
    logs: Path,
    progress: Callable[[], int],
    total: int,
) -> None:
    """Call ``function`` once with each item, all at the same time; one that fails does not stop the others.

    Args:
        function: importable by name; what it prints is lost.
        items: picklable, one a job.
        settings: where jobs run.
        logs: folder for what Slurm's jobs say.
        progress: how many of ``total`` clips are done, asked for now and then.
        total: how many there are.

    Raises:
        UserError: jobs can't be started, or some failed: each with its number and reason.
    """
    start: Callable[..., Sequence[Job]] = _slurm if settings.cluster == "slurm" else _processes
    jobs = start(function, items, settings, logs)
    try:
        with tqdm(total=total, desc="preparing", unit="clip", mininterval=1.0, dynamic_ncols=True) as bar:
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
            f"{len(failed)} of {len(jobs)} jobs failed ({reasons}{'; ...' if len(failed) > LIST else ''}); what is "
            "prepared stays, and stage 1 does only what is missing when it is run again"
        )


class _Process:
    """A job in a process of this machine."""

    def __init__(self, function: Callable, item: Any) -> None:
        spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        self._told, sender = spawn.Pipe(duplex=False)
        self._process = spawn.Process(target=_in_process, args=(function, item, sender), daemon=True)
        self._process.start()
        sender.close()

    def done(self) -> bool:
        return not self._process.is_alive()

    def error(self) -> str | None:
        try:
            return self._told.recv()
        except EOFError:
            code = self._process.exitcode
            how = f"by {signal.Signals(-code).name}" if code and code < 0 else f"with status {code}"
            return f"its process was ended {how}, for lack of memory perhaps; fewer jobs (--nj) take less"

    def cancel(self) -> None:
        self._process.terminate()
        self._process.join()


def _processes(function: Callable, items: Sequence[Any], settings: Prepare, logs: Path) -> list[_Process]:
    return [_Process(function, item) for item in items]


def _in_process(function: Callable, item: Any, told: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    told.send(_told(function, item))


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        wait([parent.sentinel])
    os._exit(1)


def _told(function: Callable, item: Any) -> str | None:
    """Call it. Returns why it failed, None where it did not."""
    try:
        function(item)
    except (UserError, OSError) as error:
        return str(error)
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
        return f"Slurm says {self._job.state} of job {self._job.job_id}; see {self._job.paths.stderr}"

    def cancel(self) -> None:
        self._job.cancel(check=False)


def _slurm(function: Callable, items: Sequence[Any], settings: Prepare, logs: Path) -> list[_SlurmJob]:
    with needs("slurm", "prepare.cluster: slurm"):
        import submitit

    if not shutil.which("sbatch"):
        raise UserError("prepare.cluster: slurm, but there is no sbatch here; run it on a machine that submits jobs")
    executor = submitit.SlurmExecutor(folder=logs, python=sys.executable)
    options = {"job_name": "v2skit", "cpus_per_task": 1, "time": 1440, "use_srun": False, **settings.slurm}
    try:
        executor.update_parameters(**options)
        return [_SlurmJob(job) for job in executor.map_array(_told, [function] * len(items), items)]
    except (submitit.core.utils.FailedJobError, ValueError, NameError, TypeError) as error:
        raise UserError(f"prepare.slurm: jobs can't be submitted: {error}") from error
