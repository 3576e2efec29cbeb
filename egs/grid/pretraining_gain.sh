#!/usr/bin/env bash
# What pre-training gains, with three seeds at 10, 25, 50 and 100 % of the video: ./pretraining_gain.sh --corpus_dir DIR, after
# ./run.sh --config conf/cpu_audio.yaml --corpus_dir DIR --stop_stage 2. The table, at any time:
#   ../../tools/venv/bin/python ../../tools/pretraining_gain.py exp/gain_*
# Options are those of run.sh, except --config, --exp and --stage. Finished stages are skipped and an interrupted one resumes.
set -euo pipefail
called_from=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=egs/stages.sh
. ../stages.sh "$@" --config conf/gain.yaml --stage 2 --stop_stage 2  # the pre-trained model is there, or it says so
for share in 0.1 0.25 0.5; do
    "$python" -m v2skit data subset data_cpu/available/train --share "$share"
done
for seed in 1 2 3; do
    for share in 0.25 0.1 0.5 1.0; do
        echo "=== seed $seed, share $share"
        train=available/train
        [ "$share" = 1.0 ] || train+=_$share
        # shellcheck source=egs/stages.sh
        . ../stages.sh --config conf/gain.yaml --exp "exp/gain_${share}_$seed" --stage 3 \
            --set "seed=$seed" --set "data.train=$train" "$@"
    done
done
