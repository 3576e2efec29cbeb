"""The machine that a stage runs on, as a record of a few facts."""

from __future__ import annotations

import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from v2skit.system.atomic import write_text
from v2skit.system.devices import cores
from v2skit.version import __version__

if TYPE_CHECKING:
    import torch

NAME = "machine.json"


def describe(device: torch.device, processes: int = 1) -> dict[str, Any]:
    """Processor, memory, device and versions.

    Args:
        device: of the networks.
        processes: that train together.

    Returns:
        ``processor``, ``cores``, ``memory_gb``, ``device`` (its name), ``devices`` (their number), ``system``,
        ``python``, ``torch`` and ``v2skit``.
    """
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "device": name,
        "devices": processes,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": metadata.version("torch"),
        "v2skit": __version__,
    }


def write_record(folder: Path, device: torch.device, processes: int = 1) -> None:
    """Write the description of this machine into the folder of a run."""
    write_text(folder / NAME, json.dumps(describe(device, processes), indent=1) + "\n")


def _processor() -> str:
    """The name of the processor's model, where Linux knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
