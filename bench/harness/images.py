# SPDX-License-Identifier: GPL-2.0-only
"""What guests are made of, from guest-images/; made at the first use."""

import functools
import os
import subprocess

from harness import board
from harness.contract import Failed


@functools.lru_cache(maxsize=None)
def kernel(name="small"):
    return board.output("guest-images/kernel", name)


@functools.lru_cache(maxsize=None)
def initramfs():
    return board.output("guest-images/initramfs", "small")


def with_programs(directory, *names):
    """The path of an initial RAM disk with programs of build/programs; the kernel unpacks one archive after the other."""
    path = os.path.join(directory, "initrd")
    packed = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "--reproducible", "--owner=+0:+0"],
                            input="".join(f"{name}\n" for name in names).encode(),
                            cwd=os.path.join(board.TOP, "build/programs"), capture_output=True, check=False)
    if packed.returncode != 0:
        raise Failed(f"cpio: {packed.stderr.decode().strip()}")
    with open(initramfs(), "rb") as base, open(path, "wb") as file:
        file.write(base.read() + packed.stdout)
    return path


@functools.lru_cache(maxsize=None)
def program(name):
    """The directory of an arm64 program of Debian's."""
    return board.output("guest-images/program", name)


@functools.lru_cache(maxsize=None)
def rootfs():
    """The image of a root file system with a toolchain."""
    return board.output("guest-images/rootfs")


@functools.lru_cache(maxsize=None)
def kbuild(config):
    """An archive of a build directory of the Linux tree in that; config is tinyconfig, defconfig and so on."""
    return board.output("guest-images/kbuild", config)
