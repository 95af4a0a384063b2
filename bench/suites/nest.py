# SPDX-License-Identifier: GPL-2.0-only
"""Guests inside each other."""

import json

from harness import exits, images
from harness.charts import by
from harness.contract import Chart, Failed, Metric

TITLE = "A nest"
ABOUT = ("Guests inside each other (nidus nest): the small kernel at every level, one vCPU, virtio consoles, quiet, each "
         "level booted to its init and powered off, with a warm page cache. Exits by exception class are those that "
         "the host's KVM takes, of all levels: an exit of an inner guest arrives there as many. Exits by reason are "
         "those to user space, as the nidus beneath that level counted them.")

# Memory of the levels, from the outermost.
DEPTHS = {1: ["256M"], 2: ["1G", "256M"], 3: ["2G", "768M", "256M"]}

METRICS = (
    Metric("host", "host", "instructions"),
    Metric("host_user", "host, user space", "instructions"),
    Metric("guest", "all guests", "instructions"),
    Metric("exits", "exits at the bottom", "exits"),
    Metric("user_exits", "to user space", "exits"),
    Metric("exits_by", "exits at the bottom by exception class", "exits", family=True),
    Metric("user_exits_by", "exits to user space at the bottom by reason", "exits", family=True),
    *(Metric(f"level_{level}", f"exits of level {level} by reason", "exits", family=True) for level in DEPTHS),
)


def cells(full):
    del full  # the whole grid is quick enough
    return [{"vmm": "nidus", "depth": depth} for depth in DEPTHS]


def run(cell, board):
    text = board.text("nest.board", *DEPTHS[cell["depth"]], files=["bench/lib.board", images.kernel()],
                      environment={"NIDUS_KERNEL": images.kernel()}, timeout=3600)
    numbers, _, nest = text.partition("\n---\n")
    return {**exits.by_name(board.parse(numbers)), **levels(json.loads(nest))}


def levels(nest):
    """level_N.REASON of what nidus nest says in JSON."""
    numbers = {}
    for level in nest["levels"]:
        if not level["good"]:
            raise Failed(f"level {level['level']} did not end well")
        for reason, count in level["ended"]["stats"]["exits"].items():
            numbers[f"level_{level['level']}.{reason}"] = count
    return numbers


def classes(rows):
    """The exits at the bottom of each depth, by class, for classes that are more than a handful."""
    by_depth = {row["cell"]["depth"]: {key.partition(".")[2]: value for key, value in row["metrics"].items()
                                       if key.startswith("exits_by.")}
                for row in rows if row["failed"] is None}
    names = {name for found in by_depth.values() for name, value in found.items() if value >= 50}
    order = sorted(names, key=lambda name: -max(found.get(name, 0) for found in by_depth.values()))
    return by_depth, order


def multiplication(by_depth, order):
    """How many times as many exits of each class there are with a level more."""
    steps = [(depth - 1, depth) for depth in sorted(by_depth) if depth - 1 in by_depth]

    def factor(name, outer, inner):
        before = by_depth[outer].get(name, 0)
        return by_depth[inner].get(name, 0) / before if before else None

    return [f"{outer} to {inner} levels" for outer, inner in steps], {
        name: [factor(name, *step) for step in steps] for name in order}


def charts(rows):
    by_depth, order = classes(rows)
    depths = sorted(by_depth)
    yield Chart("Exits at the bottom by exception class, by depth", "levels", "exits", depths,
                {name: [by_depth[depth].get(name) for depth in depths] for name in order}, "lines", log=True)
    yield Chart("Multiplication of each class of exit by a level more", "levels",
                "times as many exits", *multiplication(by_depth, order), log=True)
    yield by("Host instructions of a nest, by depth", rows, "host", "depth", "levels", "instructions", log=True)
