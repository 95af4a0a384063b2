# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
# disk: disk installer
# firmware: aavmf
# files: tests/talk.sh
# board: --mem 4G --timeout 600
# ring: long
. tests/lib.sh
# shellcheck source=tests/talk.sh
. tests/talk.sh

begin "Debian's installer comes to its first question, by UEFI and GRUB"
cp "$NIDUS_DISK" "$scratch/disk"
talk_to nidus run --firmware "$NIDUS_AAVMF/AAVMF_CODE.fd" --disk "$scratch/disk" --mem 1G
hear 'Linux version' 200
hear '(Choose|Select a) language' 300
kill -TERM "$pid"
hang_up
expect_status 143
end
