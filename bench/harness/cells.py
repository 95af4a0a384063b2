# SPDX-License-Identifier: GPL-2.0-only
"""Cells: their names, their shares of a grid, and a directory of those that are finished."""

import hashlib
import json
import os


def name(cell):
    """A cell as people read it: the VMM, then its parameters in the suite's order."""
    return " ".join(
        [str(cell["vmm"])] + [f"{key}={show(value)}" for key, value in cell.items() if key != "vmm"]
    )


def show(value):
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def point(cell):
    """A cell's parameters, which those of its peers are equal to."""
    return tuple(sorted((key, str(value)) for key, value in cell.items() if key != "vmm"))


def identity(suite, cell):
    return suite, str(cell["vmm"]), point(cell)


def parse_shard(text):
    """"2/8" as (1, 8)."""
    number, _, count = text.partition("/")
    if not (number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise ValueError(f"--shard wants I/N with I from 1 to N, not '{text}'")
    return int(number) - 1, int(count)


def share(grid, shard):
    """A shard's part of [(suite, cell)]. What is compared stays together, so it is from one machine."""
    index, count = shard
    points = {}
    for suite, cell in grid:
        points.setdefault((suite, point(cell)), len(points))
    return [(suite, cell) for suite, cell in grid if points[suite, point(cell)] % count == index]


class Store:
    """Finished cells as files of a directory: one that is there is complete."""

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory, exist_ok=True)

    def _path(self, suite, cell):
        key = hashlib.sha256(repr(identity(suite, cell)).encode()).hexdigest()[:16]
        return os.path.join(self.directory, f"cell-{suite}-{key}.json")

    def _write(self, path, value):
        with open(path + ".part", "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
        os.replace(path + ".part", path)

    def begin(self, environment, resume):
        """Takes up what is there, or clears it away. Returns what keeps it from being taken up, or None."""
        path = os.path.join(self.directory, "environment.json")
        if resume and os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                kept = json.load(file)
            differing = [key for key in sorted({*kept, *environment})
                         if kept.get(key) != environment.get(key)]
            return differing or None
        for entry in os.listdir(self.directory):
            if entry.startswith("cell-"):
                os.remove(os.path.join(self.directory, entry))
        self._write(path, environment)
        return None

    def save(self, row):
        self._write(self._path(row["suite"], row["cell"]), row)

    def load(self, suite, cell):
        """The row of a cell that was measured; one that failed is to be tried again."""
        try:
            with open(self._path(suite, cell), encoding="utf-8") as file:
                row = json.load(file)
        except FileNotFoundError:
            return None
        return row if row["failed"] is None else None
