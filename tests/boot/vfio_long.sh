# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/boot/vfio.sh
# images: net
# kernel: net
# files: tests/boot/vfio.sh
# board: --smp 2 --mem 4G --iommu --nvme 64M --nvme 16M --timeout 3600
# ring: long
# shellcheck disable=SC2034	# what is sourced has it
size=32 vcpus="1 4" kills=10 group_modes="strict=1 passthrough=1"
. tests/boot/vfio.sh
