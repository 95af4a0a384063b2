# SPDX-License-Identifier: GPL-2.0-only
"""The VMMs that are measured beside each other, as templates of their command lines.

A template ends with the option whose value is the guest kernel's command line: it is for the
script on the board to add. {disk} becomes the words of DISKS, or nothing, and the same place takes more words of a
suite's own.
"""

import os
import shlex

from harness import images
from harness.contract import Failed

COMMANDS = {
    "nidus": "nidus run --kernel {kernel} --initrd {initrd} --mem {mem} --cpus {cpus} --no-reboot"
             " --console {console} --kaslr-seed 1 {disk} --params",
    "qemu": "{qemu}/qemu-system-aarch64 -accel kvm -cpu host -M virt,gic-version=3 -m {mem}"
            " -smp {cpus} -nodefaults -no-user-config -display none -no-reboot -kernel {kernel}"
            " -initrd {initrd} -chardev stdio,id=console,signal=off -global virtio-mmio.force-legacy=off"
            " -device virtio-serial-device -device virtconsole,chardev=console {disk} -append",
    "lkvm": "{lkvm} run --kernel {kernel} --initrd {initrd} --mem {mem} --cpus {cpus}"
            " --console {console} --network mode=none {disk} --params",
}

DISKS = {
    "nidus": "--disk {image}{flags} --block-engine {engine}",
    "qemu": "-object iothread,id=iothread -device virtio-blk-pci,drive=disk,iothread=iothread"
            " -drive if=none,id=disk,file={image},format=raw,{flags}",
    "lkvm": "--disk {image}{flags}",
}


def available():
    """The names of the VMMs to be measured, nidus first."""
    return ["nidus", "qemu"] + (["lkvm"] if os.environ.get("LKVM") else [])


def lkvm():
    path = os.path.realpath(os.environ.get("LKVM", ""))
    if not os.path.isfile(path):
        raise Failed(f"LKVM={os.environ.get('LKVM', '')}: there is no such program")
    return path


def files(vmm):
    """What a VMM takes to the board."""
    brought = {"nidus": list, "qemu": lambda: [images.program("qemu")], "lkvm": lambda: [lkvm()]}
    return brought[vmm]()


def expand(template, values):
    return [word.format(**values) for word in shlex.split(template)]


def command(vmm, *, kernel, initrd, mem, cpus=1, console="virtio", disk=None, more=()):
    """Words of a command line; mem is in MiB. disk is a dict for DISKS, more are words that this VMM understands."""
    values = {"kernel": kernel, "initrd": initrd, "mem": mem, "cpus": cpus, "console": console}
    if vmm == "qemu":
        values["qemu"] = images.program("qemu")
    if vmm == "lkvm":
        values["lkvm"] = lkvm()
    before, _, after = COMMANDS[vmm].partition("{disk}")
    middle = (expand(DISKS[vmm], disk) if disk else []) + list(more)
    return expand(before, values) + middle + expand(after, values)
