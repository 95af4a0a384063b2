# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/boot/iommu.sh
# images: small
# files: tests/counting.sh tests/snapshot.sh tests/boot/iommu.sh
# board: --timeout 3600
# ring: long
# shellcheck disable=SC2034	# what is sourced has it
size=8 vcpus="1 4" engines="aio sync" network_modes="iommu.strict=0 iommu.strict=1 iommu.passthrough=1"
. tests/boot/iommu.sh
