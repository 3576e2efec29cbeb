"""The start of the command line: ``v2skit --help``, and the time that loading plug-ins adds.

    tools/venv/bin/python tools/benchmark_start.py

Each command runs in a separate process, several times, alternately without plug-ins and with one of each kind that
``v2skit new-plugin`` writes. The table has medians, in seconds: elapsed, and of the CPU, which other load on the
machine hardly changes. The last row is the difference for each plug-in. An error ends the benchmark where torch is
imported.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from argument_types import whole_number

from v2skit.cli.failures import status_of
from v2skit.recipes.new_plugin import new_plugin
from v2skit.registry.kinds import KINDS

ROOT = Path(__file__).parents[1]
HELP = """
import sys
from v2skit.cli.main import main
try:
    main(['--help'])
except SystemExit:
    sys.exit('torch was imported' if 'torch' in sys.modules else 0)
"""


def install(folder: Path) -> list[str]:
    """Write a plug-in of each kind, and what pip leaves of it. Returns the folders for PYTHONPATH."""
    site = folder / "site"
    for kind in KINDS:
        new_plugin(kind, f"my_{kind}", folder)
        info = site / f"my_{kind}-0.1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: my_{kind}\nVersion: 0.1.0\n")
        (info / "entry_points.txt").write_text(f"[v2skit]\nmy_{kind} = my_{kind}\n")
        (folder / f"my_{kind}/src/my_{kind}").rename(site / f"my_{kind}")
    return [str(site)]


def measured(paths: list[str]) -> tuple[float, float]:
    """Elapsed and CPU seconds of ``v2skit --help`` in a separate process."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *paths])}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", HELP], env=environment, check=True, stdout=subprocess.DEVNULL)
    elapsed, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return elapsed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=whole_number, default=11, help="processes of each row; default: 11")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows: dict[str, list[str]] = {"without plug-ins": [], f"with {len(KINDS)} plug-ins": install(Path(folder))}
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
        for paths in rows.values():
            measured(paths)  # compiles the modules
        for _ in range(arguments.repeats):
            for name, paths in rows.items():
                times[name].append(measured(paths))
    print(f"{'v2skit --help':20}{'elapsed, s':>12}{'CPU, s':>10}")
    medians = {name: [statistics.median(column) for column in zip(*found)] for name, found in times.items()}
    for name, (elapsed, cpu) in medians.items():
        print(f"{name:20}{elapsed:12.3f}{cpu:10.3f}")
    without, plugged = medians.values()
    elapsed, cpu = ((more - less) / len(KINDS) for less, more in zip(without, plugged, strict=True))
    print(f"{'each plug-in':20}{elapsed:12.4f}{cpu:10.4f}")


if __name__ == "__main__":
    sys.exit(status_of(main, "benchmark_start"))
