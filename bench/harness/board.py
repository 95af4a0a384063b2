# SPDX-License-Identifier: GPL-2.0-only
"""Runs on the board, or on this machine where it is arm64 with KVM (tests/board/run decides)."""

import functools
import os
import platform
import shlex
import subprocess
import sys
import threading

from harness.contract import Failed

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def emulated():
    """Whether runs go to an emulated board, which alone has --icount and a choice of MOPS."""
    return not (platform.machine() == "aarch64" and os.access("/dev/kvm", os.R_OK | os.W_OK))


# The board's own kernel, where it is not that of tests/board/run.
_KERNEL = None


def set_kernel(path):
    """Chooses the board's kernel for all runs; ValueError where that cannot be. None changes nothing."""
    global _KERNEL
    if path is None:
        return
    if not emulated():
        raise ValueError("--host-kernel is for the emulated board; this machine has a kernel")
    if not os.path.isfile(path):
        raise ValueError(f"--host-kernel: there is no file {path}")
    _KERNEL = os.path.realpath(path)


def kernel():
    """The path that set_kernel() was given, or None."""
    return _KERNEL


@functools.lru_cache(maxsize=None)
def traps_tlbi():
    """Whether KVM there has --trap-tlbi. The small kernel has not; it takes one with patches (kernel/)."""
    if emulated() and not _KERNEL:
        return False
    payload = "build/guest/off.bin"
    command = ["tests/board/run", "--file", payload, *(["--kernel", _KERNEL] if _KERNEL else []), "--",
               "nidus", "run", "--kernel", payload, "--mem", "64M", "--trap-tlbi", "all"]
    return subprocess.run(command, cwd=TOP, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def output(*command):
    """What a program of the tree prints, a path for example."""
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{shlex.join(command)}: {last_words(done.stderr)}")
    return done.stdout.strip()


def last_words(text, lines=12):
    return "\n".join(text.strip().splitlines()[-lines:]) or "no message"


def parse(text):
    """Lines "NAME NUMBER" as a dict; anything else is a mistake of the script's."""
    numbers = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        try:
            numbers[name] = float(value) if "." in value else int(value)
        except ValueError:
            raise Failed(f"not a name and a number: '{line}'") from None
    return numbers


def tell(line):
    """Shows a line of a script's stderr that is for those who wait; returns it."""
    if line.startswith("progress: "):
        print(line.removeprefix("progress: "), end="", file=sys.stderr, flush=True)
    return line


def complete(command, environment):
    """Runs a command to its end. Should we be stopped, so is it, with a chance to clean up."""
    with subprocess.Popen(command, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, errors="replace", env=environment) as process:
        out = []
        reader = threading.Thread(target=lambda: out.append(process.stdout.read()))
        reader.start()
        try:
            err = [tell(line) for line in process.stderr]
            reader.join()
        except BaseException:
            process.terminate()
            raise
    return process.returncode, out[0], "".join(err)


class Board:
    """What one cell runs. Keeps the command lines, for the report."""

    def __init__(self):
        self.commands = []

    def script(self, script, *arguments, files=(), environment=None, mops=False, mem="4G",
               timeout=600, options=()):
        """Runs sh bench/SCRIPT ARGUMENTS there; returns the names and numbers that it prints.

        files come along, and of the environment what begins with NIDUS_. Counts are of CPU 0 (build/board/icnt), so elsewhere than on the board,
        which has no other, the whole is kept on it.
        """
        return parse(self.text(script, *arguments, files=files, environment=environment, mops=mops, mem=mem,
                               timeout=timeout, options=options))

    @staticmethod
    def parse(text):
        return parse(text)

    def text(self, script, *arguments, files=(), environment=None, mops=False, mem="4G", timeout=600,
             options=()):
        """The same, but returns what it prints. options are more of tests/board/run's."""
        path = os.path.join("bench", script)
        options = ["--timeout", str(timeout), *options]
        prefix = []
        if emulated():
            options += ["--icount", "--mem", mem] + (["--mops"] if mops else [])
            options += ["--kernel", _KERNEL] if _KERNEL else []
        else:
            prefix = ["taskset", "-c", "0"]
        for file in [path, *files]:
            options += ["--file", file]
        command = ["tests/board/run", *options, "--", *prefix, "sh", path, *map(str, arguments)]
        named = [f"{name}={value}" for name, value in (environment or {}).items()]
        self.commands.append(shlex.join(named + command))
        status, out, err = complete(command, {**os.environ, **(environment or {})})
        if status != 0:
            raise Failed(f"{path} ended with status {status}: {last_words(err or out)}")
        return out
