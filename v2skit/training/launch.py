"""A stage on several processes: torchrun's agent starts them, they are monitored, and their end is one message.

The agent is used directly, not through ``torchrun`` or ``torch.distributed.launcher``: these kill processes 30 s after
a signal, whether or not their checkpoint is written, and end no process that the others find stuck.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from v2skit.config.schema import Training
from v2skit.errors import UserError
from v2skit.system.devices import choose_device, cores
from v2skit.system.temporary import private_folder
from v2skit.training.distributed import Processes, check_shares
from v2skit.training.failures import named_failures
from v2skit.training.group import Group
from v2skit.training.worker import LAUNCHER, REPORTS, Report, read_reports, work

RESUMES = "the same command, without --force, resumes from the last checkpoint"
POLL_SECONDS = 0.1
DAY_SECONDS = 86400.0


def launched() -> bool:
    """Whether this process is one of several that torchrun or :func:`launch` started."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def together(
    run: Callable[[Processes, torch.device], None],
    group: Group,
    arguments: list[str],
    name: str,
    device: str,
    training: Training | None,
) -> None:
    """Run a stage in the processes of a group.

    Args:
        run: the work of each process.
        group: of the processes.
        arguments: of this command line, with which they are started.
        name: of the stage.
        device: ``auto``, ``cpu`` or ``cuda``.
        training: settings of the training; None: the first process does all work while the others wait.

    Raises:
        UserError: they do not fit the machine or the batches, a component fails, or what :func:`launch` raises.
        KeyboardInterrupt: as :func:`launch`.
    """

    def named(processes: Processes, device: torch.device) -> None:
        with named_failures():
            run(processes, device)

    if launched():
        work(named, device, training.rank_timeout_seconds if training else DAY_SECONDS)
    if group.world == 1:
        return named(Processes(), choose_device(device))
    if training:
        check_shares(training.accumulate, group.world)
    count = torch.cuda.device_count()
    if device != "cpu" and 0 < count < group.nproc:
        raise UserError(
            f"--nproc {group.nproc}: this machine has {count} GPUs; start no more processes, or give --device cpu"
        )
    launch(arguments, name, group)


@dataclass
class Monitor:
    """Observes the processes on this machine, by rank.

    Args:
        folder: of their reports.
        signalled: those to which a signal was passed on.
        first: those that ended first.
        stuck: those that were killed here since the others reported them missing.
    """

    folder: Path
    signalled: set[int] = field(default_factory=set)
    first: set[int] = field(default_factory=set)
    stuck: set[int] = field(default_factory=set)

    def poll(self, pids: dict[int, int], stop: bool) -> None:
        """Note which processes have ended, kill stuck ones, and pass a signal on."""
        self.first = self.first or {rank for rank, pid in pids.items() if _has_ended(pid)}
        reports = read_reports(self.folder).values() if self.first else []
        missing = {rank for report in reports for rank in report.fields.get("ranks", [])}
        for rank, pid in pids.items():
            if _has_ended(pid):
                continue
            if rank in missing:
                os.kill(pid, signal.SIGKILL)
                self.stuck.add(rank)
            elif stop and rank not in self.signalled:
                os.kill(pid, signal.SIGINT)
                self.signalled.add(rank)


