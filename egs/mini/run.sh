#!/usr/bin/env bash
# A generated corpus, all stages in minutes: see README.md, and --help for the options.
called_from=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
# shellcheck source=egs/stages.sh
. ../stages.sh
