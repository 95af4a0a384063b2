# SPDX-License-Identifier: GPL-2.0-only
#
# make          build/nidus, a static arm64 program
# make setup    install what building, running and testing need (as root, or with sudo)
# make demo     boot a stock Debian kernel under nidus, on an emulated Arm machine if need be
# make check    everything that must hold before a commit; make check-long: what takes longer
# make lint     formatting, headers and the walls between directories
# make check-kernel  the kernel patches of kernel/: they compile one by one, and do what they are for
# make check-kernel-long  the same patches on a kernel that watches itself, and under stress: takes an hour
# make bench    measure what nidus costs, beside other VMMs
# make fuzz     fuzz for FUZZ_SECONDS (600) per target
# make install  to $(DESTDIR)$(PREFIX)

HOST_ARCH     := $(shell uname -m)
PREFIX        ?= /usr/local
BUILD         ?= build
FUZZ_SECONDS  ?= 600

# In make check-long, whose last result tests/long-result tells, with the commit that it ran on.
LONG_FUZZ_SECONDS ?= 60

# gcc, or `make CC=clang`; cross or native.
ifeq ($(origin CC),default)
CC := gcc
endif
TARGET := aarch64-linux-gnu
ifneq ($(findstring clang,$(CC)),)
COMPILE := $(CC) --target=$(TARGET)
else ifeq ($(HOST_ARCH),aarch64)
COMPILE := $(CC)
else
COMPILE := $(TARGET)-$(CC)
endif
OBJCOPY := $(if $(filter aarch64,$(HOST_ARCH)),,$(TARGET)-)objcopy

SYSROOT  = $(BUILD)/sysroot
WARNINGS = -Wall -Wextra -Werror
CPPFLAGS = -D_GNU_SOURCE -Iinclude -I$(BUILD)/sandbox -isystem $(SYSROOT)/uapi -isystem $(SYSROOT)/include
CFLAGS   = -std=gnu11 -O2 -g $(WARNINGS) -pthread -ffunction-sections -fdata-sections
LDFLAGS  = -static -Wl,--gc-sections -L$(SYSROOT)/lib
LDLIBS   = -lfdt -ljansson -lz -lzstd -luring -laio -lconfig

# What the sandbox lets threads call: filters that a program of the building machine makes, of comments
# in all of this.
FILTERS = $(BUILD)/sandbox/filters.h

