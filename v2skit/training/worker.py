"""One of several training processes: it joins the others, runs, and reports how it ended."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import torch
import torch.distributed

from v2skit.errors import UserError, reason_of
from v2skit.system.devices import choose_device
from v2skit.training.distributed import SLOW, Lost, Processes

REPORTS, LAUNCHER = "V2SKIT_REPORTS", "V2SKIT_LAUNCHER"
"""Environment variables: the folder for reports, and the launcher's process id."""
DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


@dataclass(frozen=True)
class Report:
    """How a process ended before its work was done.

    Not the error file of ``torch.distributed.elastic``, which holds a text and a call stack, but no fields.

    Args:
        kind: ``interrupted``, ``error``, ``crash`` or ``lost``.
        message: for the user.
        fields: of the error, see :class:`v2skit.errors.UserError`.
    """

    kind: str
    message: str
    fields: dict[str, Any] = field(default_factory=dict)


def work(run: Callable[[Processes, torch.device], None], device: str, timeout: float) -> NoReturn:
    """Join the other processes, run, report how it ended, and exit.

    Args:
        run: the work of each process.
        device: ``auto``, ``cpu`` or ``cuda``; each process has a GPU of its own.
        timeout: see :class:`Processes`.
    """
    rank, world, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    if rank:  # only the first process prints
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  until the process ends
        warnings.simplefilter("ignore")
    _die_with_launcher()
    report, status = None, 1
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        if device != "cpu" and torch.cuda.is_available():
            torch.cuda.set_device(local)
        where = choose_device(device)
        processes = join(rank, world, "nccl" if where.type == "cuda" else "gloo", timeout)
        run(processes, where)
        processes.gather(None, "at the end", SLOW)
        status = 0
    except Lost as error:
        report = Report("lost", str(error), error.fields)
    except (UserError, OSError) as error:
        report = Report("error", reason_of(error), getattr(error, "fields", {}))
    except KeyboardInterrupt as interrupt:
        report, status = Report("interrupted", str(interrupt) or "interrupted"), 130
    except Exception as error:
        traceback.print_exc()
        report = Report("crash", f"rank {rank} failed, see above: {type(error).__name__}: {error}")
    if report:
        _send(rank, report)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # gloo's threads now and then abort a process that ends them; all its work is done


def join(rank: int, world: int, backend: str, timeout: float) -> Processes:
    """Join the other processes at the address in torch's environment variables."""
    torch.distributed.init_process_group(backend, timeout=timedelta(seconds=SLOW * timeout))
    control = torch.distributed.new_group(backend="gloo", timeout=timedelta(seconds=2 * SLOW * timeout))
    return Processes(rank, world, timeout, control)


def read_reports(folder: Path) -> dict[int, Report]:
    """The reports of the processes that have ended early, by rank."""
    found = {int(path.stem): Report(**json.loads(path.read_text(encoding="utf-8"))) for path in folder.glob("*.json")}
    return dict(sorted(found.items()))


def _send(rank: int, report: Report) -> None:
    """Report to the launcher, or to the user where torchrun started the process."""
    if REPORTS not in os.environ:
        print(f"v2skit: rank {rank}: {report.message}", file=sys.stderr)
        return
    path = Path(os.environ[REPORTS]) / f"{rank}.part"
    path.write_text(json.dumps(asdict(report), default=str), encoding="utf-8")
    path.rename(path.with_suffix(".json"))


def _die_with_launcher() -> None:
    """Let this process be killed with its launcher."""
    if LAUNCHER in os.environ:
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != int(os.environ[LAUNCHER]):
            os._exit(1)
