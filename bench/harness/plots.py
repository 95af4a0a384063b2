# SPDX-License-Identifier: GPL-2.0-only
"""Charts as SVG, drawn by gnuplot."""

import math
import re
import shutil
import subprocess

from harness.contract import Failed

# Legible on light and on dark ground, and apart for those who do not see all colours.
COLOURS = ("#2f7fc1", "#e07b1a", "#2a9d5c", "#c2478c", "#8a6fd1", "#a08a14", "#d1493f", "#3aa6a6")
# Stands for the colour of the text around the plot, the page's --ink, which gnuplot does not know.
INK = "#010203"


def quote(text):
    return '"' + str(text).replace("\\", "\\\\").replace('"', "'") + '"'


def data(chart):
    lines = ["$data << END"]
    for i, x in enumerate(chart.xs):
        values = [series[i] for series in chart.series.values()]
        lines.append(" ".join([quote(x)] + ["NaN" if value is None else repr(value) for value in values]))
    return lines + ["END"]


def decades(low, high):
    """Where a logarithmic axis has its ticks: at powers of ten, and at 2 and 5 times these where they are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    times = (1,) if last - first > 3 else (1, 2, 5)
    values = [n * 10.0 ** power for power in range(first - 1, last + 2) for n in times]
    bottom, top = max(value for value in values if value <= low), next(value for value in values if value >= high)
    return [value for value in values if bottom <= value <= top]


def steps(high):
    """Where an axis from 0 on has its ticks: some five, at round numbers."""
    rough = high / 5 if high > 0 else 1
    power = 10 ** math.floor(math.log10(rough))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= rough)
    return [step * i for i in range(max(math.ceil(high / step), 1) + 1)]


def label(value):
    """The value in full, with as few letters as that takes."""
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.12g}{letter}"
    return f"{value:.12g}"


def ticks(chart):
    if not chart.log:
        return steps(peak(chart))
    # A bar of the smallest value is to be seen, too.
    return decades(lowest(chart) / 2, max(peak(chart), lowest(chart)))


def script(chart):
    series = list(chart.series)
    values = ticks(chart)
    labels = ", ".join(f"{quote(label(value))} {value:.12g}" for value in values)
    lines = [
        f"set terminal svg size 760,{360 + 20 * ((len(series) - 1) // 3)} dynamic noenhanced "
        "font 'sans-serif,14'",
        f"set border 3 lc rgb '{INK}'", f"set tics nomirror textcolor rgb '{INK}'",
        f"set xlabel {quote(chart.xlabel)} textcolor rgb '{INK}'",
        f"set ylabel {quote(chart.ylabel)} textcolor rgb '{INK}'",
        f"set key above horizontal left textcolor rgb '{INK}'",
        "set grid ytics lc rgb '#999999' lw 0.5", f"set yrange [{values[0]:.12g}:{values[-1]:.12g}]",
        f"set ytics ({labels})",
    ]
    if chart.log:
        lines.append("set logscale y")
    if chart.kind == "bars":
        lines += ["set style data histograms", "set style histogram clustered gap 1.5",
                  "set style fill solid 0.9 noborder", "set boxwidth 0.9"]
    else:
        lines += ["set style data linespoints", f"set xrange [-0.3:{len(chart.xs) - 0.7}]"]
    if len(chart.xs) > 6:
        lines.append("set xtics rotate by -35")
    styles = "lw 2 pt 7 ps 0.6" if chart.kind == "lines" else ""
    parts = [f"$data using {i + 2}:xtic(1) title {quote(name)} lc rgb '{COLOURS[i % len(COLOURS)]}' {styles}"
             for i, name in enumerate(series)]
    return "\n".join(lines + data(chart) + ["plot " + ", ".join(parts)]) + "\n"


def peak(chart):
    return max((value for values in chart.series.values() for value in values if value is not None), default=0)


def lowest(chart):
    """The smallest that a logarithmic axis can show."""
    return min((value for values in chart.series.values() for value in values if value is not None and value > 0),
               default=1)


def worth_it(chart):
    """Whether there is something to see: a value, and for lines two points to draw them between."""
    return (len(chart.xs) > (1 if chart.kind == "lines" else 0)
            and any(value is not None for values in chart.series.values() for value in values))


def svg(chart, number):
    """An svg element to be put into a page; number tells it from the page's others."""
    if not shutil.which("gnuplot"):
        raise Failed("gnuplot is missing: run guest-images/setup bench")
    done = subprocess.run(["gnuplot"], input=script(chart), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"gnuplot: {done.stderr.strip()}")
    return for_page(done.stdout, number)


def for_page(text, number):
    text = text[text.index("<svg"):]
    text = re.sub(r"rgb\( *1, *2, *3\)", "var(--ink)", text)
    # Names are the page's, so each plot gets its own.
    text = re.sub(r"""(id=["']|xlink:href=["']#|url\(#)""", rf"\g<1>p{number}-", text)
    return re.sub(r"<title>.*?</title>|<desc>.*?</desc>", "", text, flags=re.S)
