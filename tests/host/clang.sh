#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# nidus builds with clang as well, and so do the guests; installation puts everything in its place.

set -uo pipefail
destination=$(mktemp -d)
trap 'rm -rf "$destination"' EXIT

if make --no-print-directory CC=clang BUILD=build/clang install DESTDIR="$destination" PREFIX=/usr \
	>build/clang.log 2>&1; then
	echo "ok - builds with clang"
else
	echo "not ok - builds with clang"
	cat build/clang.log
fi

missing=
for file in bin/nidus bin/lkvm share/man/man1/nidus.1 \
	share/bash-completion/completions/{nidus,lkvm} lib/systemd/system/nidus@.service; do
	[[ -s $destination/usr/$file ]] || missing+=" $file"
done
# shellcheck disable=SC2016	# for systemd
grep -qx 'ExecStart=/usr/bin/nidus run --name %i $NIDUS_OPTIONS' \
	"$destination/usr/lib/systemd/system/nidus@.service" || missing+=" a service that starts it"
if [[ -z $missing ]]; then
	echo "ok - make install puts everything in its place"
else
	echo "not ok - make install leaves out$missing"
fi
