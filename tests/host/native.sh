#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# nidus on a Debian machine for arm64 as its users have them: built there by its own compiler, and tested on its own
# /dev/kvm, without a board of ours around it. The machine is emulated (guest-images/machine), and so slow that it
# gets kernels and libraries made here, and runs a part of the tests.
#
# ring: long

set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."

if [[ $(uname -m) == aarch64 ]]; then
	echo "skip - a Debian machine for arm64: this is one"
	exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Of each ring some tests, those that say most about a machine; all unit tests. (Fuzzers take clang half an hour to
# build there.)
tests="boot smp timer psci pl011 virtio nested linux reset"
for file in tests/unit/test_*.c; do
	tests+=" $(basename "$file" .c)"
done

# made KIND PATH...: what a script of guest-images/ has put into the cache.
made() {
	mkdir -p "$work/made/$1"
	cp -a "${@:2}" "$work/made/$1"
}

kernel=$(guest-images/kernel small)
made kernel-small "$kernel"
made initramfs-small "$(guest-images/initramfs small)"
made sysroot "$(guest-images/sysroot)"/*
mkdir "$work/nidus"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp -a --parents -t "$work/nidus" 2>/dev/null || true

# shellcheck disable=SC2016	# for the machine's shell
script='
	set -e
	cp -a "/board$1/nidus" /root/nidus
	cd /root/nidus
	git -c init.defaultBranch=main init -q
	export NIDUS_MADE="/board$1/made"
	shift
	# It has all that it takes, so this does nothing; there is no network.
	guest-images/setup check
	make -j2 >make.log 2>&1 || { tail -n 40 make.log; exit 1; }
	echo "ok - nidus is built on a Debian machine for arm64"
	make -s deb >make.log 2>&1 || { tail -n 40 make.log; exit 1; }
	dpkg -i build/packages/nidus_*_arm64.deb >make.log 2>&1 || { cat make.log; exit 1; }
	[[ $(/usr/bin/nidus version) == "$(build/nidus version)" ]]
	dpkg -P nidus >make.log 2>&1
	[[ ! -e /usr/bin/nidus ]]
	echo "ok - so is its package, which is installed there, and removed"
	make -j2 unit board-tests >make.log 2>&1 || { tail -n 40 make.log; exit 1; }
	tests/run "$@"
'
status=0
# shellcheck disable=SC2016,SC2086	# for the board's shell; names of tests
tests/board/run --mem 12G --timeout 5400 --console "$work/console" --disk "$(guest-images/machine)" \
	--file guest-images/machine.sh --file "$work/nidus" --file "$work/made" -- \
	sh -c 'exec sh guest-images/machine.sh "$NIDUS_DISK" bash -c "$@"' sh "$script" bash "$work" $tests \
	>"$work/out" 2>&1 || status=$?
grep '^ok - ' "$work/out" || true
what="its tests pass there: $(tail -n 1 "$work/out")"
if ((status == 0)) && grep -qE '^[0-9]+ passed, 0 failed' "$work/out"; then
	echo "ok - $what"
else
	echo "not ok - $what"
	tail -n 100 "$work/out"
	tail -n 20 "$work/console"
fi
