# SPDX-License-Identifier: GPL-2.0-only
#
# make          build/nidus, a static arm64 program
# make setup    install what building, running and testing need (as root, or with sudo)
# make demo     boot a stock Debian kernel under nidus, on an emulated Arm machine if need be
#               demo-nest: three guests inside each other; demo-xen: Xen as a guest's hypervisor
# make check    everything that must hold before a commit; make check-long: what takes longer than that
# make lint     formatting, headers and the walls between directories
# make check-kernel  the kernel patches of kernel/: they compile one by one, and do what they are for
# make check-kernel-long  the same patches on a kernel that watches itself, and under stress: takes an hour
# make bench    measure what nidus costs, beside other VMMs
# make fuzz     fuzz for FUZZ_SECONDS (600) per target
# make install  to $(DESTDIR)$(PREFIX); make uninstall takes it away
# make deb      Debian packages of nidus, for arm64, and of the board, to $(BUILD)/packages
# make dist     what git has, as an archive that builds, to $(BUILD)

HOST_ARCH     := $(shell uname -m)
PREFIX        ?= /usr/local
BUILD         ?= build
FUZZ_SECONDS  ?= 600

# Of make check-long. tests/long-result tells what came of each last, and of which commit it was.
LONG_FUZZ_SECONDS ?= 60
LONG_TESTS        ?= --ring long $(FUZZERS)

# What the changelog begins with.
VERSION := $(shell sed -n '1s/^nidus (\(.*\)) .*/\1/p' debian/changelog)

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

# Libraries and kernel headers: unpacked into the cache, or the compiler's own (system), of Linux 7.2 or later.
LIBRARIES ?= sysroot
SYSROOT    = $(if $(filter sysroot,$(LIBRARIES)),$(BUILD)/sysroot)
WARNINGS   = -Wall -Wextra -Werror
CPPFLAGS   = -D_GNU_SOURCE -Iinclude -I$(BUILD)/sandbox $(if $(SYSROOT),-isystem $(SYSROOT)/uapi -isystem $(SYSROOT)/include)
# The same bytes wherever the tree is. Nothing unwinds our stack but debuggers, which have their own tables.
CFLAGS   = -std=gnu11 -O2 -g $(WARNINGS) -pthread -ffunction-sections -fdata-sections -ffile-prefix-map=$(CURDIR)=. \
	-fno-unwind-tables -fno-asynchronous-unwind-tables
LDFLAGS  = -static -Wl,--gc-sections $(if $(SYSROOT),-L$(SYSROOT)/lib)
LDLIBS   = -lfdt -ljansson -lz -lzstd -luring -laio -lconfig

# What the sandbox lets threads call: filters that a program of the building machine makes, of comments
# in all of this.
FILTERS = $(BUILD)/sandbox/filters.h

