"""The software of a training run, recorded in its folder: code version, Python and the installed distributions."""

from __future__ import annotations

import json
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from v2skit.system.atomic import write_text
from v2skit.version import __version__

NAME = "environment.json"
_ROOT = Path(__file__).parents[2]


@cache
def describe() -> dict[str, Any]:
    """``code``: version of v2skit, commit of its checkout, None without one, and whether files of its were changed;
    ``python``, ``system``, and ``distributions``: name -> version."""
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return {
        "code": {
            "v2skit": __version__,
            "commit": _git("rev-parse", "HEAD"),
            "changed": None if changed is None else bool(changed),
        },
        "python": platform.python_version(),
        "system": platform.platform(),
        "distributions": {str(d.metadata["Name"]).lower(): d.version for d in metadata.distributions()},
    }


def write_record(folder: Path) -> None:
    """Write the description into the folder of a run."""
    write_text(folder / NAME, json.dumps(describe(), indent=1, sort_keys=True) + "\n")


def _git(*arguments: str) -> str | None:
    """What a git command says about the checkout of v2skit; None where there is none, or no git."""
    if not (_ROOT / ".git").exists():
        return None
    command = ["git", "--no-optional-locks", "-C", str(_ROOT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
