#!/usr/bin/env bash
# The stages of every recipe. A recipe's run.sh saves the folder it was called from, changes to its own and
# sources this file; the variables below are the options.
set -euo pipefail

stage=0         # first stage to run
stop_stage=6    # last stage to run
config=conf/mel.yaml
exp=            # default: exp/<config name>
protocol=       # of stage 6, e.g. grid-unseen@1; default: that of the config, none
corpus_dir=     # folder of the corpus, for recipes that do not generate or download it
device=auto     # auto, cpu or cuda
nj=             # parallel jobs of the preparation; default: one per core
cluster=        # where they run: local or slurm; default: that of the config, local
nproc=1         # training processes on this machine
nnodes=1        # machines that run this command
rdzv=           # rendezvous address: HOST:PORT
force=false     # run finished stages again
trust=false     # run the code that is saved in checkpoints and experiments (docs/plugins.md)
set=()          # --set key.path=value, any number of times

usage() {
    cat <<END
usage: run.sh [options]
  --stage N        first stage (default $stage)      0 obtain      1 prepare        2 audio pre-training
  --stop_stage N   last stage (default $stop_stage)       3 transfer    4 V2S fine-tuning
                                            5 synthesis   6 scoring
  --config FILE    in the recipe's folder, default $config
  --exp DIR        likewise, default exp/<config name>: pretrain/ transfer/ finetune/ scratch/ synth/ results
  --corpus_dir DIR the corpus as published, for recipes that do not generate it
  --protocol NAME  evaluation protocol whose fields must hold in stage 6, e.g. grid-unseen@1, or its file
  --set KEY=VALUE  override a config key, e.g. --set finetune.steps=100; repeatable
  --device NAME    auto, cpu or cuda
  --nj N           parallel jobs of stage 1; default: one per core
  --cluster NAME   where they run: local (default), or slurm: a job array (options: prepare.slurm)
  --nproc N        training processes on this machine, one per GPU
  --nnodes N       machines; the same command runs on each of them, in shared folders
  --rdzv HOST:PORT rendezvous address: one of them and a free port; found automatically in a Slurm allocation
  --force          run finished stages again
  --trust-plugins  run the code that is saved in checkpoints and experiments (docs/plugins.md)
  --help           this text
Finished stages are skipped, an interrupted one resumes.
END
}

die() {
    echo "run.sh: $*" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) usage; exit 0 ;;
        --force) force=true; shift; continue ;;
        --trust-plugins) trust=true; shift; continue ;;
        --stage | --stop_stage | --config | --exp | --corpus_dir | --device | --set) ;;
        --nj | --cluster | --protocol | --nproc | --nnodes | --rdzv) ;;
        *) die "unknown option $1; --help lists the options" ;;
    esac
    [ $# -ge 2 ] || die "$1 needs a value"
    case $1 in
        --set) set+=("$2") ;;
        *) printf -v "${1#--}" %s "$2" ;;
    esac
    shift 2
done
for number in "$stage" "$stop_stage"; do
    [[ $number =~ ^[0-6]$ ]] || die "there is no stage '$number'; stages are 0 to 6"
done
[ "$stage" -le "$stop_stage" ] || die "--stage $stage comes after --stop_stage $stop_stage"
[ -f "$config" ] || die "no config $config; there are: $(ls conf)"
if [ -n "$corpus_dir" ]; then
    case $corpus_dir in /*) ;; *) corpus_dir=${called_from:-$PWD}/$corpus_dir ;; esac
    set+=("corpus.corpus_dir='${corpus_dir//\'/\'\'}'")  # quoted for YAML
fi

if [ -n "$nj" ]; then set+=("prepare.jobs=$nj"); fi
if [ -n "$cluster" ]; then set+=("prepare.cluster=$cluster"); fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
installed=  # the Python with v2skit: v2skit new-recipe writes it into its copies of this file
if [ -f "$root/tools/install.sh" ] && [ -f "$root/setup.py" ] && [ -f "$root/v2skit/__init__.py" ]; then  # a checkout
    "$root/tools/install.sh"
    python=${V2SKIT_PYTHON:-${V2SKIT_VENV:-$root/tools/venv}/bin/python}
    export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}  # this checkout's v2skit, whichever one the interpreter has
else
    python=
    for candidate in ${V2SKIT_PYTHON:+"$V2SKIT_PYTHON"} ${installed:+"$installed"} python3; do
        if "$candidate" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("v2skit") is None)' 2>/dev/null; then
            python=$candidate
            break
        fi
        [ "$candidate" != "${V2SKIT_PYTHON:-}" ] || die "V2SKIT_PYTHON=$candidate has no v2skit; name a Python that has"
    done
    [ -n "$python" ] || die "no Python with v2skit found; install it, or name the Python that has it with V2SKIT_PYTHON"
fi

arguments=(--config "$config" --exp "${exp:-exp/$(basename "$config" .yaml)}" --device "$device")
arguments+=(--nproc "$nproc" --nnodes "$nnodes" --rdzv "$rdzv")
for value in "${set[@]}"; do arguments+=(--set "$value"); done
if [ -n "$protocol" ]; then arguments+=(--protocol "$protocol"); fi
if $force; then arguments+=(--force); fi
if $trust; then arguments+=(--trust-plugins); fi

names=(obtain prepare pretrain transfer finetune synth score)
for ((number = stage; number <= stop_stage; number++)); do
    echo "=== stage $number: ${names[number]} ($config)"
    started=$SECONDS
    "$python" -m v2skit stage "${names[number]}" "${arguments[@]}"
    echo "stage $number took $((SECONDS - started)) s"
done