def launch(arguments: list[str], name: str, group: Group) -> None:
    """Run a command of v2skit in several processes, to the end of all.

    Args:
        arguments: of the command line.
        name: of the stage.
        group: of the processes.

    Raises:
        UserError: a process failed, died or hung; it is named.
        KeyboardInterrupt: after Ctrl-C or a termination signal, once a checkpoint has been written.
    """
    from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # its messages would repeat ours
    signals: list[int] = []
    old = {s: signal.signal(s, lambda number, frame: signals.append(number)) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        with private_folder("launch") as reports:
            monitor, folder = Monitor(reports), str(reports)
            outcome: list[Any] = []
            agent = LocalElasticAgent(_specification(arguments, name, group, folder), DefaultLogsSpecs(log_dir=folder))
            thread = threading.Thread(target=_run, args=(agent, outcome), daemon=True)
            thread.start()
            while thread.is_alive():
                thread.join(POLL_SECONDS)
                workers = agent.get_worker_group().workers
                pids = {w.global_rank: w.id for w in workers if isinstance(w.id, int)}
                monitor.poll(pids, bool(signals))
                if signals and not pids:  # the other machines have not joined yet
                    break
            ended = outcome[0] if outcome else None
            if isinstance(ended, Exception):
                raise ended
            codes = {} if ended is None else {rank: failure.exitcode for rank, failure in ended.failures.items()}
            raise_failure(monitor, codes, bool(signals))
            if ended is None:
                raise _not_met(group)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _specification(arguments: list[str], name: str, group: Group, folder: str) -> Any:
    """The processes that the agent starts. Raises UserError where the rendezvous can't be reached."""
    from torch.distributed.elastic.agent.server import WorkerSpec
    from torch.distributed.elastic.rendezvous import RendezvousError, RendezvousParameters
    from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

    single = group.nnodes == 1
    local, run_id = ("localhost", str(uuid.uuid4())) if single else (None, f"v2skit-{name}")
    threads = max(1, cores() // group.nproc)
    environment = {REPORTS: folder, LAUNCHER: os.getpid()}
    environment |= {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads)}
    environment |= {"GLOO_SOCKET_IFNAME": "lo"} if single else {}
    try:
        handler = get_rendezvous_handler(
            RendezvousParameters("c10d", group.address, run_id, group.nnodes, group.nnodes, local)
        )
    except RendezvousError as error:
        raise _not_met(group) from error
    return WorkerSpec(
        role="v2skit",
        local_world_size=group.nproc,
        entrypoint="env",
        args=(*(f"{k}={v}" for k, v in environment.items()), sys.executable, "-m", "v2skit", *arguments),
        rdzv_handler=handler,
        max_restarts=0,
        monitor_interval=POLL_SECONDS,
        local_addr=local,
    )


def _not_met(group: Group) -> UserError:
    return UserError(
        f"not all machines connected at {group.address}; start the same command on all {group.nnodes} of them within "
        "ten minutes, with a --rdzv that each of them can reach"
    )


def _run(agent: Any, outcome: list) -> None:
    from torch.distributed.elastic.rendezvous import RendezvousError

    # Processes start with SIGINT blocked, and unblock it once they can handle it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        outcome.append(agent.run("v2skit"))
    except RendezvousError:
        return
    except Exception as error:
        outcome.append(error)


def raise_failure(monitor: Monitor, codes: dict[int, int], signalled: bool) -> None:
    """Raises what :func:`launch` raises, unless all went well.

    Args:
        monitor: of the processes, all of which have ended.
        codes: exit status of those that failed, by rank; negative: the signal that ended it.
        signalled: the launcher was asked to stop.
    """
    reports = read_reports(monitor.folder).values()

    def first(kind: str) -> Report | None:
        return next((report for report in reports if report.kind == kind), None)

    interrupted, failed, lost = first("interrupted"), first("error") or first("crash"), first("lost")
    if signalled or interrupted:
        raise KeyboardInterrupt(interrupted.message if interrupted else "interrupted")
    if failed:
        raise UserError(failed.message, **failed.fields)
    if codes:
        print(file=sys.stderr)  # behind the progress bar, which may not have been closed
    # The agent ends the others by SIGTERM, and on a busy machine all seem to have ended at once.
    for rank in sorted(monitor.first - monitor.stuck, key=lambda rank: (codes.get(rank) == -signal.SIGTERM, rank)):
        if codes.get(rank, 0) < 0:
            number = signal.Signals(-codes[rank])
            why = " (possibly out of memory)" if number == signal.SIGKILL else ""
            raise UserError(f"rank {rank} was ended by {number.name}{why}; {RESUMES}", rank=rank)
    if lost:
        raise UserError(f"{lost.message}; {RESUMES}", **lost.fields)
    for rank, code in sorted(codes.items()):
        raise UserError(f"rank {rank} ended with exit status {code}; {RESUMES}", rank=rank)


def _has_ended(pid: int) -> bool:
    """Whether a child process has ended; the agent collects its exit status later."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True
