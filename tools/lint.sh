#!/usr/bin/env bash
# Installs what is needed and checks the code: ruff's rules and format, types, shell scripts. --fix corrects what ruff can.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
fix=false
case "$#:${1:-}" in
    0:) ;;
    1:--fix) fix=true ;;
    *) echo "usage: tools/lint.sh [--fix]" >&2; exit 2 ;;
esac
"$root/tools/install.sh" lint
cd "$root"
python=${V2SKIT_PYTHON:-${V2SKIT_VENV:-tools/venv}/bin/python}
scripts=$("$python" -c 'import sysconfig; print(sysconfig.get_path("scripts"))')
export PATH=$scripts:$PATH

failed=()
check() {  # what it checks, command
    "${@:2}" || failed+=("$1")
}

if $fix; then
    "$python" -m ruff check --quiet --fix . || true  # what is left is reported below
    "$python" -m ruff format --quiet .
fi
check "rules (ruff check; tools/lint.sh --fix corrects some)" "$python" -m ruff check .
check "format (ruff format; tools/lint.sh --fix corrects it)" "$python" -m ruff format --check .
check "types (mypy)" "$python" -m mypy
if command -v shellcheck >/dev/null; then
    check "shell scripts (shellcheck)" shellcheck -x egs/*.sh egs/*/*.sh tools/*.sh .ci/run
else
    echo "lint.sh: no shellcheck for this machine (Debian: shellcheck); shell scripts are not checked" >&2
fi

if [ ${#failed[@]} -gt 0 ]; then
    printf 'lint.sh: %s failed, see above\n' "${failed[@]}" >&2
    exit 1
fi
