# SPDX-License-Identifier: GPL-2.0-only
import unittest
from unittest import mock

from harness import board, charts, difference, exits, peers, plots, report, suites, tables
from harness.contract import Chart, Failed, Metric


class Suite:
    TITLE, ABOUT = "Title & more", "About"
    METRICS = (Metric("host", "host", "instructions"), Metric("by", "by class", "exits", family=True))

    @staticmethod
    def run(cell, _):
        if cell["depth"] == 0:
            raise Failed("no <depth>")
        return {"host": 1, **({"other": 1} if cell["depth"] == 9 else {})}


def row(vmm="nidus", depth=1, failed=None, **metrics):
    return {"suite": "s", "cell": {"vmm": vmm, "depth": depth}, "metrics": None if failed else metrics,
            "failed": failed, "commands": ["a <command>"]}


class Tables(unittest.TestCase):
    def test_ratio_is_that_of_the_same_cell(self):
        rows = [row(host=1), row("qemu", host=4), row(depth=2, host=1), row("qemu", 2, host=2)]
        _, lines = tables.main(Suite, rows)
        self.assertEqual([line[-1] for line in lines], ["", "0.25", "", "0.50"])

    def test_no_ratio_to_what_failed(self):
        _, lines = tables.main(Suite, [row(failed="no"), row("qemu", host=4)])
        self.assertEqual(lines, [["1", "nidus", "failed: no"], ["1", "qemu", "4", ""]])
        self.assertIn("failed: no", tables.text(*tables.main(Suite, [row(failed="no"), row("qemu", host=4)])))

    def test_all_failed(self):
        self.assertIn("failed: no", tables.text(*tables.main(Suite, [row(failed="no"), row("qemu", failed="no")])))

    def test_families(self):
        metric = Suite.METRICS[1]
        header, lines = tables.family(metric, [row(**{"by.few": 1, "by.many": 5}), row(depth=2, **{"by.few": 2}),
                                               row(depth=3, host=1)])
        self.assertEqual(header, ["depth", "vmm", "many", "few"])
        self.assertEqual(lines, [["1", "nidus", "5", "1"], ["2", "nidus", "0", "2"]])
        self.assertIsNone(tables.family(metric, [row(host=1)]))
        self.assertIsNone(tables.family(metric, [row(**{"by.none": 0})]))

    def test_numbers(self):
        self.assertEqual([tables.number(value) for value in (None, 0, 1234567, 1234.6, 12.34, 0.0123, 0.25)],
                         ["-", "0", "1,234,567", "1,235", "12.3", "0.0123", "0.25"])


class Measuring(unittest.TestCase):
    def test_failures_are_rows(self):
        with mock.patch.object(suites, "load", lambda _: Suite):
            self.assertEqual(suites.run_cell("s", {"vmm": "nidus", "depth": 0})["failed"], "no <depth>")
            self.assertEqual(suites.run_cell("s", {"vmm": "nidus", "depth": 1})["metrics"], {"host": 1})
            self.assertIn("other", suites.run_cell("s", {"vmm": "nidus", "depth": 9})["failed"])

    def test_output_of_scripts(self):
        self.assertEqual(board.parse("a 1\nb.2 2.5\nc -3\n"), {"a": 1, "b.2": 2.5, "c": -3})
        for text in ("a", "a b", "a 1 2", "\n"):
            with self.assertRaises(Failed):
                board.parse(text)

    def test_what_a_command_says_when_it_fails(self):
        status, out, err = board.complete(["sh", "-c", "echo out; echo err >&2; exit 3"], {"PATH": "/bin:/usr/bin"})
        self.assertEqual((status, out, err), (3, "out\n", "err\n"))

    def test_differences(self):
        self.assertEqual(difference.per_one({"few.a": 10, "many.a": 40, "many.b": 3}, 5, 20), {"a": 2, "b": 0.2})

    def test_names_of_exits(self):
        self.assertEqual(exits.by_name({"exits": 5, "exits.24": 2, "exits.63": 3, "user_exits.6": 1, "host": 9}),
                         {"exits": 5, "exits_by.system register": 2, "exits_by.63": 3, "user_exits_by.mmio": 1,
                          "host": 9})

    def test_command_lines(self):
        words = peers.command("nidus", kernel="/a b/Image", initrd="/i", mem=512, cpus=2,
                              disk={"image": "/d", "flags": ",ro", "engine": "aio"})
        self.assertEqual(words[:4], ["nidus", "run", "--kernel", "/a b/Image"])
        self.assertIn("/d,ro", words)
        self.assertEqual(words[-1], "--params")
        self.assertNotIn("--disk", peers.command("nidus", kernel="k", initrd="i", mem=1))

    def test_peers(self):
        with mock.patch.dict("os.environ", {"LKVM": "/none"}):
            self.assertEqual(peers.available(), ["nidus", "qemu", "lkvm"])
            with self.assertRaises(Failed):
                peers.command("lkvm", kernel="k", initrd="i", mem=1)
        with mock.patch.dict("os.environ", {"LKVM": ""}):
            self.assertEqual(peers.available(), ["nidus", "qemu"])


