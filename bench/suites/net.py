# SPDX-License-Identifier: GPL-2.0-only
"""A network on PCI."""

import json

from harness import board as machine, difference, exits, images, peers
from harness.charts import by
from harness.contract import Failed, Metric

TITLE = "A packet, a MiB and a request"
ABOUT = ("Datagrams of UDP whose frames have 64 bytes or whose IP packets have 1500, from the guest (out) and to it (in), "
         "a stream of TCP, counted by MiB, and requests of 64 bytes by TCP with their answers, between a guest and a "
         "program on the host (bench/net.c), each in two runs of different length, of which the difference counts. On level 2 "
         "the guest is inside another (nidus nest). What the program on the host takes in user space is not "
         "counted there; its system calls are, with every VMM the same.")

METRICS = (
    Metric("host", "host", "instructions"),
    Metric("host_user", "host, user space", "instructions", noise=10),
    Metric("guest", "guests", "instructions"),
    Metric("exits", "exits", "exits", noise=0.01),
    Metric("user_exits", "to user space", "exits", noise=0.01),
    Metric("interrupts", "interrupts of the guest's device", "interrupts", noise=0.01),
    Metric("level_exits", "exits to user space of each level", "exits", family=True),
    Metric("exits_by", "exits by exception class", "exits", family=True),
    Metric("user_exits_by", "exits to user space by reason", "exits", family=True),
)

# What bench/net.c calls it, bytes at a time, and how many on level 1 and 2 in the shorter run.
OPERATIONS = {
    "udp_64_out": ("udp-out", 22, 2048, 512),
    "udp_64_in": ("udp-in", 22, 2048, 512),
    "udp_1500_out": ("udp-out", 1472, 2048, 512),
    "udp_1500_in": ("udp-in", 1472, 2048, 512),
    "stream_out": ("tcp-out", 65536, 16, 2),
    "stream_in": ("tcp-in", 65536, 16, 2),
    "rr": ("tcp-rr", 64, 512, 128),
}
DATAGRAMS = tuple(name for name in OPERATIONS if name.startswith("udp"))
STREAMS = ("stream_out", "stream_in")

# Addresses by the kind of link: the guest's, with the length of its network, and by which it reaches the host.
TAP = ("192.168.77.2/24", "192.168.77.1")
PASST = ("10.77.0.1/24", "10.77.0.254")
ADDRESSES = {"tap": TAP, "vhost-net": TAP, "passt": PASST, "passt-stream": PASST, "slirp": ("10.0.2.15/24", "10.0.2.2")}

NIDUS = {
    "tap": "mode=tap,tapif=tap0,vhost=0",
    "vhost-net": "mode=tap,tapif=tap0,vhost=1",
    "passt": f"mode=user,guest_ip={PASST[0].partition('/')[0]},host_ip={PASST[1]}",
    "passt-stream": f"mode=user,guest_ip={PASST[0].partition('/')[0]},host_ip={PASST[1]},vhost=0",
}
# In a nest the tap of level 0 has its addresses from the command line, as have those of the levels.
NEST = {**NIDUS, "tap": f"mode=tap,host_ip={TAP[1]},guest_ip={TAP[0].partition('/')[0]},vhost=0",
        "vhost-net": f"mode=tap,host_ip={TAP[1]},guest_ip={TAP[0].partition('/')[0]},vhost=1"}
QEMU = {
    "tap": "-netdev tap,id=net,ifname=tap0,script=no,downscript=no,vhost=off",
    "vhost-net": "-netdev tap,id=net,ifname=tap0,script=no,downscript=no,vhost=on",
    "passt": "-object memory-backend-memfd,id=ram,size=512M,share=on -machine memory-backend=ram"
             " -netdev passt,id=net,path={passt}/passt,vhost-user=on",
    "passt-stream": "-netdev passt,id=net,path={passt}/passt,vhost-user=off",
    "slirp": "-netdev user,id=net",
}
LINKS = {"nidus": tuple(NIDUS), "qemu": tuple(QEMU)}
# Where no packet passes through the VMM.
ASIDE = ("vhost-net", "passt")

# Of docs/benchmarks.md: exits at the bottom of a kick on level 2.
KICK = 19.1


def cells(full):
    levels = {1: tuple(OPERATIONS), 2: tuple(OPERATIONS) if full else ("udp_1500_out", "udp_1500_in", "rr")}
    found = []
    for level, operations in levels.items():
        for link in ADDRESSES:
            vmms = [vmm for vmm in LINKS if link in LINKS[vmm] and (level == 1 or vmm == "nidus")]
            found += [{"vmm": vmm, "level": level, "link": link, "what": what}
                      for what in operations for vmm in vmms]
    return found


