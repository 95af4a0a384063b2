# SPDX-License-Identifier: GPL-2.0-only
"""Nests that are started from where they were saved."""

from harness import board as machine, images
from harness.contract import Metric

TITLE = "A nest from its snapshot"
ABOUT = ("A nest of small kernels, one vCPU each, runs a command in its innermost guest: booted level by level, and from a "
         "snapshot that was made when all were up (nidus nest --from), on a tmpfs with huge pages, with a warm page "
         "cache; until the command has said a line, and until all levels have ended. Emulated timers are those of guest hypervisors that KVM looks at for them, in two seconds "
         "of a nest that wakes a hundred times a second, before it is saved and after it was restored.")

METRICS = (
    Metric("boot_all", "booted, to its line, all", "instructions"),
    Metric("from_all", "from its snapshot, all", "instructions"),
    Metric("boot_host", "booted, host", "instructions"),
    Metric("from_host", "from its snapshot, host", "instructions"),
    Metric("boot_whole", "booted, to its end, all", "instructions"),
    Metric("from_whole", "from its snapshot, all", "instructions"),
    Metric("size", "file", "KiB"),
    Metric("timers_before", "emulated timers, before", "times", noise=20),
    Metric("timers_after", "after", "times", noise=20),
)

# Memory of the levels, from the outermost.
DEPTHS = {1: ["256M"], 2: ["1G", "256M"], 3: ["2G", "768M", "256M"]}


def cells(full):
    del full  # the whole grid is quick enough
    return [{"vmm": "nidus", "depth": depth} for depth in DEPTHS] if machine.emulated() else []


def run(cell, board):
    return board.script("nest-from.board", *DEPTHS[cell["depth"]], files=["bench/lib.board", images.kernel()],
                        environment={"NIDUS_KERNEL": images.kernel()}, timeout=3600)
