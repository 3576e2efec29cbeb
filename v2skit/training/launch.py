"""A stage on several processes: torchrun's agent starts them here, they are watched, and their end is one sentence."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import re
import signal
import sys
import tempfile
import threading
import traceback
import uuid
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import torch
import torch.distributed

from v2skit.config.schema import Training
from v2skit.errors import UserError
from v2skit.system.devices import choose_device, cores
from v2skit.training.distributed import SLOW, Lost, Processes, check_shares

REPORTS, LAUNCHER = "V2SKIT_REPORTS", "V2SKIT_LAUNCHER"
KINDS = ("interrupted", "error", "crash", "lost")
"""How a process that does not come to its end says that it ended."""
GOES_ON = "the same command goes on from the last checkpoint"
POLL_SECONDS = 0.1
DAY_SECONDS = 86400.0
DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


@dataclass(frozen=True)
class Group:
    """How many processes, and where.

    Args:
        nproc: processes on each machine.
        nnodes: machines, on each of which the same command runs.
        rdzv: ``HOST:PORT`` where these meet; host is one of them. Empty: Slurm's variables tell.

    Raises:
        UserError: the numbers make no sense, or nothing tells where the machines meet.
    """

    nproc: int = 1
    nnodes: int = 1
    rdzv: str = ""

    def __post_init__(self) -> None:
        if min(self.nproc, self.nnodes) < 1:
            raise UserError(f"--nproc {self.nproc} and --nnodes {self.nnodes} must be at least 1")
        port = re.fullmatch(r".+:(\d{1,5})", self.rdzv)
        if self.rdzv and not (port and 0 < int(port[1]) < 2**16):
            raise UserError(f"--rdzv {self.rdzv} is not of the form HOST:PORT, e.g. node1:29400; ports end at 65535")
        if self.nnodes > 1:
            _ = self.address  # raises where there is none

    @property
    def world(self) -> int:
        """Processes on all machines."""
        return self.nproc * self.nnodes

    @property
    def address(self) -> str:
        """Where the machines meet; on a single one any free port."""
        if self.nnodes == 1:
            return "localhost:0"
        nodes = os.environ.get("SLURM_STEP_NODELIST") or os.environ.get("SLURM_JOB_NODELIST")
        if not (self.rdzv or nodes):
            raise UserError(
                f"--nnodes {self.nnodes} needs --rdzv HOST:PORT: the name of one of the machines and a free port, the "
                "same on all; in a Slurm allocation, start it with srun --ntasks-per-node 1 and it is found"
            )
        return self.rdzv or f"{first_node(nodes or '')}:{20000 + int(os.environ.get('SLURM_JOB_ID', '0')) % 20000}"


def first_node(nodes: str) -> str:
    """The first name of Slurm's list: ``gpu[03-05,07],cpu1`` -> ``gpu03``."""
    found = re.match(r"([^,\[]*)(?:\[(\w+)[^\]]*\]([^,]*))?", nodes)
    return "".join(part or "" for part in found.groups()) if found else ""


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
    """Do a stage in as many processes as are wanted.

    Args:
        run: what each of them is to do.
        group: how many, and where.
        arguments: of this command line, with which they are started.
        name: of the stage.
        device: ``auto``, ``cpu`` or ``cuda``.
        training: settings of the training; None: the first process does it all, for which the others wait.

    Raises:
        UserError: they do not fit the machine or the batches, or what :func:`launch` raises.
        KeyboardInterrupt: as :func:`launch`.
    """
    if launched():
        work(run, device, training.rank_timeout_seconds if training else DAY_SECONDS)
    if group.world == 1:
        return run(Processes(), choose_device(device))
    if training:
        check_shares(training.accumulate, group.world)
    count = torch.cuda.device_count()
    if device != "cpu" and 0 < count < group.nproc:
        raise UserError(
            f"--nproc {group.nproc}: this machine has {count} GPUs; start no more processes, or give --device cpu"
        )
    launch(arguments, name, group)