SOURCES := main.c $(wildcard $(patsubst %,%/*.c,vmm/* mm arm arm/* devices devices/*))
OBJECTS  = $(SOURCES:%.c=$(BUILD)/%.o)

all: $(BUILD)/nidus

# What debuggers want stands beside it: nidus packs itself into the initramfs of each level of a nest.
$(BUILD)/nidus: $(BUILD)/nidus.debug
	$(OBJCOPY) --strip-all --add-gnu-debuglink=$< $< $@

# In the order that cold.ld gives it.
$(BUILD)/nidus.debug: $(OBJECTS) cold.ld
	$(COMPILE) $(CFLAGS) $(LDFLAGS) -Wl,-T,cold.ld -o $@ $(OBJECTS) $(LDLIBS)

$(BUILD)/%.o: %.c Makefile | $(SYSROOT)
	@mkdir -p $(@D)
	$(COMPILE) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(OBJECTS:.o=.d)

# Headers and static libraries for arm64, in the cache outside the tree.
$(SYSROOT): guest-images/sysroot guest-images/lib.sh
	@mkdir -p $(BUILD)
	@path=$$(guest-images/sysroot) && ln -sfn "$$path" $@

include tests/unit.mk

$(FILTERS): $(BUILD)/sandbox/generate
	$< >$@.new
	mv $@.new $@

$(BUILD)/sandbox/generate: vmm/sandbox/filters/generate.c $(BUILD)/sandbox/calls.inc Makefile | $(KVM_UAPI)
	$(HOSTCC) -D_GNU_SOURCE -Iinclude -I. -isystem $(BUILD)/kvm-uapi -DCALLS='"$(abspath $(BUILD))/sandbox/calls.inc"' \
		-std=gnu11 -O1 $(WARNINGS) -o $@ $< -lseccomp

# Left alone where it is the same, as nothing that is made of it has to be made again then.
$(BUILD)/sandbox/calls.inc: $(SOURCES) vmm/sandbox/filters/collect
	@mkdir -p $(@D)
	vmm/sandbox/filters/collect $(SOURCES) >$@.new
	cmp -s $@.new $@ || cp $@.new $@

$(BUILD)/vmm/sandbox/filter.o $(BUILD)/unit/vmm/sandbox/filter.o $(BUILD)/fuzz/vmm/sandbox/filter.o: $(FILTERS)

# Instruments that run on the board.
BOARD_TOOLS := $(BUILD)/board/icnt $(BUILD)/board/prof $(BUILD)/board/attack

$(BUILD)/board/%: tests/board/%.c Makefile | $(SYSROOT)
	@mkdir -p $(@D)
	$(COMPILE) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $<

# nidus itself, whose threads do what they must not be able to.
ATTACKED = sandbox_enter sandbox_enter_thread machine_run
$(BUILD)/board/attack: tests/board/attack.c $(OBJECTS) Makefile
	@mkdir -p $(@D)
	$(COMPILE) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(ATTACKED:%=-Wl,--wrap=%) -o $@ $(filter %.c %.o,$^) $(LDLIBS)

# Programs of ours that run in Linux guests.
GUEST_PROGRAMS := $(addprefix $(BUILD)/programs/,debug devmem evict files fs invalidate load names net punch reader tap tree verify vsock)

vpath %.c bench tests/boot
$(BUILD)/programs/%: %.c Makefile | $(SYSROOT)
	@mkdir -p $(@D)
	$(COMPILE) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< -laio

# Virtual machines of a test's own, on the parts of nidus that they are about.
VMS := $(BUILD)/vm/translate $(BUILD)/vm/emulate

$(BUILD)/vm/translate: tests/vm/stub.S
$(VMS): $(BUILD)/vm/%: tests/vm/%.c $(filter-out $(BUILD)/main.o,$(OBJECTS)) Makefile
	@mkdir -p $(@D)
	$(COMPILE) $(CPPFLAGS) -I. -Itests/unit $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.c %.S %.o,$^) $(LDLIBS)

# Bare-metal guests, a page each.
GUESTS := $(patsubst tests/guest/%.c,$(BUILD)/guest/%.bin,$(wildcard tests/guest/*.c))
GUEST_CFLAGS = -std=gnu11 -O2 -g $(WARNINGS) -ffreestanding -nostdlib -static -fno-pic \
	-fno-stack-protector -mgeneral-regs-only -mstrict-align -Itests/guest

$(BUILD)/guest/%.elf: tests/guest/%.c tests/guest/start.S $(wildcard tests/guest/*.h) \
		tests/guest/guest.ld Makefile
	@mkdir -p $(@D)
	$(COMPILE) $(GUEST_CFLAGS) -Wl,-T,tests/guest/guest.ld -Wl,--build-id=none -o $@ \
		tests/guest/start.S $<

# Overlays for their device trees.
OVERLAYS := $(patsubst tests/boot/%.dts,$(BUILD)/guest/%.dtbo,$(wildcard tests/boot/*.dts))

$(BUILD)/guest/%.dtbo: tests/boot/%.dts
	@mkdir -p $(@D)
	dtc -@ -I dts -O dtb -o $@ $<

$(BUILD)/guest/%.bin: $(BUILD)/guest/%.elf
	$(OBJCOPY) -O binary $< $@

demo: setup-demo
	@$(MAKE) --no-print-directory all
	@tests/demo

lint:
	@tests/lint

tests: board-tests unit fuzzers

board-tests: $(BUILD)/nidus $(BOARD_TOOLS) $(GUEST_PROGRAMS) $(VMS) $(GUESTS) $(OVERLAYS)

check: setup
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory tests
	@tests/run

check-long: setup-long
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory tests
	@FUZZ_SECONDS=$(LONG_FUZZ_SECONDS) tests/run --long >$(BUILD)/long.log || \
		{ cat $(BUILD)/long.log; false; }
	@cat $(BUILD)/long.log
	@echo "$$(git rev-parse HEAD): $$(tail -n 1 $(BUILD)/long.log)" >tests/long-result

bench: setup-bench
	@$(MAKE) --no-print-directory $(BUILD)/nidus $(BOARD_TOOLS) $(GUEST_PROGRAMS) $(BUILD)/guest/ops.bin
	@bench/run --json $(BUILD)/bench/result.json --html $(BUILD)/bench/result.html

# All tests of kernel/ but those that check-kernel-long runs, and one that is a part of another.
KERNEL_TESTS = $(filter-out kernel_selftests_short, \
	$(basename $(notdir $(shell grep -L '^\# ring: kernel-long$$' tests/boot/kernel_*.sh))))

# Unpacks Linux to $(BUILD)/linux and builds it, which takes some minutes the first time.
check-kernel: setup
	@$(MAKE) --no-print-directory tests
	@kernel/build --work $(BUILD)/linux --check
	@kernel/build --work $(BUILD)/linux --each
	@tests/run $(KERNEL_TESTS)

check-kernel-long: setup
	@$(MAKE) --no-print-directory tests
	@tests/run --ring kernel-long >$(BUILD)/kernel-long.log || { cat $(BUILD)/kernel-long.log; false; }
	@cat $(BUILD)/kernel-long.log
	@echo "$$(git rev-parse HEAD): $$(tail -n 1 $(BUILD)/kernel-long.log)" >docs/kernel-long-result

fuzz: setup
	@$(MAKE) --no-print-directory fuzzers
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run $(FUZZERS)

setup:
	@guest-images/setup

setup-demo:
	@guest-images/setup demo

setup-long:
	@guest-images/setup long

setup-bench:
	@guest-images/setup bench

install: all
	install -D -m 755 $(BUILD)/nidus $(DESTDIR)$(PREFIX)/bin/nidus
	ln -sf nidus $(DESTDIR)$(PREFIX)/bin/lkvm
	install -D -m 644 docs/nidus.1 $(DESTDIR)$(PREFIX)/share/man/man1/nidus.1
	install -D -m 644 docs/completion.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/nidus
	ln -sf nidus $(DESTDIR)$(PREFIX)/share/bash-completion/completions/lkvm

clean:
	rm -rf $(BUILD)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all tests board-tests demo lint check check-long check-kernel check-kernel-long bench fuzz setup setup-demo setup-long \
	setup-bench install clean
