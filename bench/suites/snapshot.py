# SPDX-License-Identifier: GPL-2.0-only
"""A guest that is saved, and restored."""

from harness import board as machine, images, peers
from harness.contract import Metric

TITLE = "Snapshots"
ABOUT = ("A bare-metal guest of 1 GiB that has touched 64 MiB (tests/guest/resume.c) is saved to a file on a tmpfs, whose "
         "pages are of 4 KiB or of 2 MiB, and restored, with a warm page cache. Pauses are how long the guest stood still "
         "for a snapshot while it ran, and for an increment to one before with 100 pages dirty, all that ran then "
         "included. To restore is to start the VMM until the guest has ended: at once, or after it has touched its 64 MiB "
         "again. The longest gap is that between two readings of the guest's counter in a loop of a second, without and "
         "with a snapshot and a restore in its midst.")

METRICS = (
    Metric("pause", "pause, full", "instructions"),
    Metric("pause_increment", "pause, increment", "instructions"),
    Metric("save", "saving at rest", "instructions"),
    Metric("size", "file", "KiB"),
    Metric("restore", "restore, to its end", "instructions"),
    Metric("restore_touch", "the same, all touched again", "instructions"),
    Metric("missed_plain", "longest gap, without", "ns"),
    Metric("missed", "longest gap, with", "ns"),
)

QEMU = ("{qemu}/qemu-system-aarch64 -accel kvm -cpu host -M virt,gic-version=3 -m 1024 -nodefaults -no-user-config"
        " -display none -serial stdio")


def cells(full):
    del full  # the whole grid is quick enough
    if not machine.emulated():
        return []  # a pause is a time there, and no count
    return [{"vmm": vmm, "huge": huge} for huge in ("never", "always") for vmm in ("nidus", "qemu")]


def run(cell, board):
    words, files = [], ["bench/lib.board", "build/guest/resume.bin"]
    if cell["vmm"] == "qemu":
        words = peers.expand(QEMU, {"qemu": images.program("qemu")})
        files.append(images.program("qemu"))
    return board.script("snapshot.board", cell["vmm"], cell["huge"], *words, files=files, timeout=900)
