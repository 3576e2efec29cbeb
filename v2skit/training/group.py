"""The number of processes, and where their machines meet: from the command line or from Slurm."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from v2skit.errors import UserError


@dataclass(frozen=True)
class Group:
    """The number of processes, and the address at which their machines meet.

    Args:
        nproc: processes on each machine.
        nnodes: machines, on each of which the same command runs.
        rdzv: ``HOST:PORT`` of the rendezvous; the host is one of the machines. Empty: from Slurm's variables.

    Raises:
        UserError: the numbers are out of range, or there is no address.
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
        """``HOST:PORT`` of the rendezvous; on a single machine any free port."""
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
