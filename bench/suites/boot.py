# SPDX-License-Identifier: GPL-2.0-only
"""A plain boot of Linux to its init and off again."""

from harness import board as machine, exits, images, peers
from harness.charts import by
from harness.contract import Metric

TITLE = "A boot of Linux"
ABOUT = ("The small kernel with its initial RAM disk, virtio console, quiet, a fixed seed for address space "
         "randomization, from the start of the VMM until the guest has powered off, with a warm page cache.")

METRICS = (
    Metric("host", "host", "instructions"),
    Metric("host_user", "host, user space", "instructions"),
    Metric("host_user_unclean", "the same, cleaning apart", "instructions"),
    Metric("guest", "guest", "instructions"),
    Metric("exits", "exits", "exits"),
    Metric("user_exits", "to user space", "exits"),
    Metric("rss", "memory, guest RAM apart", "KiB"),
    Metric("exits_by", "exits by exception class", "exits", family=True),
    Metric("user_exits_by", "exits to user space by reason", "exits", family=True),
)

PLAIN = {"cpus": 1, "mem": 512}


def cells(full):
    points = [PLAIN]
    if full:
        points += [{**PLAIN, "cpus": cpus} for cpus in (2, 4, 8)]
        points += [{**PLAIN, "mem": mem} for mem in (256, 1024, 2048, 3072)]
    grid = [{**point, "mops": False} for point in points]
    if machine.emulated():
        grid.insert(1, {**PLAIN, "mops": True})
    return [{"vmm": vmm, **point} for point in grid for vmm in peers.available()]


def run(cell, board):
    kernel, initrd = images.kernel(), images.initramfs()
    command = peers.command(cell["vmm"], kernel=kernel, initrd=initrd, mem=cell["mem"], cpus=cell["cpus"])
    numbers = board.script("boot.board", cell["mem"], cell["cpus"], *command,
                           files=[kernel, initrd, "bench/lib.board", "bench/resident.awk",
                                  *peers.files(cell["vmm"])],
                           mops=cell["mops"], mem="5G" if cell["mem"] > 2048 else "4G",
                           # vCPUs that wait for each other take turns on the board's one CPU.
                           timeout=600 * cell["cpus"])
    return exits.by_name(numbers)


def charts(rows):
    plain = [row for row in rows if not row["cell"]["mops"]]
    vcpus = [row for row in plain if row["cell"]["mem"] == PLAIN["mem"]]
    memory = [row for row in plain if row["cell"]["cpus"] == PLAIN["cpus"]]
    yield by("Host instructions of a boot, by vCPUs", vcpus, "host", "cpus", "vCPUs", "instructions")
    if len({row["cell"]["mem"] for row in memory}) > 1:
        yield by("Host instructions of a boot, by guest memory", memory, "host", "mem", "guest memory (MiB)",
                 "instructions")
    yield by("Exits of a boot, by vCPUs", vcpus, "exits", "cpus", "vCPUs", "exits")
