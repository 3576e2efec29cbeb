#!/usr/bin/env bash
# The plug-in on the generated corpus of the mini recipe; --help lists the options.
called_from=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
# shellcheck source=egs/stages.sh
. ../egs/stages.sh
