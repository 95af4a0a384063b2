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


def _packed(directory, names):
    """An archive of files below a directory."""
    packed = subprocess.run(["cpio", "--quiet", "-oL", "-H", "newc", "--reproducible", "--owner=+0:+0"],
                            input="".join(f"{name}\n" for name in names).encode(), cwd=directory, capture_output=True,
                            check=False)
    if packed.returncode != 0:
        raise Failed(f"cpio: {packed.stderr.decode().strip()}")
    return packed.stdout


def _appended(directory, archive):
    """The path of an initial RAM disk with more in it; the kernel unpacks one archive after the other."""
    path = os.path.join(directory, "initrd")
    with open(initramfs(), "rb") as base, open(path, "wb") as file:
        file.write(base.read() + archive)
    return path


def with_programs(directory, *names):
    """An initial RAM disk with programs of build/programs."""
    return _appended(directory, _packed(os.path.join(board.TOP, "build/programs"), names))


def with_files(directory, files):
    """The same with files and directories of the host, by their names there."""
    tree = os.path.join(directory, "tree")
    os.mkdir(tree)
    for name, source in files.items():
        os.symlink(os.path.realpath(source), os.path.join(tree, name))
    names = [os.path.relpath(os.path.join(path, name), tree) for path, directories, found in
             os.walk(tree, followlinks=True) for name in directories + found]
    return _appended(directory, _packed(tree, names))


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
