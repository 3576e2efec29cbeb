#!/usr/bin/env bash
# Makes a model such as the one that is installed with v2skit, grid.v2s next to this file:
# ./installed_model.sh --corpus_dir DIR. About 6 hours on two CPU cores, 1 GB of disk. Beyond what the other recipes
# need: the extra neural_voices (pip install 'v2skit[neural-voices]', with v2skit's Python), and npm or, with
# --set audio_corpus.kokoro_js_dir=DIR, what it would fetch (egs/neural_voices/README.md). Stage 0, which runs first,
# checks both. Finished stages are skipped and an interrupted one resumes. Options are those of run.sh, except --config,
# --exp, --stage and --stop_stage.
set -euo pipefail
called_from=$PWD
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
default_voice=s1
for ((number = 1; number < $#; number++)); do
    corpus=${*:number+1:1}
    [ "${!number}" = --corpus_dir ] && [ -d "$corpus" ] || continue
    if ! [ -d "$corpus/$default_voice" ] && ! [ -d "$corpus/video/$default_voice" ]; then
        echo "installed_model.sh: $corpus has no talker $default_voice, whose voice is the model's default; add its clips" >&2
        exit 2
    fi
done
cd "$here"
# shellcheck source=egs/stages.sh
{
    . ../stages.sh --config conf/cpu_audio.yaml --stop_stage 2 "$@"
    . ../stages.sh --config conf/cpu.yaml --stage 3 --stop_stage 4 "$@"
    . ../stages.sh --config conf/cpu_recognition.yaml --stage 3 --stop_stage 4 "$@"
}
for part in train valid; do
    clips=data_cpu/available/$part speech=exp/cpu_recognition/speech/$part
    "$python" -m v2skit synth-data "$clips" --model exp/cpu_recognition -o "$speech"
    "$python" -m v2skit data align "$clips" --speech "$speech"
done
"$python" -m v2skit data voices data_cpu/available/train_aligned --pitch 85 125 165 210 --each 1
vocoder=exp/cpu_vocoder_tuned/finetune
# shellcheck source=egs/stages.sh
{
    . ../stages.sh --config conf/cpu_aligned.yaml --stage 3 --stop_stage 4 "$@"
    . ../stages.sh --config conf/cpu_vocoder.yaml --stage 2 --stop_stage 2 "$@"
    . ../stages.sh --config conf/cpu_vocoder_tuned.yaml --stage 4 --stop_stage 4 "$@"
    . ../stages.sh --config conf/cpu_aligned.yaml --stage 5 --set "vocoder={type: trained, run: $vocoder}" "$@"
}
"$python" -m v2skit pack exp/cpu_aligned -o grid.v2s --vocoder "$vocoder" --card card.yaml --half --force \
    --voices data_cpu/available/train --default-voice "$default_voice"
if [ -f ../../v2skit/__init__.py ]; then  # a checkout
    printf "to install it in place of v2skit's model: cd %q && cp grid.v2s ../../v2skit/pretrained/grid.v2s\n" "$here"
fi
