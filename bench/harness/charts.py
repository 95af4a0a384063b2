# SPDX-License-Identifier: GPL-2.0-only
"""Charts from the rows of a suite; plots.py draws them."""

from harness.contract import Chart


def ordered(values):
    """Each once: numbers by size, words as they come."""
    once = list(dict.fromkeys(values))
    return once if any(isinstance(value, str) for value in once) else sorted(once)


def by(title, rows, metric, parameter, xlabel, ylabel, series="vmm", kind="bars", log=False):
    """A metric by a parameter, with a series for each value of another."""
    measured = {(row["cell"][parameter], row["cell"][series]): row["metrics"].get(metric)
                for row in rows if row["failed"] is None}
    xs = ordered(row["cell"][parameter] for row in rows)
    names = list(dict.fromkeys(row["cell"][series] for row in rows))
    return Chart(title, xlabel, ylabel, xs,
                 {str(name): [measured.get((x, name)) for x in xs] for name in names}, kind, log)
