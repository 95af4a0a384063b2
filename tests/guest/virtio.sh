# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash source=tests/lib.sh
. tests/lib.sh

begin "a virtio console survives drivers that break the rules"
limit=100 input=/dev/zero
guest --kernel build/guest/virtio.bin --mem 64M --console virtio --cpus 2
expect_status 0
expect_line '^virtio: all [0-9]+ checks hold$'
refuse_line '^not ok'
end

begin "each time a proper driver got through after it"
drivers=$(sed -n 's/^proper drivers: //p' "$console")
expect [ "${drivers:-0}" -gt 40 ]
expect [ "$(grep -c '^a proper driver$' "$console")" = "$drivers" ]
end

begin "what they did is said eight times and no more"
expect [ "$(grep -c 'virtio-console: its driver violated the virtio protocol' "$messages")" = 8 ]
end
