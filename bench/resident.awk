# SPDX-License-Identifier: GPL-2.0-only
#
# awk -v ram=KIB -f bench/resident.awk /proc/PID/smaps: the resident memory, in KiB, of all mappings of a VMM but that
# of guest RAM, which has so many. Some VMMs align guest RAM in a mapping that is up to 2 MiB larger.

/^[0-9a-f]+-/ { guest = 0 }
/^Size:/ { guest = $2 >= ram && $2 <= ram + 2048 }
/^Rss:/ && !guest { sum += $2 }
END { print sum + 0 }
