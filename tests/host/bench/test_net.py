# SPDX-License-Identifier: GPL-2.0-only
"""bench/suites/net.py: what it makes of what the board prints."""

import json
import unittest

from harness.contract import Failed
from suites import net


def row(vmm, link, what, level=1, **metrics):
    numbers = {"host": 100, "host_user": 10, "exits": 1, "user_exits": 0, **metrics}
    return {"cell": {"vmm": vmm, "level": level, "link": link, "what": what}, "metrics": numbers, "failed": None}


def nest(good=True, total=5):
    return json.dumps({"levels": [{"level": 1, "good": good, "ended": {"stats": {"exits": {"total": total}}}}]})


class Net(unittest.TestCase):
    def test_what_the_other_end_takes_is_not_the_vmms(self):
        one = net.figures({"few.host": 1000, "many.host": 4000, "few.host_user": 500, "many.host_user": 1100,
                           "few.own": 100, "many.own": 400, "few.exits.36": 1, "many.exits.36": 4}, 100, 400)
        self.assertEqual(one, {"host": 10, "host_user": 1, "exits_by.data abort": 0.01})

    def test_exits_of_inner_levels_are_differences_as_well(self):
        numbers = {"few.own": 0, "many.own": 0, "few.host_user": 0, "many.host_user": 0,
                   **net.levels([nest(total=5), nest(total=305)])}
        self.assertEqual(net.figures(numbers, 100, 400)["level_exits.1"], 1)

    def test_a_level_that_fails_is_no_measurement(self):
        with self.assertRaises(Failed):
            net.levels([nest(), nest(good=False)])

    def test_cells_to_be_compared_alternate(self):
        grid = net.cells(False)
        self.assertEqual(len({tuple(cell.items()) for cell in grid}), len(grid))
        for cell in grid:
            if cell["vmm"] == "qemu" and cell["link"] != "slirp":
                before = grid[grid.index(cell) - 1]
                self.assertEqual({**before, "vmm": "qemu"}, cell)

    def test_bars(self):
        good = [row("nidus", "vhost-net", "rr"), row("qemu", "vhost-net", "rr"),
                row("nidus", "tap", "rr", host=50), row("qemu", "tap", "rr"),
                row("nidus", "tap", "stream_in", host_user=1), row("qemu", "tap", "stream_in"),
                row("nidus", "passt", "udp_64_in", level=2, exits=9)]
        self.assertEqual(list(net.bars(good)), [])
        for place, worse in ((0, {"host": 101}), (0, {"user_exits": 0.02}), (2, {"host": 51}), (4, {"host_user": 2}),
                             (6, {"exits": 10}), (6, {"level_exits.1": 0.5})):
            rows = [dict(one, metrics=dict(one["metrics"])) for one in good]
            rows[place]["metrics"].update(worse)
            self.assertEqual(len(list(net.bars(rows))), 1, (place, worse))


if __name__ == "__main__":
    unittest.main()
