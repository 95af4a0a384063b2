# SPDX-License-Identifier: GPL-2.0-only
"""What of a new result is worse than in an old one."""

from dataclasses import dataclass

from harness import cells


@dataclass(frozen=True)
class Finding:
    suite: str
    cell: str
    what: str

    def __str__(self):
        return f"{self.suite}: {self.cell}: {self.what}"


def metric_of(suite, key):
    for metric in suite.METRICS:
        if key == metric.name or (metric.family and key.startswith(metric.name + ".")):
            return metric
    return None


def grown(metric, old, new, threshold):
    """Whether new is more than old, by more than noise and the threshold in per cent unless it is exact."""
    return new > old if metric.exact else new > old + abs(old) * threshold / 100 + metric.noise


def change(old, new):
    return f"{(new - old) / abs(old) * 100:+.1f} %" if old else "from nothing"


def compare_metrics(suite, old, new, threshold):
    """(key, text) of each metric that grew or is missing. Kinds of families come and go; their sum tells."""
    for key, before in old.items():
        metric = metric_of(suite, key)
        if metric is None or metric.family:
            continue
        if key not in new:
            yield key, f"{key} is missing"
        elif grown(metric, before, new[key], threshold):
            yield key, f"{metric.label} grew from {before:,.10g} to {new[key]:,.10g} ({change(before, new[key])})"


def compare(load, old_rows, new_rows, threshold):
    """Findings, and how many cells were compared. load gives the module of a suite.

    Only suites that both have are compared; of these each cell of the old one has to be there.
    """
    new = {cells.identity(row["suite"], row["cell"]): row for row in new_rows}
    measured = {row["suite"] for row in new_rows}
    findings, compared = [], 0
    for row in old_rows:
        if row["suite"] not in measured or row["failed"] is not None:
            continue
        name = cells.name(row["cell"])
        now = new.get(cells.identity(row["suite"], row["cell"]))
        if now is None:
            findings.append(Finding(row["suite"], name, "is missing"))
        elif now["failed"] is not None:
            findings.append(Finding(row["suite"], name, "failed: " + now["failed"].splitlines()[0]))
        else:
            compared += 1
            findings += [Finding(row["suite"], name, text) for _, text in
                         compare_metrics(load(row["suite"]), row["metrics"], now["metrics"], threshold)]
    return findings, compared