@dataclass
class _Watch:
    """What is seen of this machine's processes, by rank.

    Args:
        folder: where they write how they ended.
        told: those that were told to stop.
        first: those that ended first.
        ended: those that were stuck, and so were ended from here.
    """

    folder: Path
    told: set[int] = field(default_factory=set)
    first: set[int] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)

    def reports(self) -> dict[int, dict[str, Any]]:
        """How processes say that they ended."""
        found = {int(path.stem): json.loads(path.read_text(encoding="utf-8")) for path in self.folder.glob("*.json")}
        return dict(sorted(found.items()))

    def look(self, pids: dict[int, int], stop: bool) -> None:
        """Note which processes have ended; end those that the others miss though they are there; pass a signal on."""
        self.first = self.first or {rank for rank, pid in pids.items() if _has_ended(pid)}
        reports = self.reports().values() if self.first else []
        missing = {rank for report in reports for rank in report.get("missing", [])}
        for rank, pid in pids.items():
            if _has_ended(pid):
                continue
            if rank in missing:
                os.kill(pid, signal.SIGKILL)
                self.ended.add(rank)
            elif stop and rank not in self.told:
                os.kill(pid, signal.SIGINT)
                self.told.add(rank)


def launch(arguments: list[str], name: str, group: Group) -> None:
    """Run a command of v2skit in several processes, to the end of all.

    Args:
        arguments: of the command line.
        name: of the stage.
        group: how many, and where.

    Raises:
        UserError: a process failed, died or hung; it is named.
        KeyboardInterrupt: after Ctrl-C or a termination signal, when what was done is saved.
    """
    from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # what it tells is told here, once
    signals: list[int] = []
    old = {s: signal.signal(s, lambda number, frame: signals.append(number)) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        with tempfile.TemporaryDirectory(prefix="v2skit-") as folder:
            watch = _Watch(Path(folder))
            outcome: list[Any] = []
            logs = DefaultLogsSpecs(log_dir=folder)
            agent = LocalElasticAgent(_specification(arguments, name, group, folder), logs)
            thread = threading.Thread(target=_run, args=(agent, outcome), daemon=True)
            thread.start()
            while thread.is_alive():
                thread.join(POLL_SECONDS)
                workers = agent.get_worker_group().workers
                pids = {w.global_rank: w.id for w in workers if isinstance(w.id, int)}
                watch.look(pids, bool(signals))
                if signals and not pids:  # the other machines are still to come
                    break
            ended = outcome[0] if outcome else None
            if isinstance(ended, Exception):
                raise ended
            codes = {} if ended is None else {rank: failure.exitcode for rank, failure in ended.failures.items()}
            _judge(watch, codes, bool(signals))
            if ended is None:
                raise _not_met(group)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _not_met(group: Group) -> UserError:
    return UserError(
        f"the machines did not meet at {group.address}; start the same command on all {group.nnodes} of them within "
        "ten minutes, with a --rdzv that each of them can reach"
    )


def _specification(arguments: list[str], name: str, group: Group, folder: str) -> Any:
    """What the agent is to run. Raises UserError where the machine to meet at can't be reached."""
    from torch.distributed.elastic.agent.server import WorkerSpec
    from torch.distributed.elastic.rendezvous import RendezvousError, RendezvousParameters
    from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

    alone = group.nnodes == 1
    threads = max(1, cores() // group.nproc)
    given = {REPORTS: folder, LAUNCHER: os.getpid(), "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads)}
    if alone:
        given["GLOO_SOCKET_IFNAME"] = "lo"
    local = "localhost" if alone else None
    meeting = RendezvousParameters(
        "c10d", group.address, str(uuid.uuid4()) if alone else f"v2skit-{name}", group.nnodes, group.nnodes, local
    )
    try:
        handler = get_rendezvous_handler(meeting)
    except RendezvousError as error:
        raise _not_met(group) from error
    command = [*(f"{key}={value}" for key, value in given.items()), sys.executable, "-m", "v2skit", *arguments]
    return WorkerSpec(
        role="v2skit",
        local_world_size=group.nproc,
        entrypoint="env",
        args=tuple(command),
        rdzv_handler=handler,
        max_restarts=0,
        monitor_interval=POLL_SECONDS,
        local_addr=local,
    )


def _run(agent: Any, outcome: list) -> None:
    from torch.distributed.elastic.rendezvous import RendezvousError

    # Processes start with SIGINT held back, and let it in when they can end in order.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        outcome.append(agent.run("v2skit"))
    except RendezvousError:
        return
    except Exception as error:
        outcome.append(error)


def _judge(watch: _Watch, codes: dict[int, int], signalled: bool) -> None:
    """Returns where all went well. Raises what :func:`launch` raises."""
    reports = watch.reports()
    kinds = {kind: [r for r in reports.values() if r["kind"] == kind] for kind in KINDS}
    if signalled or kinds["interrupted"]:
        raise KeyboardInterrupt(kinds["interrupted"][0]["sentence"] if kinds["interrupted"] else "interrupted")
    for kind in ("error", "crash"):
        if kinds[kind]:
            raise UserError(kinds[kind][0]["sentence"])
    if codes:
        print(file=sys.stderr)  # the progress bar may have been left as it was
    # The agent ends the others by SIGTERM, and where the machine is busy they are all seen to have ended at once.
    for rank in sorted(watch.first - watch.ended, key=lambda rank: (codes.get(rank) == -signal.SIGTERM, rank)):
        if codes.get(rank, 0) < 0:
            number = signal.Signals(-codes[rank])
            why = " (for want of memory perhaps)" if number == signal.SIGKILL else ""
            raise UserError(f"rank {rank} was ended by {number.name}{why}; {GOES_ON}")
    if kinds["lost"]:
        raise UserError(f"{kinds['lost'][0]['sentence']}; {GOES_ON}")
    for rank, code in sorted(codes.items()):
        raise UserError(f"rank {rank} ended with exit status {code}; {GOES_ON}")


def _has_ended(pid: int) -> bool:
    """Whether a child has ended; it stays for the agent to collect."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def work(run: Callable[[Processes, torch.device], None], device: str, timeout: float) -> NoReturn:
    """The life of one of several processes: it joins the others, runs, says how it ended, and ends.

    Args:
        run: what it is to do.
        device: ``auto``, ``cpu`` or ``cuda``; each process has a GPU of its own.
        timeout: see :class:`Processes`.
    """
    rank, world, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    if rank:  # the first speaks for all
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  until the process ends
        warnings.simplefilter("ignore")
    _die_with_launcher()
    status, report = 0, {}
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        if device != "cpu" and torch.cuda.is_available():
            torch.cuda.set_device(local)
        where = choose_device(device)
        processes = join(rank, world, "nccl" if where.type == "cuda" else "gloo", timeout)
        run(processes, where)
        processes.gather(None, "at the end", SLOW)
    except Lost as error:
        status, report = 1, {"kind": "lost", "sentence": str(error), "missing": error.fields["ranks"]}
    except (UserError, OSError) as error:
        status, report = 1, {"kind": "error", "sentence": str(error)}
    except KeyboardInterrupt as interrupt:
        status, report = 130, {"kind": "interrupted", "sentence": str(interrupt) or "interrupted"}
    except Exception as error:
        traceback.print_exc()
        sentence = f"rank {rank} failed, see above: {type(error).__name__}: {error}"
        status, report = 1, {"kind": "crash", "sentence": sentence}
    if status:
        _report(rank, report)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # gloo's threads now and then abort the process that takes them down; what was to be done is done


def join(rank: int, world: int, backend: str, timeout: float) -> Processes:
    """Meet the other processes, where torch's environment variables say."""
    torch.distributed.init_process_group(backend, timeout=timedelta(seconds=SLOW * timeout))
    control = torch.distributed.new_group(backend="gloo", timeout=timedelta(seconds=2 * SLOW * timeout))
    return Processes(rank, world, timeout, control)


def _report(rank: int, report: dict[str, Any]) -> None:
    """Say how this process ended: to the launcher, or where torchrun started it to the user."""
    if REPORTS not in os.environ:
        print(f"v2skit: rank {rank}: {report['sentence']}", file=sys.stderr)
        return
    path = Path(os.environ[REPORTS]) / f"{rank}.part"
    path.write_text(json.dumps(report), encoding="utf-8")
    path.rename(path.with_suffix(".json"))


def _die_with_launcher() -> None:
    """A launcher that is killed takes its processes with it."""
    if LAUNCHER in os.environ:
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != int(os.environ[LAUNCHER]):
            os._exit(1)
