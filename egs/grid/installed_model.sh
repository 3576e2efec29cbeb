#!/usr/bin/env bash
# Makes the model that is installed with v2skit: ./installed_model.sh --corpus_dir DIR; hours on two CPU cores. Finished stages
# are skipped and an interrupted one resumes. Options are those of run.sh, except --config, --exp, --stage and --stop_stage.
set -euo pipefail
called_from=$PWD
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/run.sh" --config conf/cpu_audio.yaml --stop_stage 2 "$@"
"$here/run.sh" --config conf/cpu.yaml --stage 3 --stop_stage 4 "$@"
"$here/run.sh" --config conf/cpu_recognition.yaml --stage 3 --stop_stage 4 "$@"
"$here/run.sh" --config conf/cpu_vocoder.yaml --stage 2 --stop_stage 2 "$@"
"$here/run.sh" --config conf/cpu_vocoder_tuned.yaml --stage 4 --stop_stage 4 "$@"
vocoder=exp/cpu_vocoder_tuned/finetune
cd "$here"
set -- --config conf/cpu_recognition.yaml --stage 5 --set "vocoder={type: trained, run: $vocoder}" "$@"
# shellcheck source=egs/stages.sh
. ../stages.sh
out=grid.v2s
if [ -d ../../v2skit ]; then out=../../v2skit/pretrained/grid.v2s; fi
mkdir -p "$(dirname "$out")"
"$python" -m v2skit pack exp/cpu_recognition -o "$out" --vocoder "$vocoder" --card card.yaml --half --force \
    --voices data_cpu/available/train --default-voice s1