class Page(unittest.TestCase):
    def page(self, rows):
        with mock.patch.object(suites, "load", lambda _: Suite):
            return report.page({"environment": {"commit": "<c>", "peer": None}, "rows": rows})

    def test_what_failed_is_shown(self):
        self.assertIn("failed: no &lt;depth&gt;", self.page([row(failed="no <depth>")]))

    def test_text_is_escaped(self):
        page = self.page([row(host=1)])
        for text in ("Title &amp; more", "a &lt;command&gt;", "&lt;c&gt;"):
            self.assertIn(text, page)

    def test_needs_nothing_beside_it(self):
        page = self.page([row(host=1)])
        for text in ("http:", "https:", "<script", "src=", "<link"):
            self.assertNotIn(text, page)

    def test_charts_have_gaps_where_there_is_nothing(self):
        chart = charts.by("t", [row(host=1), row("qemu", failed="no"), row(depth=2, host=2), row("qemu", 2, host=3)],
                          "host", "depth", "x", "y")
        self.assertEqual((chart.xs, chart.series), ([1, 2], {"nidus": [1, 2], "qemu": [None, 3]}))
        self.assertIn('"1" 1 NaN', plots.script(chart))

    def test_names_of_plots_are_apart(self):
        text = plots.for_page('<?xml?><svg><g id="a"/><use xlink:href="#a"/><path clip-path="url(#a)"/></svg>', 3)
        self.assertEqual(text, '<svg><g id="p3-a"/><use xlink:href="#p3-a"/><path clip-path="url(#p3-a)"/></svg>')

    def test_plots_have_the_page_s_ink(self):
        text = plots.for_page("<svg><path stroke='rgb(  1,   2,   3)'/><path fill='rgb(1,2,33)'/></svg>", 0)
        self.assertEqual(text, "<svg><path stroke='var(--ink)'/><path fill='rgb(1,2,33)'/></svg>")

    def test_small_bars_are_seen(self):
        self.assertIn("set yrange [0.5:1]", plots.script(Chart("t", "x", "y", [1], {"a": [1], "b": [-3]}, log=True)))
        self.assertIn("set yrange [0:1]", plots.script(Chart("t", "x", "y", [1], {"a": [1]})))

    def test_ticks_are_told_apart_and_say_what_they_are(self):
        factors = {"k": 1e3, "M": 1e6, "G": 1e9}
        for scale in range(-3, 11):
            for peak in (1, 1.3, 1.999, 2, 2.4, 3, 4.9, 5, 7.7, 9.99):
                for lowest in (1, 0.5, 1e-3, 1e-7):
                    for log in (False, True):
                        top = peak * 10 ** scale
                        chart = Chart("t", "x", "y", [1, 2], {"a": [top, top * lowest]}, log=log)
                        values = plots.ticks(chart)
                        labels = [plots.label(value) for value in values]
                        self.assertEqual(len(set(labels)), len(labels), (top, labels))
                        self.assertTrue(2 <= len(labels) <= 15, (top, lowest, log, labels))
                        self.assertGreaterEqual(max(values), top)
                        self.assertLess(min(values), top * lowest)
                        for value, text in zip(values, labels):
                            self.assertAlmostEqual(float(text.rstrip("kMG")) * factors.get(text[-1], 1) / (value or 1),
                                                   1 if value else 0)

    def test_plots_have_these_ticks(self):
        chart = Chart("t", "x", "y", [1], {"a": [2100], "b": [1]})
        self.assertIn('set ytics ("0" 0, "500" 500, "1k" 1000, "1.5k" 1500, "2k" 2000, "2.5k" 2500)\n',
                      plots.script(chart))

    def test_order_of_charts(self):
        self.assertEqual(charts.ordered([2, 10, 1, 2]), [1, 2, 10])
        self.assertEqual(charts.ordered(["b", "a", "b"]), ["b", "a"])

    def test_empty_charts(self):
        self.assertFalse(plots.worth_it(Chart("t", "x", "y", [1], {"a": [None]})))
        self.assertFalse(plots.worth_it(Chart("t", "x", "y", [], {"a": []})))
        self.assertTrue(plots.worth_it(Chart("t", "x", "y", [1], {"a": [0]})))
        self.assertFalse(plots.worth_it(Chart("t", "x", "y", [1], {"a": [0]}, "lines")))
        self.assertTrue(plots.worth_it(Chart("t", "x", "y", [1, 2], {"a": [0, 1]}, "lines")))
