# SPDX-License-Identifier: GPL-2.0-only
"""A disk on PCI."""

import tempfile

from harness import difference, exits, images, peers
from harness.charts import by
from harness.contract import Metric

TITLE = "A request to a disk"
ABOUT = ("Reads of random blocks of 4 KiB, writes to such blocks, and reads of 1 MiB one after the other, past the "
         "guest's page cache, each in two runs of different length, of which the difference counts. The disk is a file "
         "on tmpfs, on PCI; QEMU's has an iothread. With aio both VMMs use direct I/O. qcow2 is an image in that format, "
         "by the same qemu-storage-daemon for both; qcow2, own: by QEMU itself.")

METRICS = (
    Metric("host", "host", "instructions"),
    Metric("host_user", "host, user space", "instructions"),
    Metric("user_exits", "exits to user space", "exits", noise=0.01),
    Metric("user_exits_by", "exits to user space by reason", "exits", family=True),
)

IMAGE = "/dev/shm/bench-block.img"
# Requests of the shorter run, and of the longer one.
LENGTHS = {"read": (1000, 4000), "write": (1000, 4000), "stream": (64, 256)}
ENGINES = ("io_uring", "aio", "sync")
QEMU_AIO = {"io_uring": "cache.direct=off,aio=io_uring", "aio": "cache.direct=on,aio=native",
            "sync": "cache.direct=off,aio=threads"}


# In place of engines: an image that is not raw, and who knows its format.
DAEMON, OWN = "qcow2", "qcow2, own"
FORMATS = (DAEMON, OWN)


def vmms(engine):
    """lkvm has an engine, and no choice."""
    if engine in FORMATS:
        return ["nidus", "qemu"] if engine == DAEMON else ["qemu"]
    return [vmm for vmm in peers.available() if vmm != "lkvm" or engine == "aio"]


# Depths by engine and kind of request.
QUICK = {"read": dict.fromkeys((*ENGINES, *FORMATS), (1, 32)), "write": {"io_uring": (1, 32)}, "stream": {"io_uring": (1,)}}
FULL = {"read": dict.fromkeys((*ENGINES, *FORMATS), (1, 4, 32)), "write": dict.fromkeys(ENGINES, (1, 4, 32)),
        "stream": dict.fromkeys(ENGINES, (1, 4))}


def cells(full):
    return [{"vmm": vmm, "what": what, "engine": engine, "depth": depth}
            for what, engines in (FULL if full else QUICK).items()
            for engine, depths in engines.items() for depth in depths for vmm in vmms(engine)]


def disk(cell):
    """Of a cell, for peers.command()."""
    reads, direct = cell["what"] != "write", cell["engine"] == "aio"
    if cell["vmm"] == "qemu":
        flags = f"readonly={'on' if reads else 'off'},{QEMU_AIO[cell['engine']]}"
    else:
        flags = (",ro" if reads else "") + (",direct" if direct else "")
    return {"image": IMAGE, "engine": cell["engine"], "flags": flags}


def formatted(cell):
    """The same of an image in another format: words of the VMM's own. The script starts a daemon for $SOCKET."""
    if cell["vmm"] == "nidus":
        return ["--disk", f"{IMAGE},ro,format=qcow2"]
    if cell["engine"] == OWN:
        return ["-object", "iothread,id=iothread", "-device", "virtio-blk-pci,drive=disk,iothread=iothread",
                "-drive", f"if=none,id=disk,file={IMAGE},format=qcow2,readonly=on"]
    return ["-object", "memory-backend-memfd,id=ram,size=512M,share=on", "-machine", "memory-backend=ram",
            "-chardev", "socket,id=disk,path=$SOCKET", "-device", "vhost-user-blk-pci,chardev=disk"]


def run(cell, board):
    few, many = LENGTHS[cell["what"]]
    of_format = cell["engine"] in FORMATS
    environment = {"NIDUS_STORAGE": images.program("storage")} if of_format else {}
    with tempfile.TemporaryDirectory() as directory:
        ram_disk = images.with_programs(directory, "reader")
        command = peers.command(cell["vmm"], kernel=images.kernel(), initrd=ram_disk, mem=512,
                                disk=None if of_format else disk(cell), more=formatted(cell) if of_format else ())
        numbers = board.script("block.board", IMAGE, cell["what"], cell["depth"], few, many, *command,
                               files=["bench/lib.board", "build/programs/reader", images.kernel(), ram_disk,
                                      *environment.values(), *peers.files(cell["vmm"])], environment=environment,
                               timeout=900)
    return exits.by_name(difference.per_one(numbers, few, many))


def bars(rows):
    """Where nidus is not below QEMU, or leaves the guest for user space more than once in 100 reads."""
    host = {(row["cell"]["vmm"], row["cell"]["what"], row["cell"]["engine"], row["cell"]["depth"]): row["metrics"]
            for row in rows if row["failed"] is None}
    for (vmm, *point), metrics in host.items():
        if vmm != "nidus" or point[0] != "read":
            continue
        qemu = host.get(("qemu", *point))
        name = " ".join(map(str, point))
        if qemu and not 0 < metrics["host"] < qemu["host"]:
            yield f"{name}: the host takes {metrics['host']:.0f} instructions, and {qemu['host']:.0f} with QEMU"
        if metrics["user_exits"] > 0.01:
            yield f"{name}: {metrics['user_exits']:.4f} exits to user space"


def charts(rows):
    labelled = [{**row, "cell": {**row["cell"], "at": f"{row['cell']['engine']}, {row['cell']['depth']}"}}
                for row in rows]
    for what, title in (("read", "a random read of 4 KiB"), ("write", "a random write of 4 KiB"),
                        ("stream", "a read of 1 MiB in sequence")):
        yield by(f"Host instructions of {title}", [row for row in labelled if row["cell"]["what"] == what], "host",
                 "at", "engine, requests at a time", "instructions")
