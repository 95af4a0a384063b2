# SPDX-License-Identifier: GPL-2.0-only
"""A disk that the levels of a nest hand on."""

import json

from harness import board as machine, difference, exits, images
from harness.charts import by
from harness.contract import Metric

TITLE = "A disk of the innermost guest of a nest"
ABOUT = ("Reads of random blocks of 4 KiB, past the page cache, by the innermost guest of a nest of small kernels, one vCPU "
         "each, in two runs of different length, of which the difference counts; depth 0 is a doorbell that is rung without a "
         "request. The disk is a file on tmpfs at the bottom. "
         "chain: each level has it as a disk from the nidus around it; passthrough: level 1 has it behind an IOMMU, and each "
         "level hands it on by VFIO; behind: a single level, with an IOMMU and without a use for it. Exits of levels between "
         "are those to their own user space.")

METRICS = (
    Metric("host", "host", "instructions"),
    Metric("host_user", "host, user space", "instructions"),
    Metric("guest", "all guests", "instructions"),
    Metric("exits", "exits at the bottom", "exits", noise=0.5),
    Metric("user_exits", "to user space", "exits", noise=0.01),
    Metric("between", "of levels between, to theirs", "exits", noise=0.01),
    Metric("exits_by", "exits at the bottom by exception class", "exits", family=True),
    Metric("user_exits_by", "exits to user space at the bottom by reason", "exits", family=True),
)

# Memory of the levels, from the outermost.
LEVELS = {1: ["256M"], 2: ["1G", "256M"], 3: ["2G", "1G", "256M"]}
FEW, MANY = 500, 2500

# Instructions of the host that a doorbell two levels deep may take.
KICK = 12500


def cells(full):
    if not machine.emulated():
        return []
    ways = [("chain", 1), ("behind", 1), ("chain", 2), ("passthrough", 2)]
    if full:
        ways += [("chain", 3), ("passthrough", 3)]
    return [{"vmm": "nidus", "way": way, "levels": levels, "depth": depth} for way, levels in ways for depth in (0, 1, 32)]


def between(text):
    """Exits of all levels but the outermost, as the nidus around each counted them."""
    return sum(level["ended"]["stats"]["exits"]["total"] for level in json.loads(text)["levels"][1:])


def run(cell, board):
    text = board.text("passthrough.board", cell["way"], cell["depth"], FEW, MANY, *LEVELS[cell["levels"]],
                      files=["bench/lib.board", "build/programs/reader", "build/programs/kicker", images.kernel()],
                      environment={"NIDUS_KERNEL": images.kernel()}, timeout=7200)
    numbers, few, many = text.split("\n---\n")
    found = board.parse(numbers)
    found |= {"few.between": between(few), "many.between": between(many)}
    return exits.by_name(difference.per_one(found, FEW, MANY))


def bars(rows):
    """Where a disk that is handed on costs more than it may, beside level 1 and beside the chain."""
    host = {(row["cell"]["way"], row["cell"]["levels"], row["cell"]["depth"]): row["metrics"]
            for row in rows if row["failed"] is None}
    for (way, levels, depth), metrics in host.items():
        if way != "passthrough" or levels != 2:
            continue
        if depth == 0:
            if metrics["host"] > KICK or metrics["exits"] > 1.05:
                yield f"a doorbell: {metrics['host']:.0f} instructions of the host, {metrics['exits']:.2f} exits"
            continue
        name = f"{levels} levels, {depth} at a time"
        near, chain = host.get(("chain", 1, depth)), host.get(("chain", levels, depth))
        if near and metrics["host"] > 3.5 * near["host"]:
            yield f"{name}: the host takes {metrics['host']:.0f} instructions, and {near['host']:.0f} at level 1"
        if chain and metrics["host"] > chain["host"] / 3:
            yield f"{name}: the host takes {metrics['host']:.0f} instructions, and {chain['host']:.0f} by the chain"
        if metrics["between"] > 0.01:
            yield f"{name}: {metrics['between']:.4f} exits of the level between to its user space"


def charts(rows):
    labelled = [{**row, "cell": {**row["cell"], "at": f"{row['cell']['levels']} levels, {row['cell']['depth']} at a time"}}
                for row in rows]
    yield by("Host instructions of a random read of 4 KiB by the innermost guest", labelled, "host", "at",
             "levels, requests at a time", "instructions", series="way")
