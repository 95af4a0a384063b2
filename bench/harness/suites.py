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


def choices(name):
    """What of a suite's cells may be chosen: names, and how values are read."""
    return getattr(load(name), "CHOICES", {})


def cells(name, full, chosen):
    """A suite's grid. chosen has values for its choices, as lists by name; those of other suites as well."""
    mine = {key: values for key, values in chosen.items() if key in choices(name)}
    return load(name).cells(full, mine) if choices(name) else load(name).cells(full)


def parse_choices(names, texts):
    """Texts "NAME=VALUE[,VALUE...]" as lists by name; ValueError with what is wrong."""
    known = {key: read for name in names for key, read in choices(name).items()}
    chosen = {}
    for text in texts:
        key, _, values = text.partition("=")
        if key not in known:
            raise ValueError(f"--with {text}: there is nothing of that name to choose in {', '.join(names)}")
        try:
            chosen[key] = [known[key](value) for value in values.split(",")]
        except ValueError as error:
            raise ValueError(f"--with {key}: {error}") from None
    return chosen


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