def words(cell):
    """What a VMM on level 1 takes for its network."""
    if cell["vmm"] == "nidus":
        return ["-n", NIDUS[cell["link"]]]
    return [*peers.expand(QEMU[cell["link"]], {"passt": images.program("passt")}),
            "-device", "virtio-net-pci,netdev=net,romfile="]


def command(cell):
    """Up to what comes last: of a nest, the command that runs inside; of others, the guest kernel's command line."""
    kernel = images.kernel("net")
    if cell["level"] == 2:
        return ["nidus", "nest", "--kernel", kernel, "--depth", "2", "--time-limit", "7200",
                "--network", NEST[cell["link"]]]
    # The script makes the initial RAM disk.
    return peers.command(cell["vmm"], kernel=kernel, initrd="$INITRD", mem=512, more=words(cell))


def run(cell, board):
    what, size, *lengths = OPERATIONS[cell["what"]]
    few = lengths[cell["level"] - 1]
    many = 4 * few
    text = board.text("net.board", cell["level"], what, size, few, many, *ADDRESSES[cell["link"]], *command(cell),
                      files=["bench/lib.board", "tests/net.sh", "build/programs/net", images.kernel("net"),
                             images.initramfs(), images.program("passt"), *peers.files(cell["vmm"])],
                      environment={"NIDUS_INITRD": images.initramfs(), "NIDUS_PASST": images.program("passt")},
                      options=["--kernel", images.kernel("net")] if machine.emulated() else [],
                      mem="5G", timeout=3600)
    numbers, *nests = text.split("\n---\n")
    return figures({**machine.parse(numbers), **levels(nests)}, few, many)


def levels(nests):
    """few.level_exits.LEVEL and many.level_exits.LEVEL of what nidus nest says in JSON."""
    found = {}
    for name, nest in zip(("few", "many"), nests):
        for level in json.loads(nest)["levels"]:
            if not level["good"]:
                raise Failed(f"level {level['level']} did not end well")
            found[f"{name}.level_exits.{level['level']}"] = level["ended"]["stats"]["exits"]["total"]
    return found


def figures(numbers, few, many):
    """Of one packet, MiB or request. The program on the host has told its own instructions."""
    one = difference.per_one(numbers, few, many)
    one["host_user"] -= one.pop("own")
    inner = {key: one.pop(key) for key in list(one) if key.startswith("level_exits.")}
    return {**exits.by_name(one), **inner}


def bars(rows):
    """Where nidus leaves the guest for user space, or the bottom too often, and where it is not below QEMU."""
    measured = {(cell["vmm"], cell["level"], cell["link"], cell["what"]): row["metrics"]
                for row in rows if row["failed"] is None for cell in [row["cell"]]}
    for (vmm, level, link, what), mine in measured.items():
        if vmm != "nidus":
            continue
        name = f"level {level}, {link}, {what}"
        yield from own_bars(name, level, link, what, mine)
        theirs = measured.get(("qemu", level, link, what))
        if theirs:
            yield from peer_bars(name, link, what, mine, theirs)


def own_bars(name, level, link, what, mine):
    if what in STREAMS:
        return
    to_user = [mine["user_exits"], *(value for key, value in mine.items() if key.startswith("level_exits."))]
    if link in ASIDE and max(to_user) > 0.01:
        yield f"{name}: {max(to_user):.4f} exits to user space"
    if level == 2 and what in DATAGRAMS and mine["exits"] > KICK / 2:
        yield f"{name}: {mine['exits']:.1f} exits at the bottom, more than half of a kick's"


def peer_bars(name, link, what, mine, theirs):
    limit = 0.5 if link == "tap" and what == "rr" else 1
    if what in (*STREAMS, "rr") and mine["host"] > limit * theirs["host"]:
        yield f"{name}: the host takes {mine['host']:.0f} instructions, and {theirs['host']:.0f} with QEMU"
    if what in STREAMS and link == "tap" and mine["host_user"] > theirs["host_user"] / 10:
        yield f"{name}: user space takes {mine['host_user']:.0f} instructions, and {theirs['host_user']:.0f} with QEMU"


def charts(rows):
    labelled = [{**row, "cell": {**row["cell"], "by": f"{row['cell']['vmm']}, {row['cell']['link']}"}} for row in rows]
    for level in (1, 2):
        mine = [row for row in labelled if row["cell"]["level"] == level]
        for names, title in ((DATAGRAMS, "a datagram"), (STREAMS, "a MiB of a stream"), (("rr",), "a request")):
            yield by(f"Host instructions of {title}, level {level}", [row for row in mine if row["cell"]["what"] in names],
                     "host", "what", "what", "instructions", series="by")
