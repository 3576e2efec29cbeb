"""A virtual environment with this checkout's v2skit, into which plug-ins are installed by pip as users do."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.conftest import ROOT


class Environment:
    """A new environment that also has the packages of this Python.

    Args:
        folder: to make it in.
    """

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        python = folder / "bin/python"
        place = "import sysconfig; print(sysconfig.get_path('purelib'))"
        site = subprocess.run([python, "-c", place], check=True, capture_output=True, text=True).stdout.strip()
        Path(site, "tests.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
        for name in ("pip", "v2skit"):
            script = folder / "bin" / name
            script.write_text(f'#!/bin/sh\nexec {shlex.quote(str(python))} -m {name} "$@"\n')
            script.chmod(0o755)
        self.variables = {
            **{name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "V2SKIT_PYTHON")},
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            # Without a network: what the package is built with is installed.
            "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_DEPS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "OMP_NUM_THREADS": "1",
        }  # fmt: skip

    def run(self, command: str, folder: Path) -> subprocess.CompletedProcess:
        """Run a command line in a folder."""
        return subprocess.run(
            ["bash", "-c", command], cwd=folder, env=self.variables, capture_output=True, text=True, check=False
        )
