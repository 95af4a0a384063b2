# SPDX-License-Identifier: GPL-2.0-only
"""The suites there are: modules of bench/suites/."""

import importlib
import os

from harness import board
from harness.contract import Failed

DIRECTORY = os.path.join(board.TOP, "bench/suites")


def names():
    return sorted(entry[:-3] for entry in os.listdir(DIRECTORY) if entry.endswith(".py"))


def load(name):
    return importlib.import_module(f"suites.{name}")


def run_cell(name, cell):
    """Measures a cell; returns its row without the time."""
    runner = board.Board()
    row = {"suite": name, "cell": cell, "metrics": None, "failed": None, "commands": runner.commands}
    try:
        row["metrics"] = load(name).run(cell, runner)
        unknown = unnamed(load(name), row["metrics"])
        if unknown:
            raise Failed(f"measured what the suite has no name for: {', '.join(unknown)}")
    except Failed as failed:
        row["metrics"], row["failed"] = None, str(failed)
    return row


def unnamed(suite, metrics):
    known = {metric.name for metric in suite.METRICS if not metric.family}
    families = {metric.name for metric in suite.METRICS if metric.family}
    return [key for key in metrics if key not in known and key.partition(".")[0] not in families]
