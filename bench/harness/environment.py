# SPDX-License-Identifier: GPL-2.0-only
"""What a result was measured with."""

import glob
import hashlib
import os
import platform
import re
import subprocess

from harness import board, images
from harness.contract import Failed


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def digest_measuring():
    """Of all that decides what is measured, so that a run is not taken up by another one."""
    names = [name for pattern in ("suites/*.py", "*.board", "*.c", "harness/peers.py")
             for name in glob.glob(os.path.join(board.TOP, "bench", pattern))]
    return hashlib.sha256("".join(digest(name) for name in sorted(names)).encode()).hexdigest()


def first_line(*command):
    """Of a program's output; None where it is missing or fails."""
    try:
        done = subprocess.run(command, cwd=board.TOP, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.partition("\n")[0]


def kernel_version(image):
    """The version that an uncompressed Image says of itself."""
    with open(image, "rb") as file:
        found = re.search(rb"Linux version (\S+)", file.read())
    return found.group(1).decode() if found else None


def machine_kernel(usual):
    """Of the machine that is measured, whose emulation has the kernel usual unless another one is chosen."""
    if not board.emulated():
        return platform.release()
    chosen = board.kernel()
    return f"{kernel_version(chosen)} ({digest(chosen)[:12]})" if chosen else kernel_version(usual)


def cpu_model():
    if board.emulated():
        return "emulated, max,lpa2=off"
    with open("/proc/cpuinfo", encoding="ascii") as file:
        lines = re.findall(r"^CPU (implementer|part)\s*: (\S+)", file.read(), re.M)
    return " ".join(f"{name} {value}" for name, value in sorted(set(lines)))


def compiler():
    cross = "" if platform.machine() == "aarch64" else "aarch64-linux-gnu-"
    return first_line(os.environ.get("CC", cross + "gcc"), "--version")


def read(vmms):
    """Everything that has to be equal for two results to be of one measurement."""
    if not os.path.exists(os.path.join(board.TOP, "build/nidus")):
        raise Failed("there is no build/nidus: make tests builds all that is measured")
    kernel = images.kernel()
    found = {
        "commit": first_line("git", "rev-parse", "HEAD"),
        "dirty": bool(first_line("git", "status", "--porcelain")),
        "nidus_sha256": digest(os.path.join(board.TOP, "build/nidus")),
        "bench_sha256": digest_measuring(),
        "compiler": compiler(),
        "kernel": kernel_version(kernel),
        "kernel_config_sha256": digest(os.path.join(os.path.dirname(kernel), ".config")),
        "initramfs_sha256": digest(images.initramfs()),
        "cpu": cpu_model(),
        "machine": "board" if board.emulated() else platform.node(),
        "machine_kernel": machine_kernel(kernel),
        "board_qemu": board_qemu() if board.emulated() else None,
    }
    if "qemu" in vmms:
        package = os.path.basename(images.program("qemu"))
        found["peer_qemu"] = f"{qemu_version(images.program('qemu'))} ({package})"
    if "lkvm" in vmms:
        found["peer_lkvm_sha256"] = digest(os.path.realpath(os.environ["LKVM"]))
    return found


def board_qemu():
    return first_line(f"{images.program('board')}/qemu-system-aarch64", "--version")


def qemu_version(directory):
    """The version that the program contains, for it runs on arm64 only."""
    path = os.path.join(directory, "libexec/qemu-system-aarch64")
    with open(path, "rb") as file:
        found = re.search(rb"\d+\.\d+\.\d+ \(Debian [^)]*\)", file.read())
    return found.group(0).decode() if found else digest(path)[:12]


# What decides whether two counts may be compared.
COMPARABLE = ("kernel", "kernel_config_sha256", "initramfs_sha256", "cpu", "machine_kernel", "board_qemu",
              "peer_qemu", "peer_lkvm_sha256")


def differences(old, new):
    return [f"{key}: {old.get(key)}, now {new.get(key)}" for key in COMPARABLE if old.get(key) != new.get(key)]