SOURCES := main.c $(wildcard $(patsubst %,%/*.c,vmm/* mm arm arm/* devices devices/*))
OBJECTS  = $(SOURCES:%.c=$(BUILD)/%.o)

all: $(BUILD)/nidus

# What debuggers want stands beside it: nidus packs itself into the initramfs of each level of a nest.
$(BUILD)/nidus: $(BUILD)/nidus.debug
	$(OBJCOPY) --strip-all --remove-section=.comment --add-gnu-debuglink=$< $< $@

# In the order that cold.ld gives it.
$(BUILD)/nidus.debug: $(OBJECTS) cold.ld
	$(COMPILE) $(CFLAGS) $(LDFLAGS) -Wl,-T,cold.ld -o $@ $(OBJECTS) $(LDLIBS)

$(BUILD)/%.o: %.c Makefile | $(SYSROOT)
	@mkdir -p $(@D)
	$(COMPILE) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

VERSIONED := $(addprefix $(BUILD)/vmm/,commands/cmd_version.o machine/stats.o monitor/monitor.o)
$(VERSIONED): debian/changelog
$(VERSIONED): CPPFLAGS += -DNIDUS_VERSION='"$(VERSION)"'

-include $(OBJECTS:.o=.d)

# What looks at a guest that stands still has no haste, and most runs never have it.
$(patsubst %.c,$(BUILD)/%.o,$(wildcard vmm/migration/*.c vmm/gdb/*.c vmm/inspect/*.c vmm/debugger/*.c)): CFLAGS += -Os

# Headers and static libraries for arm64, in the cache outside the tree.
$(BUILD)/sysroot: guest-images/sysroot guest-images/lib.sh
	@mkdir -p $(BUILD)
	@path=$$(guest-images/sysroot) && ln -sfn "$$path" $@

include tests/unit.mk

$(FILTERS): $(BUILD)/sandbox/generate
	$< >$@.new
	mv $@.new $@

$(BUILD)/sandbox/generate: vmm/sandbox/filters/generate.c $(BUILD)/sandbox/calls.inc Makefile | $(if $(SYSROOT),$(KVM_UAPI))
	$(HOSTCC) -D_GNU_SOURCE -Iinclude -I. $(if $(SYSROOT),-isystem $(BUILD)/kvm-uapi) -DCALLS='"$(abspath $(BUILD))/sandbox/calls.inc"' \
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
GUEST_PROGRAMS := $(addprefix $(BUILD)/programs/,breaker capability clients debug devmem evict files fs invalidate kicker load names net punch reader relay tap tree verify vsock)

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

demo-nest: setup-demo
	@$(MAKE) --no-print-directory all $(BUILD)/guest/ops.bin
	@tests/demo-nest

demo-xen: setup-demo
	@$(MAKE) --no-print-directory all $(BUILD)/guest/domU1.dtbo
	@tests/demo-xen

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
	@FUZZ_SECONDS=$(LONG_FUZZ_SECONDS) tests/run --record tests/long-result $(LONG_TESTS)

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

# A page of the manual for nidus, and one for each subcommand.
$(BUILD)/man: docs/manual docs/nidus.1 debian/changelog
	docs/manual $@

BIN           = $(DESTDIR)$(PREFIX)/bin
MAN           = $(DESTDIR)$(PREFIX)/share/man/man1
BASH_FUNCTIONS = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
UNITS         = $(DESTDIR)$(PREFIX)/lib/systemd/system
ZSH_FUNCTIONS ?= $(PREFIX)/share/zsh/site-functions

install: all $(BUILD)/man
	install -D -m 755 $(BUILD)/nidus $(BIN)/nidus
	ln -sf nidus $(BIN)/lkvm
	install -d $(MAN)
	install -m 644 $(BUILD)/man/* $(MAN)
	ln -sf nidus.1 $(MAN)/lkvm.1
	install -D -m 644 docs/completion.bash $(BASH_FUNCTIONS)/nidus
	ln -sf nidus $(BASH_FUNCTIONS)/lkvm
	install -D -m 644 docs/completion.zsh $(DESTDIR)$(ZSH_FUNCTIONS)/_nidus
	sed 's|@PREFIX@|$(PREFIX)|' 'docs/nidus@.service.in' >'$(BUILD)/nidus@.service'
	install -D -m 644 '$(BUILD)/nidus@.service' '$(UNITS)/nidus@.service'

uninstall: $(BUILD)/man
	rm -f $(addprefix $(BIN)/,nidus lkvm) $(addprefix $(BASH_FUNCTIONS)/,nidus lkvm) \
		$(DESTDIR)$(ZSH_FUNCTIONS)/_nidus '$(UNITS)/nidus@.service' $(MAN)/lkvm.1 $(patsubst $(BUILD)/man/%,$(MAN)/%,$(wildcard $(BUILD)/man/*))

# The scripts stay beside each other, as they are in the tree.
BOARD         = $(DESTDIR)$(PREFIX)/share/nidus-board
BOARD_SCRIPTS = board/initrd board/nidus-board board/run board/test guest-images/kernel guest-images/program
BOARD_DATA    = board/init.sh guest-images/lib.sh guest-images/small.config

install-board:
	mkdir -p $(addprefix $(BOARD)/,board guest-images) $(BIN) $(MAN)
	set -e; for file in $(BOARD_SCRIPTS); do install -m 755 $$file $(BOARD)/$$file; done
	set -e; for file in $(BOARD_DATA); do install -m 644 $$file $(BOARD)/$$file; done
	ln -sf ../share/nidus-board/board/nidus-board $(BIN)/nidus-board
	sed 's/@VERSION@/$(VERSION)/' docs/nidus-board.1 >$(MAN)/nidus-board.1
	chmod 644 $(MAN)/nidus-board.1

# What the board makes when it is first used: where it is, none of that is made.
install-board-kernel:
	mkdir -p $(addprefix $(BOARD)/made/,kernel-small board)
	kernel=$$(guest-images/kernel small) && cd $${kernel%/*} && \
		install -m 644 -t $(BOARD)/made/kernel-small Image .config made-from
	initrd=$$(board/initrd) && cd $${initrd%/*} && install -m 644 -t $(BOARD)/made/board board.cpio made-from

uninstall-board:
	rm -rf $(BOARD)
	rm -f $(BIN)/nidus-board $(MAN)/nidus-board.1

# Packages are built of a copy of what git knows and does not ignore, so nothing of a build gets into them. With
# KERNEL=yes that of the board's kernel is made too, which builds the kernel if it is not in the cache.
deb:
	debian/build $(BUILD)/packages $(if $(filter yes,$(KERNEL)),--kernel)

DIST := nidus-$(VERSION)
dist:
	@mkdir -p $(BUILD)
	git archive --format=tar --prefix=$(DIST)/ HEAD | xz -T1 >$(BUILD)/$(DIST).tar.xz

clean:
	rm -rf $(BUILD)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all tests board-tests demo demo-nest demo-xen lint check check-long check-kernel check-kernel-long bench fuzz setup setup-demo setup-long \
	setup-bench install uninstall \
	install-board uninstall-board install-board-kernel deb dist clean
