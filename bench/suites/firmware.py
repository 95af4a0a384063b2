# SPDX-License-Identifier: GPL-2.0-only
"""Firmware, and hypervisors that are not ours: what starts, at which exception level, and at what cost."""

import os
import shlex
import tempfile

from harness import board as machine, exits, images
from harness.charts import by
from harness.contract import Metric

TITLE = "Firmware and hypervisors of others"
ABOUT = ("From the start of the VMM until what was started has come so far as its row says and has ended the machine. "
         "UEFI and U-Boot are Debian's, the menu is GRUB's on a disk by virtio on PCI, Linux is Debian's kernel. EL: "
         "where the guest is entered; VHE and E2H0 are the two kinds of EL2 that KVM has for guests.")

METRICS = (
    Metric("host", "host", "instructions"),
    Metric("host_user", "host, user space", "instructions"),
    Metric("guest", "guest", "instructions"),
    Metric("exits", "exits", "exits"),
    Metric("user_exits", "to user space", "exits"),
    Metric("exits_by", "exits by exception class", "exits", family=True),
    Metric("user_exits_by", "exits to user space by reason", "exits", family=True),
)

# What is started: words for each VMM, what is typed, what has to be heard, and what it takes along.
UEFI = {"nidus": "--firmware {aavmf}/AAVMF_CODE.fd,vars=$VARS --disk $DISK",
        "qemu": "-drive if=pflash,format=raw,readonly=on,file={aavmf}/AAVMF_CODE.fd"
                " -drive if=pflash,format=raw,file=$VARS -device virtio-blk-pci,drive=disk"
                " -drive if=none,id=disk,file=$DISK,format=raw"}
U_BOOT = {"nidus": "--firmware {uboot} --nodefaults", "qemu": "-bios {uboot}"}
XEN = ("--kernel {xen} --params 'console=dtuart dom0_mem=512M' --module '{kernel},kernel,args=console=hvc0 quiet'"
       " --module {initrd},ramdisk")
LINUX = "--kernel {kernel} --initrd {initrd} --params 'console=ttyAMA0 {params}'"
STARTS = {
    "UEFI, to the menu": (UEFI, "", "The end", "menu"),
    "U-Boot, to its prompt": (U_BOOT, r"\rpoweroff\r", "=> poweroff", None),
    "U-Boot as a kernel": ({"nidus": "--kernel {uboot} --flash $VARS"}, r"\rpoweroff\r", "=> poweroff", None),
    "U-Boot, to the menu by UEFI": ({"nidus": "--firmware {uboot} --disk $DISK"}, "", "The end", "menu"),
    "Xen, to its first domain": ({"nidus": XEN}, "", "Hardware Dom0 halted", None),
    "Linux, KVM with VHE": ({"nidus": LINUX}, "", "nidus guest: up", None),
    "Linux, KVM without VHE": ({"nidus": LINUX.replace("{params}", "kvm-arm.mode=nvhe")}, "", "nidus guest: up", None),
    "Linux, protected KVM": ({"nidus": LINUX.replace("{params}", "kvm-arm.mode=protected loglevel=7")}, "",
                             "Protected .*mode initialized", None),
}
# VMMs in the guests of others. What is in their guest is told by its memory.
OUTER = {"nidus": "--kernel {small} --initrd {outer} --params 'console=ttyAMA0 quiet -- sh /inner'",
         "qemu": "-kernel {small} -initrd {outer} -append 'console=ttyAMA0 quiet -- sh /inner'"}
INNER = {
    "nidus in its guest, to Linux": "/nidus run --kernel /kernel --initrd /initrd --mem 200M"
                                    " --params 'console=ttyAMA0 quiet'",
    "QEMU in its guest, to Linux": "/qemu/qemu-system-aarch64 -accel kvm -cpu host -M virt,gic-version=3 -m 200"
                                   " -nodefaults -no-user-config -display none -serial stdio -kernel /kernel"
                                   " -initrd /initrd -append 'console=ttyAMA0 quiet'",
}
STARTS.update({start: (OUTER, "", "up, 1 CPUs, 1[0-9][0-9] MiB", None) for start in INNER})

LEVELS = {"EL1": {"nidus": "", "qemu": ""}, "EL2, VHE": {"nidus": "--nested", "qemu": ",virtualization=on"},
          "EL2, E2H0": {"nidus": "--nested --e2h0", "qemu": None}}

