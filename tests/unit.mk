# SPDX-License-Identifier: GPL-2.0-only
#
# Rings 1 and 4 of the tests, included by the Makefile: `make unit` and `make fuzzers` build what
# others run. Both use the host's own compiler; nothing of them touches KVM.

HOSTCC ?= gcc
FUZZCC ?= clang

UNIT_TESTS   := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
FUZZERS      := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
UNIT_HEADERS := $(wildcard include/*.h tests/unit/*.h)

# The sources of nidus that each of them is linked with, besides the log and what it writes by.
virtio_sources        := devices/virtio.c devices/virtqueue.c mm/memory.c vmm/event.c
nest_sources          := vmm/nest.c vmm/nest_pack.c vmm/config.c arm/archive.c arm/boot.c arm/image.c \
	arm/foreign.c arm/unpack.c mm/memory.c mm/load.c
sources_test_archive  := arm/archive.c mm/memory.c mm/load.c
translate_sources     := arm/translate.c arm/stage1.c arm/stage2.c arm/walk.c arm/permission.c \
	mm/memory.c
stats_sources         := vmm/stats.c vmm/kvm_stats.c vmm/file.c vmm/bus.c vmm/counters.c \
	vmm/verdict.c vmm/event.c arm/insn.c
emulate_sources       := $(wildcard vmm/emulate*.c) vmm/access.c vmm/bus.c vmm/counters.c \
	arm/lookup.c arm/registers.c arm/insn.c mm/memory.c
sources_test_board    := arm/board.c arm/devtree.c arm/gic.c devices/pl011.c devices/pl031.c vmm/event.c
sources_test_boot     := arm/boot.c arm/archive.c arm/image.c arm/foreign.c arm/unpack.c mm/memory.c mm/load.c
sources_test_bus      := vmm/bus.c
sources_test_config   := vmm/config.c
sources_test_counters := vmm/counters.c
sources_test_cpu      := arm/cpu.c arm/nested.c
sources_test_disk     := $(wildcard devices/backend_disk*.c) vmm/event.c
sources_test_emulate  := $(emulate_sources)
sources_test_event    := vmm/event.c
sources_test_exit     := vmm/exit.c arm/insn.c vmm/bus.c vmm/counters.c vmm/event.c vmm/verdict.c arm/cpu.c arm/nested.c
sources_test_file     := vmm/file.c
sources_test_gic      := arm/gic.c arm/devtree.c
sources_test_image    := arm/image.c arm/foreign.c
sources_test_jobs     := devices/backend_terminal.c vmm/crash.c vmm/event.c vmm/signals.c vmm/verdict.c vmm/worker.c
sources_test_load     := mm/load.c mm/memory.c
sources_test_log      :=
sources_test_memory   := mm/memory.c
sources_test_nest     := $(nest_sources)
sources_test_nest_file := $(nest_sources) vmm/nest_file.c
sources_test_nest_relay := vmm/nest_relay.c vmm/nest_report.c
sources_test_nest_summary := vmm/nest_summary.c vmm/nest_report.c vmm/nest.c vmm/config.c vmm/file.c
sources_test_nest_watch := vmm/nest_watch.c vmm/nest_terminal.c vmm/signals.c vmm/verdict.c vmm/event.c \
	$(sources_test_nest_summary)
sources_test_nested   := arm/nested.c
sources_test_pci      := devices/pci.c devices/pci_view.c vmm/irq.c vmm/bus.c mm/memslot.c arm/devtree.c
sources_test_pl011    := devices/pl011.c arm/devtree.c
sources_test_pl031    := devices/pl031.c arm/devtree.c vmm/event.c
sources_test_poc      := mm/poc.c mm/memory.c
sources_test_stats    := $(stats_sources)
sources_test_session  := vmm/session.c vmm/verdict.c vmm/signals.c vmm/event.c vmm/crash.c \
	devices/backend_terminal.c devices/backend_report.c vmm/file.c vmm/resources.c
sources_test_stream   :=
sources_test_suspend  := vmm/suspend.c arm/cpu.c arm/nested.c
sources_test_resources := vmm/resources.c
sources_test_report   := devices/backend_report.c vmm/file.c vmm/event.c
sources_test_terminal := devices/backend_terminal.c vmm/crash.c vmm/event.c vmm/verdict.c
sources_test_translate := $(translate_sources) arm/regime.c
sources_test_peek     := vmm/peek.c vmm/kvm_stats.c
sources_test_tlbi     := arm/tlbi.c
sources_test_tlbi_table := vmm/tlbi_table.c
sources_test_unpack   := arm/unpack.c
sources_test_virtio_block := devices/virtio_block.c $(wildcard devices/backend_disk*.c) \
	devices/virtio.c devices/virtqueue.c vmm/worker.c vmm/crash.c vmm/event.c mm/memory.c
sources_test_vcpu     := vmm/vcpu.c vmm/crash.c vmm/counters.c
sources_test_verdict  := vmm/verdict.c vmm/event.c
sources_test_virtio   := $(virtio_sources)
sources_test_virtio_console := $(virtio_sources) devices/virtio_console.c
sources_test_virtio_mmio := $(virtio_sources) devices/virtio_mmio.c arm/devtree.c
sources_test_virtio_pci := $(virtio_sources) devices/virtio_pci.c devices/pci.c devices/pci_view.c vmm/irq.c \
	vmm/bus.c arm/devtree.c
sources_test_virtio_report := $(virtio_sources) devices/virtio_report.c
sources_test_virtio_rng := $(virtio_sources) devices/virtio_rng.c
sources_test_virtqueue := devices/virtqueue.c mm/memory.c
sources_test_worker   := vmm/worker.c vmm/crash.c vmm/event.c
sources_fuzz_config   := vmm/config.c
sources_fuzz_devices  := devices/pl011.c devices/pl031.c arm/devtree.c vmm/bus.c
sources_fuzz_image    := arm/image.c arm/foreign.c arm/boot.c arm/archive.c arm/unpack.c mm/memory.c mm/load.c
sources_fuzz_nest     := vmm/nest.c vmm/nest_file.c vmm/nest_summary.c vmm/nest_report.c \
	vmm/nest_relay.c vmm/config.c
sources_fuzz_emulate  := $(emulate_sources)
sources_fuzz_insn     := arm/insn.c
sources_fuzz_pci      := devices/virtio_pci.c devices/pci.c devices/pci_view.c devices/virtio.c devices/virtqueue.c \
	vmm/bus.c mm/memory.c arm/devtree.c
sources_fuzz_stats    := $(stats_sources) devices/pl011.c devices/pl031.c arm/devtree.c
sources_fuzz_unpack   := arm/image.c arm/foreign.c arm/boot.c arm/archive.c arm/unpack.c mm/memory.c mm/load.c
sources_fuzz_terminal := devices/backend_terminal.c vmm/verdict.c
sources_fuzz_translate := $(translate_sources)
sources_fuzz_virtio_block := $(sources_test_virtio_block)
sources_fuzz_virtqueue := devices/virtio.c devices/virtqueue.c devices/virtio_mmio.c \
	devices/virtio_console.c devices/virtio_report.c devices/virtio_rng.c mm/memory.c arm/devtree.c

# These see KVM's API as an arm64 kernel has it, with fakes in place of vmm/kvm.c.
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

UNIT_CPPFLAGS = -D_GNU_SOURCE -Iinclude -Itests/unit
# cmocka hands every test a state, wanted or not.
UNIT_CFLAGS   = -std=gnu11 -g -O1 $(WARNINGS) -Wno-unused-parameter -pthread
UNIT_LDLIBS   = -lcmocka -lfdt -lz -lzstd -luring -laio -ljansson -lconfig

# Secondary expansion, so that $* can name the list of sources.
.SECONDEXPANSION:

$(UNIT_TESTS:%=$(BUILD)/unit/%): $(BUILD)/unit/%: tests/unit/%.c $$(sources_$$*) vmm/log.c \
		devices/backend_stream.c tests/unit/unit.c $(UNIT_HEADERS) tests/unit.mk
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
