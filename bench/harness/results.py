# SPDX-License-Identifier: GPL-2.0-only
"""Result files: {"schema", "version", "environment", "rows"}.

A row is {"suite", "cell", "metrics", "failed", "commands", "place", "seconds"}; failed is the reason, or null, and
place the cell's in the whole grid.
"""

import json
import os

from harness import cells

SCHEMA, VERSION = "nidus-bench", 1


class Unusable(Exception):
    """A file that is no result, or results that do not belong together."""


def document(environment, rows):
    return {"schema": SCHEMA, "version": VERSION, "environment": environment, "rows": rows}


def write(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


def read(path):
    """A result file, or a results directory of a run that has perhaps not ended."""
    try:
        if os.path.isdir(path):
            return read_directory(path)
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError) as error:
        raise Unusable(f"{path}: {error}") from None
    if not isinstance(value, dict) or (value.get("schema"), value.get("version")) != (SCHEMA, VERSION):
        raise Unusable(f"{path}: not a result of version {VERSION}")
    return value


def read_directory(path):
    def load(name):
        with open(os.path.join(path, name), encoding="utf-8") as file:
            return json.load(file)

    names = sorted(name for name in os.listdir(path) if name.startswith("cell-") and name.endswith(".json"))
    return document(load("environment.json"), [load(name) for name in names])


def gather(documents):
    """One result of several; a cell that two have is the later one's, unless that one failed."""
    environment = documents[0]["environment"]
    rows = {}
    for one in documents:
        differing = [key for key in {*environment, *one["environment"]} - {"machine"}
                     if environment.get(key) != one["environment"].get(key)]
        if differing:
            raise Unusable("not of one measurement: " + ", ".join(
                f"{key} is {environment.get(key)} and {one['environment'].get(key)}" for key in sorted(differing)))
        for row in one["rows"]:
            key = cells.identity(row["suite"], row["cell"])
            if key not in rows or row["failed"] is None:
                rows[key] = row
    return document(environment, sorted(rows.values(), key=lambda row: (row["suite"], row["place"])))


def of_suite(rows, suite):
    return [row for row in rows if row["suite"] == suite]
