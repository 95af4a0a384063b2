# SPDX-License-Identifier: GPL-2.0-only
"""What `make check` compares with the best figures so far (tests/host/figures.sh)."""

from harness import board as machine, exits, images, peers
from harness.contract import Metric

TITLE = "A plain boot of Linux, for make check"
ABOUT = ("The least of several boots of the small kernel: one vCPU, 512 MiB, quiet, page cache warm. What nidus itself "
         "costs is told without its sandbox, as it was before there was one; what that adds stands beside it.")
DEFAULT = False

METRICS = (
    Metric("host", "host", "instructions"),
    Metric("user_exits", "exits to user space", "exits", exact=True),
    Metric("user_exits_by", "exits to user space by reason", "exits", family=True),
)

SANDBOX = {"nidus": "off", "nidus sandboxed": "on"}
DEVICES = {"serial": "ttyAMA0", "virtio": "hvc0"}


def cells(full):
    kinds = (False, True) if full and machine.emulated() else (False,)
    return [{"vmm": vmm, "console": console, "mops": mops}
            for vmm in SANDBOX for mops in kinds for console in DEVICES]


def run(cell, board):
    kernel, initrd = images.kernel(), images.initramfs()
    command = peers.command("nidus", kernel=kernel, initrd=initrd, mem=512, console=cell["console"],
                            more=["--sandbox", SANDBOX[cell["vmm"]]])
    numbers = board.script("plain.board", *command, f"console={DEVICES[cell['console']]} quiet",
                           files=["bench/lib.board", kernel, initrd], mops=cell["mops"])
    return exits.by_name(numbers)
