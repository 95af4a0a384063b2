# SPDX-License-Identifier: GPL-2.0-only
"""Single things that a guest does, on two levels."""

from harness import difference, exits, images
from harness.charts import by
from harness.contract import Metric

TITLE = "Single operations of a guest"

# What each is, and how often it is done on level 1 and on level 2, in the shorter run.
OPERATIONS = {
    "hypercall": ("hypercall (PSCI_VERSION)", 5000, 500),
    "mmio_kernel": ("read of a register of KVM (GICD_TYPER)", 5000, 500),
    "mmio_user": ("read of a register of nidus (RTCMR)", 5000, 300),
    "mmio_pair": ("read of two of its registers by one LDP, which nidus decodes", 2000, 100),
    "kick": ("kick of a virtqueue (QueueNotify)", 5000, 300),
    "timer": ("virtual timer: set, interrupt", 5000, 300),
    "sgi_self": ("SGI to itself", 5000, 500),
    "tlbi_va": ("TLBI VAE1IS", 5000, 50000),
    "tlbi_asid": ("TLBI ASIDE1IS", 5000, 50000),
    "tlbi_all": ("TLBI VMALLE1IS", 5000, 50000),
    "wfi": ("virtual timer: set, WFI, interrupt", 1000, 200),
    "sgi_other": ("SGI to another vCPU in WFI, and its answer", 1000, 100),
    "fault_2m": ("first write to a block of 2 MiB", 50, 50),
    "fault_4k": ("first write to a page of 4 KiB", 5120, 1000),
}

ABOUT = ("Each is done by a bare-metal payload (tests/guest/ops.c), in two runs of different length, of which the "
         "difference counts. Level 1 is a plain guest; on level 2 the same payload is a guest of the nidus in a Linux "
         "guest hypervisor. Exits are those that the host's KVM takes, and of them those that go on to its nidus. "
         "Operations: "
         + "; ".join(f"{name}, {what}" for name, (what, *_) in OPERATIONS.items()) + ".")

METRICS = (
    Metric("host", "host", "instructions", noise=50),
    Metric("host_user", "host, user space", "instructions", noise=10),
    Metric("hypervisor", "guest hypervisor", "instructions", noise=50),
    Metric("payload", "payload itself", "instructions", noise=1),
    Metric("exits", "exits", "exits", noise=0.1),
    Metric("user_exits", "to nidus", "exits", noise=0.1),
    Metric("exits_by", "exits by exception class", "exits", family=True),
    Metric("user_exits_by", "exits to nidus by reason", "exits", family=True),
)


def cells(full):
    del full  # the whole grid is quick enough
    return [{"vmm": "nidus", "level": level, "operation": name} for level in (1, 2) for name in OPERATIONS]


def run(cell, board):
    few = OPERATIONS[cell["operation"]][cell["level"]]
    many = 3 * few
    text = board.script("ops.board", cell["level"], cell["operation"], few, many,
                        files=["bench/lib.board", "build/guest/ops.bin", images.kernel()],
                        environment={"NIDUS_KERNEL": images.kernel()}, timeout=1800)
    return exits.by_name(tidy(difference.per_one(text, few, many)))


def tidy(numbers):
    """The host's timer tick is in all numbers; what is below a twentieth is nothing."""
    return {name: 0 if -0.5 < value < 0.05 else round(value, 1) for name, value in numbers.items()}


def charts(rows):
    named = [{**row, "cell": {**row["cell"], "level": f"level {row['cell']['level']}"}} for row in rows]
    yield by("Host instructions of an operation, by level", named, "host", "operation", "operation", "instructions",
             series="level", log=True)
    yield by("Exits of an operation at the bottom, by level", named, "exits", "operation", "operation", "exits",
             series="level", log=True)
