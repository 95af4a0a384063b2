#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What guest-images/setup installs, on machines that are not this one: apt-get, dpkg-query and what else tells it
# about the machine are scripts that are made here. None of them does anything but say what it was asked.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"

# program NAME: a shell script from stdin.
program() {
	{
		echo '#!/bin/sh'
		cat
	} >"$work/bin/$1"
	chmod +x "$work/bin/$1"
}

# machine VARIABLE=VALUE...: $QEMU, its version or nothing, is there, and a candidate of the release's is $CANDIDATE.
# Packages are those of the file "installed", lines of dpkg-query's: "ii NAME ARCHITECTURE".
machine() {
	program dpkg <<-'END'
		[ "$1" = --print-architecture ] || exec /usr/bin/dpkg "$@"
		echo amd64
	END
	program dpkg-query <<-END
		while read -r status name architecture; do
			case " \$* " in
			*" \$name "*) ;;
			*) continue ;;
			esac
			printf "%s\\\\n" "\$3" | sed "s/[$]{db:Status-Abbrev}/\$status /; s/[$]{Package}/\$name/
				s/[$]{Architecture}/\$architecture/; s/.n\$//"
		done <"$work/installed"
	END
	program uname <<<'echo x86_64'
	program sudo <<<'exec "$@"'
	program apt-get <<-END
		case "\$*" in
		*indextargets*) echo http://mirror/debian ;;
		*" update"*) case "\$*" in *SourceList*) exit ${BACKPORTS_STATUS-0} ;; esac ;;
		*install*) echo "\$*" | sed 's/.*--no-install-recommends //' >>"$work/asked" ;;
		esac
	END
	program apt-cache <<<"echo '  Candidate: ${CANDIDATE-1:10.0.13+ds-0+deb13u1}'"
	program qemu-system-aarch64 <<<"${QEMU:+echo QEMU emulator version $QEMU}"
}

# setup SET: what it asks apt-get for is in $asked, its status in $status.
setup() {
	status=0
	: >"$work/asked"
	PATH=$work/bin:$PATH guest-images/setup "$1" >"$work/out" 2>&1 || status=$?
	asked=" $(tr '\n' ' ' <"$work/asked")"
}


begin() {
	name=$1
	complaints=''
}

expect() {
	"$@" || complaints+="
    not so: $*"
}

installs() {
	[[ $asked == *" $1 "* ]]
}

leaves() {
	[[ $asked != *" $1 "* ]]
}

end() {
	if [[ -z $complaints ]]; then
		echo "ok - setup: $name"
		return
	fi
	echo "not ok - setup: $name$complaints"
	echo "    asked for: $asked"
	sed 's/^/    said: /' "$work/out"
}

# All that is wanted, as a machine has it that has been set up.
all_installed() {
	: >"$work/installed"
	setup check
	# shellcheck disable=SC2086	# words
	printf 'ii %s amd64\n' $asked >"$work/installed"
}

begin "nothing is installed where nothing is missing"
QEMU=10.0.13 machine
all_installed
expect installs gcc
expect installs libfdt-dev
setup check
expect [ "$status" = 0 ]
expect [ "$asked" = " " ]
end

begin "a package of another architecture does not count"
sed -i 's/^ii libfdt-dev amd64$/ii libfdt-dev arm64/' "$work/installed"
setup check
expect installs libfdt-dev
expect leaves gcc
end

begin "nor does it take the place of one that is there as well"
echo "ii libfdt-dev amd64" >>"$work/installed"
setup check
expect [ "$asked" = " " ]
end

begin "one of all architectures counts"
sed -i 's/^ii libc6-dev-arm64-cross amd64$/ii libc6-dev-arm64-cross all/' "$work/installed"
setup check
expect [ "$asked" = " " ]
end

begin "one that has been removed, but for its configuration, does not"
sed -i 's/^ii bison amd64$/rc bison amd64/' "$work/installed"
setup demo
expect installs bison
end

begin "an old QEMU is replaced by the release's, where that is new enough"
QEMU=7.2.15 machine
setup demo
expect [ "$status" = 0 ]
expect installs qemu-system-arm
end

begin "and by that of its backports, where it is not"
QEMU='' CANDIDATE=1:7.2+dfsg-7+deb12u18 machine
setup demo
expect [ "$status" = 0 ]
expect grep -q -e '-t [a-z]*-backports qemu-system-arm' "$work/asked"
end

begin "where the backports are gone, it goes on without"
QEMU='' CANDIDATE=1:7.2+dfsg-7+deb12u18 BACKPORTS_STATUS=100 machine
setup demo
expect [ "$status" = 0 ]
expect leaves qemu-system-arm
expect installs bison
expect grep -q "no QEMU any more" "$work/out"
end

begin "the README has the packages that each set adds"
: >"$work/out"
# row TEXT: the packages of the README's row that begins so.
# shellcheck disable=SC2016	# these are not the shell's
row() {
	sed -n "s/^| $1 | //p" README.md | grep -o '`[a-z0-9+-]*`' | tr -d '`' | sort
}
# What each set has more than the one before it, on arm64.
known=''
# shellcheck disable=SC2016
for pair in build:'building nidus' demo:'`make demo`' check:'`make check`' long:'`make check-long`'; do
	tr ' ' '\n' <<<"$(guest-images/setup --native "${pair%%:*}")" | sort >"$work/set"
	comm -23 "$work/set" <(echo "$known") | grep . >"$work/new"
	known=$(<"$work/set")
	row "${pair#*:}" | grep -vxE 'gcc-aarch64-linux-gnu|libc6-dev-arm64-cross' | diff "$work/new" - >>"$work/out" ||
		complaints+="
    the row of ${pair#*:} differs"
done
end
