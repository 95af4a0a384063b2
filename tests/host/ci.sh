#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# ring: long
#
# The workflows of docs/ci.md, as they stand there, on a Debian 13 that has nothing but what they install; the projects
# that they are for are those of tests/ci/.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

debian/build "$work/built" --kernel >"$work/log" 2>&1 || {
	echo "not ok - there are packages"
	tail -n 40 "$work/log"
	exit
}

# workflow HEADING: the first block of YAML under that.
workflow() {
	awk -v heading="## $1" '/^## / { under = $0 == heading } /^```/ { in_it = under && !seen && $0 == "```yaml"
		seen = seen || in_it; next } in_it' docs/ci.md
}

# commands: the steps of a workflow as a script. Each is a shell of its own there, so the environment is what a file has.
commands() {
	echo 'set -e'
	echo 'export GITHUB_ENV=/tmp/env DEBIAN_FRONTEND=noninteractive'
	sed -n 's/^env: { \(.*\) }$/\1/p' <<<"$1" | sed 's/, /\n/g' | sed 's/^\([A-Z_0-9]*\): \(.*\)$/export \1="\2"/'
	# shellcheck disable=SC2016	# for the shell there
	echo 'export NIDUS="file://$PWD/packages"'
	sed -n 's/^ *- run: //p' <<<"$1" | while IFS= read -r step; do
		echo ': >/tmp/env'
		echo "(set -x; $step)"
		echo 'set -a; . /tmp/env; set +a'
	done
}

# check PROJECT HEADING PATTERN [FILE]: the output matches, all steps succeed, and the workflow has twelve lines at most.
check() {
	local text status=0 directory=$work/$1

	text=$(workflow "$2")
	cp -r "tests/ci/$1" "$directory"
	mkdir "$directory/packages"
	cp "$work"/built/nidus_*.deb "$directory/packages/nidus_arm64.deb"
	cp "$work"/built/nidus-board_*.deb "$directory/packages/nidus-board_all.deb"
	cp "$work"/built/nidus-board-kernel_*.deb "$directory/packages/nidus-board-kernel_all.deb"
	{
		commands "$text"
		cat <<-'END'
			echo "XML: $(tr -d '\n' <junit.xml 2>/dev/null)"
			# Nothing was made that a package has.
			ls -d ~/.cache/nidus/kernel-* 2>/dev/null || true
		END
	} >"$directory/steps"
	tests/fresh --directory "$directory" trixie bash steps >"$work/said" 2>&1 || status=$?
	if ((status == 0)) && (($(wc -l <<<"$text") <= 12)) && grep -qE "$3" "$work/said" && ! grep -q '/kernel-' "$work/said"; then
		echo "ok - on a bare Debian 13: $2"
	else
		echo "not ok - on a bare Debian 13: $2"
		tail -n 60 "$work/said"
	fi
}

check flat "Many flat binaries" '^XML: .*tests="3" failures="0".*PASS: PSCI is version 1'
check rust "A VMM in Rust" '^test result: ok. 1 passed'
check el2 "A hypervisor that wants EL2" '^XML: .*tests="1" failures="0".*a guest at EL1 has called'

# Installed, used by a user, upgraded, removed: nothing is left. And without the package of the kernel it is built.
mkdir "$work/life"
cp "$work"/built/nidus*.deb "$work/life"
cat >"$work/life/steps" <<'END'
set -e
export DEBIAN_FRONTEND=noninteractive
dpkg --add-architecture arm64
apt-get -qq update
apt-get -qq install -y binutils
find / -xdev -path /proc -prune -o -path /root -prune -o -path /tmp -prune -o -path /var -prune -o -print | sort >/tmp/before
apt-get -qq install -y --no-install-recommends ./nidus_*.deb
# An older one is replaced.
mkdir /tmp/old
dpkg-deb -R nidus_*.deb /tmp/old
sed -i 's/^Version: .*/Version: 0.0.1/' /tmp/old/DEBIAN/control
dpkg-deb --root-owner-group -b /tmp/old /tmp/old.deb
dpkg -i /tmp/old.deb
apt-get -qq install -y ./nidus_*.deb
dpkg -s nidus:arm64 | grep -q '^Status: install ok installed'
[ "$(readlink /usr/bin/lkvm)" = nidus ]
# A copy of a static arm64 program for others: no library, no loader.
readelf -lW /usr/bin/nidus | grep -q INTERP && exit 1
apt-get -qq purge -y nidus:arm64
apt-get -qq install -y ./nidus-board_*.deb
begin=$(date +%s)
nidus-board run -- sh -c 'ls -l /dev/kvm; uname -r'
echo "built: $(($(date +%s) - begin)) s"
apt-get -qq purge -y nidus-board
rm -rf ~/.cache
apt-get -qq install -y ./nidus-board_*.deb ./nidus-board-kernel_*.deb
begin=$(date +%s)
[ -z "$(nidus-board run -- true 2>&1)" ]
echo "with the package: $(($(date +%s) - begin)) s"
[ ! -e ~/.cache/nidus ]
apt-get -qq purge -y nidus-board nidus-board-kernel
apt-get -qq autoremove --purge -y
find / -xdev -path /proc -prune -o -path /root -prune -o -path /tmp -prune -o -path /var -prune -o -print | sort >/tmp/after
if comm -13 /tmp/before /tmp/after | grep -i nidus; then exit 1; fi
[ -z "$(dpkg -l 'nidus*' 2>/dev/null | grep '^ii')" ]
echo everything is gone
END
# took NAME SECONDS: at most so long, as the script has said.
took() {
	local seconds
	seconds=$(sed -n "s/^$1: \([0-9]*\) s$/\1/p" "$work/said")
	[[ -n $seconds ]] && ((seconds <= $2))
}
status=0
tests/fresh --directory "$work/life" trixie bash steps >"$work/said" 2>&1 || status=$?
if ((status == 0)) && grep -q '^everything is gone' "$work/said" && took built 3600 && took "with the package" 60; then
	echo "ok - packages are installed, used, upgraded and removed on a bare Debian 13 ($(grep -E '^(built|with the package): ' "$work/said" | paste -sd ,))"
else
	echo "not ok - packages are installed, used, upgraded and removed on a bare Debian 13"
	tail -n 60 "$work/said"
fi
