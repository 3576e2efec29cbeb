#!/usr/bin/env bash
# What pre-training gains, with three seeds at 10, 25, 50 and 100 % of the video: ./pretraining_gain.sh --corpus_dir DIR, after
# ./run.sh --config conf/cpu_audio.yaml --corpus_dir DIR --stop_stage 2. The table, at any time:
#   ../../tools/venv/bin/python ../../tools/pretraining_gain.py exp/gain_*
# Options are those of run.sh. Finished stages are skipped and an interrupted one resumes.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
for seed in 1 2 3; do
    for share in 0.25 0.1 0.5 1.0; do
        echo "=== seed $seed, share $share"
        "$here/run.sh" --config conf/gain.yaml --exp "exp/gain_${share}_$seed" --set "seed=$seed" \
            --set "corpus.train_share=$share" --set "data.folder=data_gain_$share" "$@"
    done
done