VMMS = {
    "nidus": "nidus run --mem 1024 --no-reboot {level} {what}",
    "qemu": "{qemu}/qemu-system-aarch64 -accel kvm -cpu host -M virt,gic-version=3{level} -m 1024 -nodefaults"
            " -no-user-config -display none -no-reboot -chardev stdio,id=console,signal=off -serial chardev:console"
            " {what}",
}


def cells(full):
    """The first row alone, or all; without VHE there is nothing to be seen of what needs it, and the reverse."""
    grid = [("UEFI, to the menu", "EL1"), ("U-Boot, to its prompt", "EL1")]
    if full:
        grid += [("UEFI, to the menu", "EL2, VHE"), ("UEFI, to the menu", "EL2, E2H0"),
                 ("U-Boot, to its prompt", "EL2, VHE"), ("U-Boot, to its prompt", "EL2, E2H0"),
                 ("U-Boot as a kernel", "EL1"), ("U-Boot, to the menu by UEFI", "EL1"),
                 ("Xen, to its first domain", "EL2, E2H0"),
                 ("Linux, KVM with VHE", "EL2, VHE"), ("Linux, KVM without VHE", "EL2, E2H0"),
                 ("Linux, protected KVM", "EL2, E2H0")] + [(start, "EL2, VHE") for start in INNER]
    return [{"start": start, "level": level, "vmm": vmm} for start, level in grid for vmm in STARTS[start][0]
            if LEVELS[level][vmm] is not None]


def outer(directory, start):
    """An initial RAM disk with a VMM, and with what that is to start."""
    script = os.path.join(directory, "inner")
    with open(script, "w", encoding="utf-8") as file:
        file.write(f"{INNER[start]} </dev/null\n")
    files = {"inner": script, "kernel": images.kernel(), "initrd": images.initramfs()}
    if start.startswith("QEMU"):
        return images.with_files(directory, {**files, "qemu": images.program("qemu")})
    return images.with_files(directory, {**files, "nidus": os.path.join(machine.TOP, "build/nidus")})


def run(cell, board):
    with tempfile.TemporaryDirectory() as directory:
        return measure(cell, board, directory)


def measure(cell, board, directory):
    commands, typed, heard, disk = STARTS[cell["start"]]
    vmm, files = cell["vmm"], ["bench/lib.board"]
    what = commands[vmm]
    values = {"aavmf": lambda: machine.output("guest-images/firmware", "aavmf"),
              "uboot": lambda: machine.output("guest-images/firmware", "uboot"),
              "xen": lambda: machine.output("guest-images/firmware", "xen"),
              "kernel": lambda: images.kernel("debian"), "small": images.kernel,
              "initrd": lambda: machine.output("guest-images/initramfs", "debian"),
              "outer": lambda: outer(directory, cell["start"]), "qemu": lambda: images.program("qemu")}
    values = {name: value() for name, value in values.items() if f"{{{name}}}" in what or name == vmm}
    files += values.values()
    environment = {"NIDUS_AAVMF": values["aavmf"]} if "aavmf" in values else {}
    command = shlex.split(VMMS[vmm].replace("{what}", what).format(params="", level=LEVELS[cell["level"]][vmm], **values))
    options = ["--disk", machine.output("guest-images/disk", disk)] if disk else []
    return exits.by_name(board.script("firmware.board", typed, heard, *command, files=files, environment=environment,
                                      options=options, timeout=1800))


def bars(rows):
    """Where firmware takes the host more than half of what it takes with QEMU."""
    measured = {(row["cell"]["vmm"], row["cell"]["start"], row["cell"]["level"]): row["metrics"]
                for row in rows if row["failed"] is None}
    for (vmm, start, level), mine in measured.items():
        theirs = measured.get(("qemu", start, level))
        if vmm == "nidus" and theirs and mine["host"] * 2 > theirs["host"]:
            yield f"{start}, {level}: the host takes {mine['host']:.0f} instructions, and {theirs['host']:.0f} with QEMU"


def charts(rows):
    uefi = [row for row in rows if row["cell"]["level"] == "EL1" and row["cell"]["start"] in list(STARTS)[:2]]
    yield by("Exits to user space of firmware", uefi, "user_exits", "start", "what", "exits")
