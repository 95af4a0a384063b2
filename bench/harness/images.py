# SPDX-License-Identifier: GPL-2.0-only
"""What guests are made of, from guest-images/; made at the first use."""

import functools

from harness import board


@functools.lru_cache(maxsize=None)
def kernel(name="small"):
    return board.output("guest-images/kernel", name)


@functools.lru_cache(maxsize=None)
def initramfs():
    return board.output("guest-images/initramfs", "small")


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
