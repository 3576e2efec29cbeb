#!/usr/bin/env bash
# Makes the model that is installed with v2skit: ./installed_model.sh --corpus_dir DIR; hours on two CPU cores. Options are
# those of run.sh. Finished stages are skipped and an interrupted one resumes.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
"$here/run.sh" --config conf/cpu.yaml --stop_stage 4 "$@"
"$here/run.sh" --config conf/cpu_vocoder.yaml --stage 2 --stop_stage 4 "$@"
"$here/run.sh" --config conf/cpu.yaml --stage 5 --set 'vocoder={type: trained, run: exp/cpu_vocoder/finetune}' "$@"
cd "$here"
../../tools/venv/bin/v2skit pack exp/cpu -o ../../v2skit/pretrained/grid.v2s --card card.yaml --half \
    --voices data_cpu/available/train --default-voice s1
