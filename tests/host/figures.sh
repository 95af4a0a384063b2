#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: tests/host/figures.sh [--record]
#
# What a plain boot costs the host, beside the best figures so far (tests/host/figures.json), on a board that counts
# instructions: exits to user space may not be more, and instructions not by more than 2 %. --record makes
# what is measured now the best figures, for this kernel and this QEMU. Where there are none for them, as Debian has
# gone on to another one, nothing can be said.

set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."

if [[ $(uname -m) == aarch64 && -c /dev/kvm ]]; then
	echo "skip - figures of a plain boot: needs an emulated board"
	exit
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

what="a plain boot costs the host no more than the best so far"
if ! bench/run plain --results "$work/results" --json "$work/new.json" >"$work/out" 2>&1; then
	echo "not ok - $what: it was not measured"
	cat "$work/out"
	exit
fi
if [[ ${1-} == --record ]]; then
	bench/compare --baselines tests/host/figures.json --record "$work/new.json"
	exit
fi
status=0
bench/compare --baselines tests/host/figures.json --threshold 2 "$work/new.json" >"$work/found" 2>&1 || status=$?
((status == 0)) && echo "ok - $what" && exit
if missing=$(grep -o 'has no figures for .*' "$work/found"); then
	echo "skip - figures of a plain boot: there are none of ${missing#has no figures for }"
	exit
fi
echo "not ok - $what"
cat "$work/out" "$work/found"
echo "tests/host/figures.sh --record makes the figures of this tree the best so far"
