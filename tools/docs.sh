#!/usr/bin/env bash
# Builds the documentation site into build/site; a warning, such as a dead link within it, is an error. Links to other sites
# are listed in build/links.txt and not fetched. The builder is that of the extra "docs", installed on first use.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${V2SKIT_PYTHON:-${V2SKIT_VENV:-$root/tools/venv}/bin/python}
[ $# = 0 ] || { echo "usage: tools/docs.sh" >&2; exit 2; }
cd "$root"
if ! "$python" -c 'import furo, myst_nb, sphinx, sphinx_copybutton, v2skit' 2>/dev/null; then
    [ -n "${V2SKIT_PYTHON:-}" ] || tools/install.sh
    "$python" -m pip --disable-pip-version-check install --quiet --editable '.[docs]'
fi
# The width of the command line's help, whatever the terminal's.
COLUMNS=88 PYTHONPATH=$root "$python" -m sphinx -c docs/site --builder html --fresh-env --fail-on-warning --quiet . build/site
grep -ohE 'https?://[^] )>"`]+' README.md CHANGELOG.md docs/*.md egs/*/*.md | sort | uniq -c | sort -rn >build/links.txt
echo "build/site/index.html; $(wc -l <build/links.txt) links to other sites, not fetched, in build/links.txt"
