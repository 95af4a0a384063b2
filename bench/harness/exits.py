# SPDX-License-Identifier: GPL-2.0-only
"""Names of exits: KVM's tracepoints tell numbers."""

# Arm ARM, ESR_ELx.EC; 0 is what kvm_exit has for exits that are no trap.
CLASSES = {
    0x00: "interrupt", 0x01: "WFx", 0x03: "CP15", 0x07: "FP", 0x09: "pointer authentication",
    0x0a: "LD64B", 0x11: "SVC32", 0x12: "HVC32", 0x13: "SMC32", 0x15: "SVC", 0x16: "HVC",
    0x17: "SMC", 0x18: "system register", 0x19: "SVE", 0x1a: "ERET", 0x20: "instruction abort",
    0x21: "instruction abort, same EL",
    0x24: "data abort", 0x25: "data abort, same EL", 0x27: "MOPS", 0x30: "breakpoint", 0x32: "step", 0x34: "watchpoint",
    0x3c: "BRK",
}

# KVM API, KVM_EXIT_*.
REASONS = {
    0: "unknown", 3: "hypercall", 4: "debug", 6: "mmio", 9: "fail_entry", 10: "intr",
    17: "internal_error", 24: "system_event", 28: "arm_nisv", 39: "memory_fault",
}


def by_name(numbers):
    """exits.NUMBER and user_exits.NUMBER of lib.board's as exits_by.NAME and user_exits_by.NAME."""
    renamed = {}
    for key, value in numbers.items():
        family, _, number = key.partition(".")
        if number:
            names = {"exits": CLASSES, "user_exits": REASONS}[family]
            key = f"{family}_by.{names.get(int(number), number)}"
        renamed[key] = value
    return renamed
