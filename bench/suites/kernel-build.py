# SPDX-License-Identifier: GPL-2.0-only
"""A part of Linux built natively, in a guest and in a guest's guest."""

import itertools
import statistics

from harness import board as machine, exits, images, peers
from harness.charts import by
from harness.contract import Metric, count, word

TITLE = "A build of Linux"
ABOUT = ("Debian's gcc and make build objects of Linux on a root file system that is read-only, in a build "
         "directory in memory that has been prepared: on the host itself (level 0), in a guest of 1 GiB with the root "
         "file system as its virtio disk (level 1), and in the guest of a guest (level 2), with the host's page cache "
         "warm; in a guest also with the root file system as a directory that virtiofsd serves. Where KVM can trap the TLBIs of a guest (tlbi), it is with each policy. Instructions are those of the build, without the start and the end of guests: of a run with, less one "
         "without. Exits are those of a whole run.")

METRICS = (
    Metric("host", "host", "instructions"),
    Metric("host_user", "host, user space", "instructions"),
    Metric("guest", "guests", "instructions"),
    Metric("all", "all", "instructions"),
    Metric("spread", "all: spread over runs", "instructions"),
    Metric("seconds", "build", "s"),
    Metric("seconds_spread", "build: spread over runs", "s"),
    Metric("start", "start and end: all", "instructions"),
    Metric("exits", "exits", "exits"),
    Metric("user_exits", "to user space", "exits"),
    Metric("tlbi", "TLBI that trap", "exits"),
    Metric("level_exits", "exits to user space of each level", "exits", family=True),
    Metric("exits_by", "exits at the bottom by exception class", "exits", family=True),
    Metric("user_exits_by", "exits to user space at the bottom by reason", "exits", family=True),
)

WAYS = {0: "native", 1: "guest", 2: "nested"}

# As the kernel's make calls them.
CHOICES = {"config": word, "target": word, "runs": count}

QEMU = ("-accel kvm -cpu host -M virt,gic-version=3 -m 1024 -nodefaults -no-user-config -display none -no-reboot"
        " -chardev stdio,id=console,signal=off -device virtio-serial-device -device virtconsole,chardev=console"
        " -global virtio-mmio.force-legacy=off")


def builds(full, chosen):
    """Configuration, target and runs of each build: what is chosen, or else what tells most."""
    if chosen:
        return itertools.product(chosen.get("config", ["tinyconfig"]), chosen.get("target", ["lib/math/"]),
                                 chosen.get("runs", [2]))
    found = [("tinyconfig", "lib/math/", 2)] + ([("tinyconfig", "kernel/time/", 3)] if full else [])
    return found + ([("defconfig", "vmlinux", 3)] if full and not machine.emulated() else [])


def cells(full, chosen):
    vmms = {0: ["none"], 1: [vmm for vmm in peers.available() if vmm != "lkvm"], 2: ["nidus"]}
    ways = [(level, vmm, "off", "small", "disk") for level in WAYS for vmm in vmms[level]]
    # virtiofs takes another kernel, of the guest's and of the board's.
    ways += [(1, "nidus", "off", "net", root) for root in ("disk", "directory")]
    if machine.traps_tlbi():
        ways += [(1, "nidus", policy, "small", "disk") for policy in ("all", "precise")]
    return [{"vmm": vmm, "level": level, "kernel": kernel, "root": root, "tlbi": policy, "config": config,
             "target": target, "runs": runs}
            for config, target, runs in builds(full, chosen) for level, vmm, policy, kernel, root in ways]


def command(vmm, kernel, archive, policy, root):
    """Up to the guest kernel's command line; $NIDUS_DISK, $NIDUS_ROOT and $NIDUS_STATS are for the script to fill in."""
    if vmm == "qemu":
        return [f"{images.program('qemu')}/qemu-system-aarch64", *QEMU.split(), "-kernel", kernel,
                *(word for number, file in enumerate(("$NIDUS_DISK", archive)) for word in
                  ("-object", f"iothread,id=thread{number}",
                   "-drive", f"if=none,id=disk{number},file={file},format=raw,readonly=on,aio=io_uring",
                   "-device", f"virtio-blk-pci,drive=disk{number},iothread=thread{number}")), "-append"]
    return ["nidus", "run", "--kernel", kernel, "--mem", "1G", "--console", "virtio", "--no-reboot",
            "--kaslr-seed", "1", *(("--disk", "$NIDUS_DISK,ro") if root == "disk" else ("--root", "$NIDUS_ROOT")),
            "--disk", f"{archive},ro",
            *(["--trap-tlbi", policy, "--stats", "$NIDUS_STATS"] if policy != "off" else []), "--params"]


def run(cell, board):
    kernel, archive, vmm = images.kernel(cell["kernel"]), images.kbuild(cell["config"]), cell["vmm"]
    words = command(vmm, kernel, archive, cell["tlbi"], cell["root"]) if cell["level"] == 1 else ()
    files = ["bench/lib.board", "guest-images/chroot.sh", kernel, archive,
             *(peers.files(vmm) if vmm != "none" else ())]
    options, environment = ["--disk", images.rootfs()], {}
    if cell["kernel"] != "small" and machine.emulated():
        options += ["--kernel", kernel]
    if cell["root"] == "directory":
        environment["NIDUS_VIRTIOFSD"] = images.program("virtiofsd")
        files.append(images.program("virtiofsd"))
    numbers = board.script("kernel-build.board", WAYS[cell["level"]], kernel, archive, cell["runs"], cell["target"],
                           *words, files=files, environment=environment, mem="5G", timeout=3600, options=options)
    return figures(numbers)


def figures(numbers):
    """Of what the script prints: the runs NAME.1, NAME.2 and so on, empty.NAME, and what is final already."""
    runs, empty, rest = {}, {}, {}
    for key, value in numbers.items():
        name, _, which = key.partition(".")
        if name == "empty":
            empty[which] = value
        elif name in ("all", "host", "host_user", "guest", "seconds"):
            runs.setdefault(name, []).append(value)
        else:
            rest[key] = value
    levels = {key: rest.pop(key) for key in list(rest) if key.startswith("level_exits.")}
    built = {name: round(statistics.mean(runs[name]) - empty[name]) for name in empty}
    return {**built, "spread": max(runs["all"]) - min(runs["all"]), "start": empty["all"],
            "seconds": round(statistics.mean(runs["seconds"]), 3),
            "seconds_spread": round(max(runs["seconds"]) - min(runs["seconds"]), 3),
            **exits.by_name(rest), **levels}


def charts(rows):
    mine = [row for row in rows if row["cell"]["vmm"] != "qemu"]
    disks = [row for row in mine if row["cell"].get("kernel", "small") == "small"]
    plain = [row for row in disks if row["cell"].get("tlbi", "off") == "off"]
    trapped = [row for row in disks if row["cell"]["level"] == 1]
    yield by("Instructions of a build, by level", plain, "all", "level", "level", "instructions", series="target")
    yield by("Time of a build, by level", plain, "seconds", "level", "level", "s", series="target")
    if len(trapped) > len({row["cell"]["target"] for row in trapped}):
        yield by("Instructions of a build in a guest, by what traps of its TLBIs", trapped, "all", "tlbi", "--trap-tlbi",
                 "instructions", series="target")
