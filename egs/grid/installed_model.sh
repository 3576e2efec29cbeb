#!/usr/bin/env bash
# Makes models such as those that are installed with v2skit, grid.v2s and grid_streaming.v2s next to this file:
# ./installed_model.sh --corpus_dir DIR. About 13 hours on two CPU cores, 3 GB of disk. Beyond what the other recipes
# need: the extras neural-voices and f0 (pip install 'v2skit[neural-voices,f0]', with v2skit's Python), and npm or, with
# --set audio_corpus.kokoro_js_dir=DIR, what it would fetch (egs/neural_voices/README.md). These are checked
# first. Finished stages are skipped and an interrupted one resumes; the data directories that it derives
# are replaced where the clips or the speech changed. Options are those of run.sh, except --config, --exp, --stage,
# --stop_stage, --nnodes, --rdzv and --set data.*.
set -euo pipefail
called_from=$PWD
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
default_voice=s1
for ((number = 1; number < $#; number++)); do
    corpus=${*:number+1:1}
    [ "${!number}" = --corpus_dir ] && [ -d "$corpus" ] || continue
    if ! [ -d "$corpus/$default_voice" ] && ! [ -d "$corpus/video/$default_voice" ]; then
        echo "installed_model.sh: $corpus has no talker $default_voice, whose voice is the model's default;" \
            "add its clips" >&2
        exit 2
    fi
done
cd "$here"
# stages.sh finds Python. Without the neural voices stage 0 is short, so that a missing package is named at once.
# shellcheck source=egs/stages.sh
. ../stages.sh --config conf/cpu_audio.yaml --stop_stage 0 "$@" --set audio_corpus=null
if ! "$python" -c "import parselmouth" 2>/dev/null; then
    echo "installed_model.sh: $python has no praat-parselmouth, which shifts the voices; pip install 'v2skit[f0]'" >&2
    exit 2
fi
# shellcheck source=egs/stages.sh
{
    . ../stages.sh --config conf/cpu_audio.yaml --stop_stage 2 "$@"
    . ../stages.sh --config conf/cpu.yaml --stage 3 --stop_stage 4 "$@"
    . ../stages.sh --config conf/cpu_recognition.yaml --stage 3 --stop_stage 4 "$@"
}
of_model=(--model exp/cpu_recognition --device "$device")  # stages.sh has read the options
if $trust; then of_model+=(--trust-plugins); fi
speech=exp/cpu_recognition/speech
align() {  # folder: audio without the clips' lags, and in further voices
    for part in train valid; do
        "$python" -m v2skit data align "$1/available/$part" --speech "$speech/$part" --replace
    done
    "$python" -m v2skit data voices "$1/available/train_aligned" --pitch 85 125 165 210 --each 1 --replace
}
pack() {  # config, vocoder, pack, further card...
    "$python" -m v2skit pack "exp/$1" -o "$3" --vocoder "$2" --card card.yaml "${@:4}" --int8 --force \
        --voices data_cpu/available/train --default-voice "$default_voice"
    if [ -f ../../v2skit/__init__.py ]; then  # a checkout
        printf "to install it in place of v2skit's model: cd %q && cp %s ../../v2skit/pretrained/%s\n" "$here" "$3" "$3"
    fi
}
for part in train valid; do
    "$python" -m v2skit synth-data "data_cpu/available/$part" "${of_model[@]}" -o "$speech/$part"
done
align data_cpu
vocoder=exp/cpu_vocoder_tuned/finetune
# shellcheck source=egs/stages.sh
{
    . ../stages.sh --config conf/cpu_aligned.yaml --stage 3 --stop_stage 4 "$@"
    "$python" -m v2skit average exp/cpu_aligned exp/cpu_recognition -o exp/cpu_aligned/mean.safetensors --force
    . ../stages.sh --config conf/cpu_averaged.yaml --stage 3 --stop_stage 4 "$@"
    . ../stages.sh --config conf/cpu_vocoder.yaml --stage 2 --stop_stage 2 "$@"
    . ../stages.sh --config conf/cpu_vocoder_tuned.yaml --stage 4 --stop_stage 4 "$@"
    . ../stages.sh --config conf/cpu_averaged.yaml --stage 5 --set "vocoder={type: trained, run: $vocoder}" "$@"
}
pack cpu_averaged "$vocoder" grid.v2s
vocoder=exp/cpu_vocoder_streaming/finetune
# shellcheck source=egs/stages.sh
{
    . ../stages.sh --config conf/cpu_streaming.yaml --stop_stage 1 "$@" --set audio_corpus=null
    align data_cpu_streaming
    . ../stages.sh --config conf/cpu_streaming.yaml --stage 3 --stop_stage 4 "$@"
    . ../stages.sh --config conf/cpu_vocoder_streaming.yaml --stage 4 --stop_stage 4 "$@"
    . ../stages.sh --config conf/cpu_streaming.yaml --stage 5 --set "vocoder={type: trained, run: $vocoder}" "$@"
}
pack cpu_streaming "$vocoder" grid_streaming.v2s --card card_streaming.yaml
