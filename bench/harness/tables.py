# SPDX-License-Identifier: GPL-2.0-only
"""Tables of a suite's rows, as lists of strings; report.py and the terminal show them."""

from harness import cells

NONE = "-"


def number(value):
    if value is None:
        return NONE
    if isinstance(value, int) or value == int(value) or abs(value) >= 1000:
        return f"{round(value):,}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.4f}".rstrip("0").rstrip(".")


def parameters(rows):
    """The names of all parameters, in the order in which cells have them."""
    return list(dict.fromkeys(key for row in rows for key in row["cell"] if key != "vmm"))


def nidus_of(rows, row):
    """The row of nidus at the same point."""
    for other in rows:
        if other["cell"]["vmm"] == "nidus" and cells.point(other["cell"]) == cells.point(row["cell"]):
            return other
    return None


def ratio(rows, row, metric):
    """What nidus takes, over what this peer does; None where one of them has nothing."""
    nidus = nidus_of(rows, row)
    if row["cell"]["vmm"] == "nidus" or row["failed"] is not None or nidus is None or nidus["failed"] is not None:
        return None
    mine, theirs = nidus["metrics"].get(metric), row["metrics"].get(metric)
    return mine / theirs if mine is not None and theirs else None


def heading(metric):
    return f"{metric.label} ({metric.unit})" if metric.unit != metric.label else metric.label


def lead(row, names):
    return [cells.show(row["cell"].get(name, NONE)) for name in names] + [row["cell"]["vmm"]]


def main(suite, rows):
    """A line a cell: parameters, metrics, and beside peers the ratio of the first metric.

    Returns the header and the lines; a line of a failed cell ends with its reason.
    """
    names = parameters(rows)
    single = [metric for metric in suite.METRICS if not metric.family
              and any(row["failed"] is None and metric.name in row["metrics"] for row in rows)]
    peers = len({row["cell"]["vmm"] for row in rows}) > 1
    header = names + ["vmm"] + [heading(metric) for metric in single] + (["nidus / peer"] if peers else [])
    lines = []
    for row in rows:
        if row["failed"] is not None:
            lines.append(lead(row, names) + ["failed: " + row["failed"].splitlines()[0]])
            continue
        line = lead(row, names) + [number(row["metrics"].get(metric.name)) for metric in single]
        if peers:
            value = ratio(rows, row, single[0].name)
            line.append(f"{value:.2f}" if value is not None else "")
        lines.append(line)
    return header, lines


def has(row, metric):
    """Whether a row has any of a family's numbers."""
    return any(key.startswith(metric.name + ".") for key in row["metrics"])


def family(metric, rows):
    """A line a cell, a column a kind, the most frequent first. None where nothing was counted."""
    totals = {}
    for row in rows:
        for key, value in (row["metrics"] or {}).items():
            if key.startswith(metric.name + "."):
                kind = key[len(metric.name) + 1:]
                totals[kind] = totals.get(kind, 0) + value
    kinds = sorted((kind for kind in totals if totals[kind]), key=lambda kind: -totals[kind])
    if not kinds:
        return None
    names = parameters(rows)
    lines = [lead(row, names) + [number(row["metrics"].get(f"{metric.name}.{kind}", 0)) for kind in kinds]
             for row in rows if row["failed"] is None and has(row, metric)]
    return names + ["vmm"] + kinds, lines


def all_of(suite, rows):
    """(caption, header, lines) of each table of a suite."""
    found = [(suite.TITLE, *main(suite, rows))]
    for metric in suite.METRICS:
        table = family(metric, rows) if metric.family else None
        if table:
            found.append((f"{suite.TITLE}: {metric.label}", *table))
    return found


def wrap(header, width=14):
    """The header as lines of at most width characters, where its words allow."""
    columns = []
    for title in header:
        lines = [""]
        for word in title.split():
            if lines[-1] and len(lines[-1]) + len(word) >= width:
                lines.append("")
            lines[-1] = f"{lines[-1]} {word}".strip()
        columns.append(lines)
    height = max(len(lines) for lines in columns)
    columns = [[""] * (height - len(lines)) + lines for lines in columns]
    return [[column[i] for column in columns] for i in range(height)]


def text(header, lines):
    """For a terminal: text to the left, numbers to the right."""
    top = wrap(header)
    whole = [line for line in lines if len(line) == len(header)]
    broken = [line for line in lines if len(line) != len(header)]
    widths = [max(len(line[i]) for line in top + whole + [line[:-1] + [""] * len(header) for line in broken])
              for i in range(len(header))]
    numeric = [bool(whole) and all(line[i][:1].isdigit() or line[i] in (NONE, "") or line[i].startswith("-")
                                   for line in whole) for i in range(len(header))]

    def show(line):
        return "  ".join(cell.rjust(width) if right else cell.ljust(width)
                         for cell, width, right in zip(line, widths, numeric)).rstrip()

    def show_broken(line):
        return show(line[:-1]) + "  " + line[-1]

    return "\n".join([show(line) for line in top]
                     + [show(line) if len(line) == len(header) else show_broken(line) for line in lines])
