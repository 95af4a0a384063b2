# SPDX-License-Identifier: GPL-2.0-only
"""What `make check` compares with the best figures so far (tests/host/figures.sh)."""

from harness import board as machine, exits, images, peers
from harness.contract import Metric

TITLE = "A plain boot of Linux, for make check"
ABOUT = "The least of several boots of the small kernel: one vCPU, 512 MiB, quiet, page cache warm."
DEFAULT = False

METRICS = (
    Metric("host", "host", "instructions"),
    Metric("user_exits", "exits to user space", "exits", exact=True),
    Metric("user_exits_by", "exits to user space by reason", "exits", family=True),
)

DEVICES = {"serial": "ttyAMA0", "virtio": "hvc0"}


def cells(full):
    kinds = (False, True) if full and machine.emulated() else (False,)
    return [{"vmm": "nidus", "console": console, "mops": mops} for mops in kinds for console in DEVICES]


def run(cell, board):
    kernel, initrd = images.kernel(), images.initramfs()
    command = peers.command("nidus", kernel=kernel, initrd=initrd, mem=512, console=cell["console"])
    numbers = board.script("plain.board", *command, f"console={DEVICES[cell['console']]} quiet",
                           files=["bench/lib.board", kernel, initrd], mops=cell["mops"])
    return exits.by_name(numbers)
