# SPDX-License-Identifier: GPL-2.0-only
#
# Rings 1 and 4 of the tests, included by the Makefile: `make unit` and `make fuzzers` build what
# others run. Both use the host's own compiler; nothing of them touches KVM.

HOSTCC ?= gcc
FUZZCC ?= clang

UNIT_TESTS   := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
FUZZERS      := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
UNIT_HEADERS := $(wildcard include/*.h include/*/*.h vmm/*/*.h arm/*/*.h devices/*.h tests/unit/*.h)

# The sources of nidus that each of them is linked with, besides the log and what it writes by.
virtio_sources        := devices/virtio/virtio.c devices/virtio/virtqueue.c mm/memory.c vmm/host/event.c
nest_sources          := vmm/nest/nest.c vmm/nest/nest_pack.c vmm/machine/config.c arm/boot/archive.c arm/boot/boot.c arm/boot/image.c \
	arm/boot/foreign.c arm/boot/unpack.c mm/memory.c mm/load.c
sources_test_archive  := arm/boot/archive.c mm/memory.c mm/load.c
translate_sources     := arm/translate/translate.c arm/translate/stage1.c arm/translate/stage2.c arm/translate/walk.c arm/translate/permission.c \
	mm/memory.c
stats_sources         := vmm/machine/stats.c vmm/host/kvm_stats.c vmm/host/file.c vmm/bus/bus.c vmm/vcpu/counters.c \
	vmm/host/verdict.c vmm/host/event.c arm/insn.c
emulate_sources       := $(wildcard vmm/vcpu/emulate*.c) vmm/vcpu/access.c vmm/bus/bus.c vmm/vcpu/counters.c \
	arm/translate/lookup.c arm/registers.c arm/insn.c mm/memory.c
sources_test_board    := arm/boot/board.c arm/devtree.c arm/cpu/gic.c devices/pl011.c devices/pl031.c vmm/host/event.c
sources_test_boot     := arm/boot/boot.c arm/boot/archive.c arm/boot/image.c arm/boot/foreign.c arm/boot/unpack.c mm/memory.c mm/load.c
sources_test_bus      := vmm/bus/bus.c
sources_test_config   := vmm/machine/config.c
sources_test_counters := vmm/vcpu/counters.c
sources_test_cpu      := arm/cpu/cpu.c arm/cpu/nested.c
sources_test_disk     := $(wildcard devices/backends/backend_disk*.c) vmm/host/event.c
sources_test_emulate  := $(emulate_sources)
sources_test_event    := vmm/host/event.c
sources_test_exit     := vmm/vcpu/exit.c arm/insn.c vmm/bus/bus.c vmm/vcpu/counters.c vmm/host/event.c vmm/host/verdict.c arm/cpu/cpu.c arm/cpu/nested.c
sources_test_file     := vmm/host/file.c
sources_test_gic      := arm/cpu/gic.c arm/devtree.c
sources_test_image    := arm/boot/image.c arm/boot/foreign.c
sources_test_jobs     := devices/backends/backend_terminal.c vmm/host/crash.c vmm/host/event.c vmm/host/signals.c vmm/host/verdict.c vmm/host/worker.c
sources_test_load     := mm/load.c mm/memory.c
sources_test_log      :=
sources_test_memory   := mm/memory.c
sources_test_nest     := $(nest_sources)
sources_test_nest_file := $(nest_sources) vmm/nest/nest_file.c
sources_test_nest_relay := vmm/nest/nest_relay.c vmm/nest/nest_report.c
sources_test_nest_summary := vmm/nest/nest_summary.c vmm/nest/nest_report.c vmm/nest/nest.c vmm/machine/config.c vmm/host/file.c
sources_test_nest_watch := vmm/nest/nest_watch.c vmm/nest/nest_terminal.c vmm/host/signals.c vmm/host/verdict.c vmm/host/event.c \
	$(sources_test_nest_summary)
sources_test_nested   := arm/cpu/nested.c
sources_test_pci      := devices/pci.c devices/pci_view.c vmm/bus/irq.c vmm/bus/bus.c mm/memslot.c arm/devtree.c
sources_test_pl011    := devices/pl011.c arm/devtree.c
sources_test_pl031    := devices/pl031.c arm/devtree.c vmm/host/event.c
sources_test_poc      := mm/poc.c mm/memory.c
sources_test_stats    := $(stats_sources)
sources_test_session  := vmm/machine/session.c vmm/host/verdict.c vmm/host/signals.c vmm/host/event.c vmm/host/crash.c \
	devices/backends/backend_terminal.c devices/backends/backend_report.c vmm/host/file.c vmm/host/resources.c
sources_test_stream   :=
sources_test_suspend  := vmm/vcpu/suspend.c arm/cpu/cpu.c arm/cpu/nested.c
sources_test_resources := vmm/host/resources.c
sources_test_report   := devices/backends/backend_report.c vmm/host/file.c vmm/host/event.c
sources_test_terminal := devices/backends/backend_terminal.c vmm/host/crash.c vmm/host/event.c vmm/host/verdict.c
sources_test_translate := $(translate_sources) arm/translate/regime.c
sources_test_peek     := vmm/control/peek.c vmm/host/kvm_stats.c
sources_test_tlbi     := arm/cpu/tlbi.c
sources_test_tlbi_table := vmm/control/tlbi_table.c
sources_test_unpack   := arm/boot/unpack.c
sources_test_virtio_block := devices/virtio/virtio_block.c $(wildcard devices/backends/backend_disk*.c) \
	devices/virtio/virtio.c devices/virtio/virtqueue.c vmm/host/worker.c vmm/host/crash.c vmm/host/event.c mm/memory.c
sources_test_vcpu     := vmm/vcpu/vcpu.c vmm/host/crash.c vmm/vcpu/counters.c
sources_test_verdict  := vmm/host/verdict.c vmm/host/event.c
sources_test_virtio   := $(virtio_sources)
sources_test_virtio_console := $(virtio_sources) devices/virtio/virtio_console.c
sources_test_virtio_mmio := $(virtio_sources) devices/virtio/virtio_mmio.c arm/devtree.c
sources_test_virtio_pci := $(virtio_sources) devices/virtio/virtio_pci.c devices/pci.c devices/pci_view.c vmm/bus/irq.c \
	vmm/bus/bus.c arm/devtree.c
sources_test_virtio_report := $(virtio_sources) devices/virtio/virtio_report.c
sources_test_virtio_rng := $(virtio_sources) devices/virtio/virtio_rng.c
sources_test_virtqueue := devices/virtio/virtqueue.c mm/memory.c
sources_test_worker   := vmm/host/worker.c vmm/host/crash.c vmm/host/event.c
sources_fuzz_config   := vmm/machine/config.c
sources_fuzz_devices  := devices/pl011.c devices/pl031.c arm/devtree.c vmm/bus/bus.c
sources_fuzz_image    := arm/boot/image.c arm/boot/foreign.c arm/boot/boot.c arm/boot/archive.c arm/boot/unpack.c mm/memory.c mm/load.c
sources_fuzz_nest     := vmm/nest/nest.c vmm/nest/nest_file.c vmm/nest/nest_summary.c vmm/nest/nest_report.c \
	vmm/nest/nest_relay.c vmm/machine/config.c
sources_fuzz_emulate  := $(emulate_sources)
sources_fuzz_insn     := arm/insn.c
sources_fuzz_pci      := devices/virtio/virtio_pci.c devices/pci.c devices/pci_view.c devices/virtio/virtio.c devices/virtio/virtqueue.c \
	vmm/bus/bus.c mm/memory.c arm/devtree.c
sources_fuzz_stats    := $(stats_sources) devices/pl011.c devices/pl031.c arm/devtree.c
sources_fuzz_unpack   := arm/boot/image.c arm/boot/foreign.c arm/boot/boot.c arm/boot/archive.c arm/boot/unpack.c mm/memory.c mm/load.c
sources_fuzz_terminal := devices/backends/backend_terminal.c vmm/host/verdict.c
sources_fuzz_translate := $(translate_sources)
sources_fuzz_virtio_block := $(sources_test_virtio_block)
sources_fuzz_virtqueue := devices/virtio/virtio.c devices/virtio/virtqueue.c devices/virtio/virtio_mmio.c \
	devices/virtio/virtio_console.c devices/virtio/virtio_report.c devices/virtio/virtio_rng.c mm/memory.c arm/devtree.c

# These see KVM's API as an arm64 kernel has it, with fakes in place of vmm/host/kvm.c.
FAKE_KVM_TESTS := test_board test_cpu test_exit test_gic test_nested test_pci test_suspend \
	test_tlbi test_virtio_pci

$(FAKE_KVM_TESTS:%=$(BUILD)/unit/%): UNIT_CPPFLAGS += -isystem $(SYSROOT)/uapi
$(FAKE_KVM_TESTS:%=$(BUILD)/unit/%): tests/unit/fake_kvm.c | $(SYSROOT)

# These see it, too, and have fakes of their own or need none.
UAPI_TESTS := $(addprefix $(BUILD)/unit/,test_peek test_session test_translate test_nest_watch)

$(UAPI_TESTS): UNIT_CPPFLAGS += -isystem $(SYSROOT)/uapi
$(UAPI_TESTS): | $(SYSROOT)

# These too, with fakes of their own.
FAKE_GUEST_TESTS := $(BUILD)/unit/test_emulate $(BUILD)/unit/test_vcpu $(BUILD)/fuzz/fuzz_emulate \
	$(BUILD)/unit/test_stats $(BUILD)/fuzz/fuzz_stats

$(FAKE_GUEST_TESTS): UNIT_CPPFLAGS += -isystem $(SYSROOT)/uapi
$(FAKE_GUEST_TESTS): | $(SYSROOT)

UNIT_CPPFLAGS = -D_GNU_SOURCE -Iinclude -I. -Itests/unit
# cmocka hands every test a state, wanted or not.
UNIT_CFLAGS   = -std=gnu11 -g -O1 $(WARNINGS) -Wno-unused-parameter -pthread
UNIT_LDLIBS   = -lcmocka -lfdt -lz -lzstd -luring -laio -ljansson -lconfig

# Secondary expansion, so that $* can name the list of sources.
.SECONDEXPANSION:

$(UNIT_TESTS:%=$(BUILD)/unit/%): $(BUILD)/unit/%: tests/unit/%.c $$(sources_$$*) vmm/host/log.c \
		vmm/host/stream.c tests/unit/unit.c $(UNIT_HEADERS) tests/unit.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(UNIT_CPPFLAGS) $(UNIT_CFLAGS) -fsanitize=address,undefined \
		-fno-sanitize-recover=all -o $@ $(filter %.c,$^) $(UNIT_LDLIBS)

$(FUZZERS:%=$(BUILD)/fuzz/%): $(BUILD)/fuzz/%: tests/fuzz/%.c $$(sources_$$*) \
		tests/fuzz/quiet_log.c tests/fuzz/fuzz.h $(UNIT_HEADERS) tests/unit.mk
	@mkdir -p $(@D)
	$(FUZZCC) $(UNIT_CPPFLAGS) $(UNIT_CFLAGS) -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -o $@ $(filter %.c,$^) -lfdt -lz -lzstd -luring -laio \
		-ljansson -lconfig

unit: $(UNIT_TESTS:%=$(BUILD)/unit/%)
fuzzers: $(FUZZERS:%=$(BUILD)/fuzz/%)

.PHONY: unit fuzzers
