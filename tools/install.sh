#!/usr/bin/env bash
# Installs v2skit, editable, with all extras into tools/venv; does nothing where that is up to date.
# V2SKIT_PYTHON names another interpreter to use instead; only what it lacks is installed into it.
set -euo pipefail
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$tools")
venv=$tools/venv
needs='torch torchaudio av kaldiio matplotlib pluggy yaml safetensors scipy soundfile tensorboard tqdm pystoi pesq
    pocketsphinx espeakng_loader pytest xdist sentencepiece numpy librosa webrtcvad resemblyzer starlette uvicorn
    python_multipart sounddevice submitit ruff mypy'

install_into() {  # interpreter
    local pip=("$1" -m pip --disable-pip-version-check install --quiet)
    "${pip[@]}" 'setuptools<81' wheel
    "${pip[@]}" --editable "${root}[test]"
    "${pip[@]}" --no-deps resemblyzer
    "${pip[@]}" pesq ||
        echo "install.sh: pesq can't be built: install a C compiler (Debian: gcc python3-dev) and run this again, or" \
            "score without it: --set scoring.metrics.pesq_wb=null --set scoring.metrics.pesq_nb=null" >&2
    # For the tests of its plug-in alone; its setup.py imports pip, which an isolated build lacks.
    { "${pip[@]}" h5py && "${pip[@]}" --no-build-isolation --no-deps parallel_wavegan; } 2>/dev/null ||
        echo "install.sh: no parallel_wavegan; the tests of its plug-in will skip" >&2
    "${pip[@]}" --no-deps 'mediapipe==0.10.14' ||
        echo "install.sh: no mediapipe for this Python; 'tracker: mediapipe' will not be there (take Python 3.10 to 3.12)" >&2
}

if [ -n "${V2SKIT_PYTHON:-}" ]; then
    "$V2SKIT_PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        { echo "install.sh: V2SKIT_PYTHON=$V2SKIT_PYTHON is not Python 3.10 or newer" >&2; exit 1; }
    find='import sys, importlib.util as u; sys.exit(any(u.find_spec(n) is None for n in sys.argv[1:]))'
    if "$V2SKIT_PYTHON" -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then needs="$needs mediapipe"; fi
    # shellcheck disable=SC2086  # a list of words
    if ! "$V2SKIT_PYTHON" -c "$find" $needs; then
        echo "installing what $V2SKIT_PYTHON lacks"
        install_into "$V2SKIT_PYTHON"
    fi
    exit 0
fi

stamp=$venv/installed
wanted=$(cat "$root/setup.py" "$tools/install.sh" | cksum)
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then exit 0; fi
python=
for candidate in python3.11 python3.12 python3.10 python3 python3.13; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "install.sh: no Python 3.10 or newer with venv found; install one, or name one with V2SKIT_PYTHON" >&2
    exit 1
fi
echo "installing into $venv (about 6 GB, a few minutes)"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
install_into "$venv/bin/python"
echo "$wanted" > "$stamp"
