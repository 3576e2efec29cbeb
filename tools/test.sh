#!/usr/bin/env bash
# Installs what is needed and runs the tests; arguments go to pytest.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$root/tools/install.sh"
cd "$root"
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
exec "${V2SKIT_PYTHON:-tools/venv/bin/python}" -m pytest tests -q --durations=10 "$@"
