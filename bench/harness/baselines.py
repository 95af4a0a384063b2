# SPDX-License-Identifier: GPL-2.0-only
"""The best figures so far, in a file that is committed, for each kernel, QEMU of the board, and MOPS or not."""

import json
import os

from harness.results import Unusable

SCHEMA, VERSION = "nidus-bench-baselines", 1


def key(environment, cell):
    """What figures are comparable by."""
    qemu = (environment.get("board_qemu") or environment["cpu"]).removeprefix("QEMU emulator version ")
    return (f"Linux {environment['kernel']}, configuration {environment['kernel_config_sha256'][:12]}; {qemu}; "
            f"{'mops' if cell.get('mops') else 'nomops'}")


def read(path):
    """{key: rows}"""
    if not os.path.exists(path):
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except ValueError as error:
        raise Unusable(f"{path}: {error}") from None
    if not isinstance(value, dict) or (value.get("schema"), value.get("version")) != (SCHEMA, VERSION):
        raise Unusable(f"{path}: no baselines of version {VERSION}")
    return value["baselines"]


def of(known, document):
    """The rows to compare a result with; and the keys that there is nothing for."""
    keys = dict.fromkeys(key(document["environment"], row["cell"]) for row in document["rows"])
    rows = [{**row, "failed": None} for one in keys for row in known.get(one, [])]
    return rows, [one for one in keys if one not in known]


def record(path, document, single):
    """Puts a result's figures in place of those under its keys. single says whether a metric is no family's."""
    known, fresh = read(path), {}
    for row in document["rows"]:
        if row["failed"] is not None:
            raise Unusable(f"a cell failed: {row['failed']}")
        metrics = {name: value for name, value in row["metrics"].items() if single(row["suite"], name)}
        fresh.setdefault(key(document["environment"], row["cell"]), []).append(
            {"suite": row["suite"], "cell": row["cell"], "metrics": metrics})
    known.update(fresh)
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"schema": SCHEMA, "version": VERSION, "baselines": known}, file, indent=1)
        file.write("\n")
