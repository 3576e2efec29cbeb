#!/usr/bin/env bash
# LRW: ./run.sh --corpus_dir DIR; see README.md, and --help for the options.
called_from=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
# shellcheck source=egs/stages.sh
. ../stages.sh
