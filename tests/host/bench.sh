#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The parts of bench/ that need no board. tests/host/figures.sh runs a suite there.

set -uo pipefail
status=0
output=$(PYTHONPATH=bench python3 -B -m unittest discover -s tests/host/bench -v 2>&1) || status=$?
sed -n 's/^\(test_[a-z_0-9]*\) (\([^.)]*\).*\.\.\. ok$/ok - bench: \2: \1/p' <<<"$output"
((status == 0)) && exit
echo "not ok - bench: unit tests"
echo "$output"
