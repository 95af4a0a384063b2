# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# images: net small
# kernel: net
# programs: passt virtiofsd
# files: tests/net.sh
# board: --icount --mem 6G --timeout 3600
. tests/lib.sh
# shellcheck source=tests/net.sh
. tests/net.sh
exec </dev/null

# nidus nest --root: the innermost level's root is a directory of the board, at any depth. Of $depths two in the short
# ring.

board_network
# Levels between carry what the loader finds by itself, so virtiofsd stands where a distribution has it.
if [ -e /board ]; then
	mkdir -p /usr/libexec /lib
	cp "$NIDUS_VIRTIOFSD"/lib/* /lib
	cp "$NIDUS_VIRTIOFSD/libexec/virtiofsd" /usr/libexec
fi

# All that the board has but for this test's own.
tree() {
	set -- -xdev '(' -path /dev -o -path /proc -o -path /sys -o -path /tmp ')' -prune -o
	{
		find / "$@" -type f -exec md5sum {} +
		find / "$@" ! -type p -exec stat -c '%n %f %h %u %g %s %Y' {} +
	} | sort | md5sum
}

# What runs inside, by the board's own shell.
cat >"$scratch/inside" <<'END'
mount | grep ' / '
md5sum /bin/busybox
echo new >/etc/new
cat /etc/new
rm -f /init
mkdir /x
mount -t virtiofs nidus-root /x
mount -o remount,rw /x
echo evil >/x/evil
rm -f /x/init
cat /etc/resolv.conf
END

nest() {
	timeout -s KILL 3000 nidus nest --kernel "$NIDUS_KERNEL" --time-limit 2800 "$@" >"$console" 2>"$messages"
	status=$?
}

before=$(tree)
for depth in ${depths:-1 2}; do
	begin "the board's own root, $depth deep, which no level can change"
	nest --depth "$depth" --root / --file "$scratch/inside:/inside" -- sh /inside
	# What rm says last.
	expect_status 0
	expect_line '^overlay on / type overlay'
	expect_line "^$(md5sum /bin/busybox)"
	expect_line '^new'
	expect_line "can't create /x/evil: Read-only file system"
	expect_line "rm: can't remove '/x/init': Read-only file system"
	expect [ "$(tree)" = "$before" ]
	expect_nothing_left
	end

	begin "$depth deep with a network as well"
	serve
	# shellcheck disable=SC2154	# of tests/net.sh
	nest --depth "$depth" --root / --net -- wget -q -O - "http://$router:$http/small"
	expect_status 0
	expect_line '^so it is'
	killall httpd
	rm -r "$scratch/www"
	end
done

[ -z "${depths-}" ] || exit 0

begin "what a level cannot do without is said, and the level is named"
# The kernel that was brought along beside $NIDUS_KERNEL has no virtiofs.
set -- "${NIDUS_KERNEL%/*/*}"/kernel-small-*/Image
echo "root = \"/\"; levels = ( { memory = \"768M\"; }, { memory = \"256M\"; kernel = \"$1\"; } );" >"$scratch/plan"
nest "$scratch/plan"
expect_status 1
expect_line 'level 2: root: this kernel has no virtiofs'
expect_line '^nidus: error: level 2 had its command end with status 127'
end

begin "bad roots are refused before anything starts"
while read -r line; do
	nest --depth 2 --root "${line% = *}"
	expect_status 2
	expect_one_message
	expect_line "${line##* = }"
done <<END
/nothing = root /nothing: No such file or directory
/init = root /init: is not a directory
/,rw = root /,rw: is a directory and nothing else
END
end
