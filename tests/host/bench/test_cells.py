# SPDX-License-Identifier: GPL-2.0-only
import json
import os
import tempfile
import unittest

from harness import cells


def grid():
    return [("suite", {"vmm": vmm, "depth": depth}) for depth in range(5) for vmm in ("nidus", "qemu")]


def row(cell, failed=None):
    return {"suite": "suite", "cell": cell, "metrics": None if failed else {"host": 1}, "failed": failed}


class Shards(unittest.TestCase):
    def test_shards_are_the_grid(self):
        parts = [cells.share(grid(), (index, 3)) for index in range(3)]
        self.assertEqual(sorted(map(str, sum(parts, []))), sorted(map(str, grid())))

    def test_peers_stay_together(self):
        for index in range(3):
            part = cells.share(grid(), (index, 3))
            for depth in {cell["depth"] for _, cell in part}:
                self.assertEqual([cell["vmm"] for _, cell in part if cell["depth"] == depth], ["nidus", "qemu"])

    def test_shard_names(self):
        self.assertEqual(cells.parse_shard("2/8"), (1, 8))
        for wrong in ("0/3", "4/3", "1", "1/0", "a/b", "-1/2", "1/2/3"):
            with self.assertRaises(ValueError):
                cells.parse_shard(wrong)


class Names(unittest.TestCase):
    def test_identity_knows_no_order(self):
        one = cells.identity("s", {"vmm": "nidus", "a": 1, "b": 2})
        self.assertEqual(one, cells.identity("s", {"b": 2, "a": 1, "vmm": "nidus"}))
        self.assertNotEqual(one, cells.identity("s", {"vmm": "qemu", "a": 1, "b": 2}))

    def test_name(self):
        self.assertEqual(cells.name({"vmm": "nidus", "mem": 512, "mops": False}), "nidus mem=512 mops=no")


class Stores(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.store = cells.Store(self.directory.name)
        self.cell = {"vmm": "nidus", "depth": 1}
        self.assertIsNone(self.store.begin({"commit": "a"}, False))

    def test_finished_cells_are_taken_up(self):
        self.store.save(row(self.cell))
        self.assertIsNone(self.store.begin({"commit": "a"}, True))
        self.assertEqual(self.store.load("suite", self.cell), row(self.cell))

    def test_failed_cells_are_tried_again(self):
        self.store.save(row(self.cell, "broken"))
        self.assertIsNone(self.store.begin({"commit": "a"}, True))
        self.assertIsNone(self.store.load("suite", self.cell))

    def test_what_was_measured_with_something_else_is_not_taken_up(self):
        self.store.save(row(self.cell))
        self.assertEqual(self.store.begin({"commit": "b"}, True), ["commit"])
        self.assertEqual(self.store.begin({"commit": "a", "peer": "c"}, True), ["peer"])

    def test_a_new_run_begins_with_nothing(self):
        self.store.save(row(self.cell))
        self.assertIsNone(self.store.begin({"commit": "b"}, False))
        self.assertIsNone(self.store.load("suite", self.cell))

    def test_a_cell_half_written_is_none(self):
        self.store.save(row(self.cell))
        path = next(os.path.join(self.directory.name, name) for name in os.listdir(self.directory.name)
                    if name.startswith("cell-"))
        os.rename(path, path + ".part")
        self.assertIsNone(self.store.load("suite", self.cell))

    def test_cells_are_complete_json(self):
        self.store.save(row(self.cell))
        for name in os.listdir(self.directory.name):
            with open(os.path.join(self.directory.name, name), encoding="utf-8") as file:
                json.load(file)
