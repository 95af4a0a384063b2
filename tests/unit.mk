# SPDX-License-Identifier: GPL-2.0-only
#
# Rings 1 and 4 of the tests, included by the Makefile: `make unit` and `make fuzzers` build what
# others run. Both use the host's own compiler; nothing of them touches KVM.
#
# Nobody lists what a test is linked with. All sources are in an archive, from which the linker takes
# what is referred to and not defined before: by the test itself, or by fakes, whose archive comes first.

HOSTCC ?= gcc
FUZZCC ?= clang

UNIT_TESTS := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
FUZZERS    := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

# Without what has instructions of arm64, which tests have fakes for.
HOST_SOURCES := $(filter-out main.c mm/cache.c,$(SOURCES))
UNIT_OBJECTS := $(HOST_SOURCES:%.c=$(BUILD)/unit/%.o)
UNIT_FAKES   := $(patsubst %.c,$(BUILD)/unit/%.o,tests/unit/unit.c tests/unit/fake_cache.c tests/unit/fake_kvm.c tests/unit/fake_sandbox.c)
FUZZ_OBJECTS := $(HOST_SOURCES:%.c=$(BUILD)/fuzz/%.o)
FUZZ_FAKES   := $(patsubst %.c,$(BUILD)/fuzz/%.o,tests/fuzz/quiet_log.c tests/unit/fake_cache.c)

# KVM's API as an arm64 kernel has it, and what is younger than Debian 12; all else as the host has it.
KVM_UAPI := $(addprefix $(BUILD)/kvm-uapi/,linux/kvm.h linux/psci.h linux/types.h linux/if_tun.h linux/virtio_net.h \
	linux/landlock.h linux/fs.h linux/userfaultfd.h linux/vfio.h linux/iommufd.h linux/stddef.h asm/hwcap.h asm/kvm.h asm/ptrace.h asm/sve_context.h)

$(KVM_UAPI): $(BUILD)/kvm-uapi/%: | $(SYSROOT)
	@mkdir -p $(@D)
	@ln -sf $(abspath $(SYSROOT))/uapi/$* $@

UNIT_CPPFLAGS = -D_GNU_SOURCE -Iinclude -I. -Itests/unit -I$(BUILD)/sandbox -isystem $(BUILD)/kvm-uapi -MMD -MP
# cmocka hands every test a state, wanted or not.
UNIT_CFLAGS   = -std=gnu11 -g -O1 $(WARNINGS) -Wno-unused-parameter -pthread
UNIT_SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_SANITIZE = -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
HOST_LDLIBS   = -lfdt -lz -lzstd -luring -laio -ljansson -lconfig

$(BUILD)/unit/%.o: %.c tests/unit.mk | $(KVM_UAPI)
	@mkdir -p $(@D)
	$(HOSTCC) $(UNIT_CPPFLAGS) $(UNIT_CFLAGS) $(UNIT_SANITIZE) -c -o $@ $<

$(BUILD)/fuzz/%.o: %.c tests/unit.mk | $(KVM_UAPI)
	@mkdir -p $(@D)
	$(FUZZCC) $(UNIT_CPPFLAGS) $(UNIT_CFLAGS) $(FUZZ_SANITIZE) -c -o $@ $<

$(BUILD)/unit/nidus.a: $(UNIT_OBJECTS)
$(BUILD)/unit/fakes.a: $(UNIT_FAKES)
$(BUILD)/fuzz/nidus.a: $(FUZZ_OBJECTS)
$(BUILD)/fuzz/fakes.a: $(FUZZ_FAKES)
$(BUILD)/%.a:
	@rm -f $@
	@$(AR) rcs $@ $^

# This is about what all others have a fake for, and objects come before archives.
$(BUILD)/unit/test_kvm: $(BUILD)/unit/vmm/host/kvm.o

$(UNIT_TESTS:%=$(BUILD)/unit/%): $(BUILD)/unit/%: $(BUILD)/unit/tests/unit/%.o $(BUILD)/unit/fakes.a $(BUILD)/unit/nidus.a
	$(HOSTCC) -pthread $(UNIT_SANITIZE) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(filter %.a,$^) -Wl,--end-group -lcmocka $(HOST_LDLIBS)

$(FUZZERS:%=$(BUILD)/fuzz/%): $(BUILD)/fuzz/%: $(BUILD)/fuzz/tests/fuzz/%.o $(BUILD)/fuzz/fakes.a $(BUILD)/fuzz/nidus.a
	$(FUZZCC) -pthread -fsanitize=fuzzer $(FUZZ_SANITIZE) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(HOST_LDLIBS)

# nidus itself, which tests/host asks for its options.
$(BUILD)/unit/nidus: $(BUILD)/unit/main.o $(BUILD)/unit/tests/host/program.o $(BUILD)/unit/nidus.a
	$(HOSTCC) -pthread $(UNIT_SANITIZE) -o $@ $^ $(HOST_LDLIBS)

UNIT_VERSIONED := $(VERSIONED:$(BUILD)/%=$(BUILD)/unit/%) $(VERSIONED:$(BUILD)/%=$(BUILD)/fuzz/%) \
	$(BUILD)/unit/tests/unit/test_commands.o
$(UNIT_VERSIONED): debian/changelog
$(UNIT_VERSIONED): UNIT_CPPFLAGS += -DNIDUS_VERSION='"$(VERSION)"'

-include $(BUILD)/unit/main.d $(BUILD)/unit/tests/host/program.d $(UNIT_OBJECTS:.o=.d) $(UNIT_FAKES:.o=.d) $(FUZZ_OBJECTS:.o=.d) $(FUZZ_FAKES:.o=.d) \
	$(UNIT_TESTS:%=$(BUILD)/unit/tests/unit/%.d) $(FUZZERS:%=$(BUILD)/fuzz/tests/fuzz/%.d)

unit: $(UNIT_TESTS:%=$(BUILD)/unit/%) $(BUILD)/unit/nidus
fuzzers: $(FUZZERS:%=$(BUILD)/fuzz/%)

.PHONY: unit fuzzers
