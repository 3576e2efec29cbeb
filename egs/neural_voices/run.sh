#!/usr/bin/env bash
# Neural voices, synthesised by stage 0: see README.md, and --help for the options.
called_from=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
# shellcheck source=egs/stages.sh
. ../stages.sh
