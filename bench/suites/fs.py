# SPDX-License-Identifier: GPL-2.0-only
"""A directory of the host, by virtiofsd."""

import tempfile

from harness import board as machine, difference, exits, images, peers
from harness.charts import by
from harness.contract import Metric

TITLE = "A request to a directory of the host"
ABOUT = ("statx(2) that does not take what is remembered for an answer; open, read and close of a file of 4 KiB; a MiB "
         "read, and a MiB written, of a large file (bench/fs.c), each in two runs of different length, of which the "
         "difference counts. Both VMMs have the same virtiofsd with the same options; its instructions are counted.")

METRICS = (
    Metric("host", "host", "instructions"),
    Metric("host_user", "host, user space", "instructions"),
    Metric("user_exits", "exits to user space", "exits", noise=0.01),
    Metric("user_exits_by", "exits to user space by reason", "exits", family=True),
)

# How often in the shorter run.
OPERATIONS = {"stat": 1000, "open": 1000, "read": 16, "write": 16}
NAMES = {"stat": "statx", "open": "open, read, close", "read": "a MiB read", "write": "a MiB written"}

# As nidus starts it, but for the socket and the directory.
OPTIONS = "--log-level=warn --cache=auto --xattr --thread-pool-size=0 --sandbox=namespace"
COMMANDS = {
    "nidus": ["--fs", "bench=$DIRECTORY"],
    "qemu": ["-object", "memory-backend-memfd,id=ram,size=512M,share=on", "-machine", "memory-backend=ram",
             "-chardev", "socket,id=fs,path=$SOCKET", "-device", "vhost-user-fs-pci,chardev=fs,tag=bench"],
}


def cells(_full):
    return [{"vmm": vmm, "what": what} for what in OPERATIONS for vmm in COMMANDS]


def run(cell, board):
    few = OPERATIONS[cell["what"]]
    many = 4 * few
    kernel = images.kernel("net")
    with tempfile.TemporaryDirectory() as directory:
        initrd = images.with_programs(directory, "fs")
        command = peers.command(cell["vmm"], kernel=kernel, initrd=initrd, mem=512, more=COMMANDS[cell["vmm"]])
        numbers = board.script("fs.board", cell["what"], few, many, *command,
                               files=["bench/lib.board", "build/programs/reader", kernel, initrd,
                                      images.program("virtiofsd"), *peers.files(cell["vmm"])],
                               environment={"NIDUS_VIRTIOFSD": images.program("virtiofsd"),
                                            "NIDUS_VIRTIOFSD_OPTIONS": OPTIONS},
                               options=["--kernel", kernel] if machine.emulated() else [], timeout=1800)
    return exits.by_name(difference.per_one(numbers, few, many))


def bars(rows):
    """Where nidus leaves the guest for user space, or is above QEMU."""
    measured = {(row["cell"]["vmm"], row["cell"]["what"]): row["metrics"] for row in rows if row["failed"] is None}
    for (vmm, what), mine in measured.items():
        if vmm != "nidus":
            continue
        theirs = measured.get(("qemu", what))
        if mine["user_exits"] > 0.01:
            yield f"{what}: {mine['user_exits']:.4f} exits to user space"
        if theirs and mine["host"] > theirs["host"]:
            yield f"{what}: the host takes {mine['host']:.0f} instructions, and {theirs['host']:.0f} with QEMU"


def charts(rows):
    labelled = [{**row, "cell": {**row["cell"], "what": NAMES[row["cell"]["what"]]}} for row in rows]
    yield by("Host instructions of a request to a directory", labelled, "host", "what", "what", "instructions")
