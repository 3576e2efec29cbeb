#!/usr/bin/env bash
# Installs what is needed and runs the tests, on up to four cores; arguments go to pytest (-n 0: in one process).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$root/tools/install.sh" test
cd "$root"
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
python=${V2SKIT_PYTHON:-${V2SKIT_VENV:-tools/venv}/bin/python}
count=$("$python" -c 'from v2skit.system.devices import cores; print(min(4, cores()))')
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}  # threads of several processes would fight for the cores
exec "$python" -m pytest -q --numprocesses "$count" --dist loadfile --durations=10 "$@"
