# SPDX-License-Identifier: GPL-2.0-only
"""A result for readers: as text, and as one page of HTML that needs nothing beside it."""

import html

from harness import cells, plots, results, suites, tables

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1c1f23; --faint: #5d6670; --line: #d5dae0;
  --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ground: #16191d; --ink: #e4e7eb; --faint: #9aa4af;
  --line: #363d45; --bad: #ff8a80; } }
body { background: var(--ground); color: var(--ink); font: 16px/1.5 sans-serif; max-width: 82rem;
  margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); }
figure { margin: 2rem 0; } figcaption, caption { font-weight: bold; text-align: left; padding: .5rem 0; }
caption { white-space: nowrap; }
svg { max-width: min(100%, 64rem); height: auto; } p { max-width: 64rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; margin: 1rem 0; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: bottom; }
th:first-child, td:first-child, .name { text-align: left; }
.failed { color: var(--bad); text-align: left; white-space: pre-wrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .9rem; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
pre { overflow-x: auto; font-size: .8rem; white-space: pre-wrap; overflow-wrap: anywhere; }
"""


def escape(text):
    return html.escape(str(text))


def table(caption, header, lines):
    def row(line):
        if len(line) == len(header):
            return "".join(f"<td>{escape(cell)}</td>" for cell in line)
        return ("".join(f"<td>{escape(cell)}</td>" for cell in line[:-1])
                + f'<td class="failed" colspan="{len(header) - len(line) + 1}">{escape(line[-1])}</td>')

    return (f'<div class="wide"><table><caption>{escape(caption)}</caption><thead><tr>'
            + "".join(f"<th>{escape(title)}</th>" for title in header) + "</tr></thead><tbody>"
            + "".join(f"<tr>{row(line)}</tr>" for line in lines) + "</tbody></table></div>")


def commands(rows):
    items = "".join(f"<h4>{escape(cells.name(row['cell']))}</h4><pre>{escape(chr(10).join(row['commands']))}</pre>"
                    for row in rows)
    return f"<details><summary>Command lines</summary>{items}</details>"


def section(name, rows, first):
    """The part of the page about a suite, and how many plots it has."""
    suite = suites.load(name)
    charts = [chart for chart in getattr(suite, "charts", lambda _: [])(rows) if plots.worth_it(chart)]
    figures = "".join(f"<figure><figcaption>{escape(chart.title)}</figcaption>{plots.svg(chart, first + i)}</figure>"
                      for i, chart in enumerate(charts))
    failures = "".join(f'<p class="failed">{escape(cells.name(row["cell"]))} failed: {escape(row["failed"])}</p>'
                       for row in rows if row["failed"] is not None)
    return (f"<h2>{escape(suite.TITLE)}</h2><p>{escape(suite.ABOUT)}</p>{failures}"
            + "".join(table(*one) for one in tables.all_of(suite, rows)) + figures + commands(rows)), len(charts)


def terminal(value):
    """The tables as text."""
    parts = []
    for name in dict.fromkeys(row["suite"] for row in value["rows"]):
        for caption, header, lines in tables.all_of(suites.load(name), results.of_suite(value["rows"], name)):
            parts.append(f"{caption}\n\n{tables.text(header, lines)}\n")
    return "\n".join(parts)


def page(value):
    parts, count = [], 0
    for name in dict.fromkeys(row["suite"] for row in value["rows"]):
        text, more = section(name, results.of_suite(value["rows"], name), count)
        parts.append(text)
        count += more
    facts = "".join(f"<dt>{escape(key)}</dt><dd>{escape(cells.show(fact))}</dd>"
                    for key, fact in value["environment"].items() if fact is not None)
    return ("<!DOCTYPE html><html lang=en><head><meta charset=utf-8>"
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>nidus: what things cost</title><style>{STYLE}</style></head><body>"
            f"<h1>What things cost</h1><dl>{facts}</dl>" + "".join(parts) + "</body></html>\n")


def write(path, value):
    text = page(value)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
