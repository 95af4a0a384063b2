# SPDX-License-Identifier: GPL-2.0-only
import json
import os
import tempfile
import unittest

from harness import baselines, compare, results
from harness.contract import Metric


class Suite:
    METRICS = (Metric("host", "host", "instructions"), Metric("exits", "exits", "exits", exact=True),
               Metric("small", "small", "exits", noise=0.1), Metric("by", "by class", "exits", family=True))


ENVIRONMENT = {"commit": "c", "kernel": "7.2.12", "kernel_config_sha256": "0123456789abcdef", "cpu": "max",
               "board_qemu": "QEMU emulator version 10.0.2", "machine": "board"}


def row(place=0, failed=None, suite="s", vmm="nidus", mops=False, **metrics):
    return {"suite": suite, "cell": {"vmm": vmm, "depth": place, "mops": mops}, "place": place, "commands": [],
            "metrics": None if failed else metrics, "failed": failed, "seconds": 1}


class Comparing(unittest.TestCase):
    def compare(self, old, new, threshold=2.0):
        findings, _ = compare.compare(lambda _: Suite, old, new, threshold)
        return [finding.what for finding in findings]

    def test_within_the_threshold(self):
        self.assertEqual(self.compare([row(host=1000)], [row(host=1020)]), [])
        self.assertEqual(len(self.compare([row(host=1000)], [row(host=1021)])), 1)
        self.assertEqual(self.compare([row(host=1000)], [row(host=1021)], 5), [])

    def test_less_is_fine(self):
        self.assertEqual(self.compare([row(host=1000, exits=5)], [row(host=10, exits=4)]), [])

    def test_exact_metrics_have_no_threshold(self):
        self.assertEqual(self.compare([row(exits=1000)], [row(exits=1000)]), [])
        self.assertEqual(len(self.compare([row(exits=1000)], [row(exits=1001)])), 1)

    def test_noise(self):
        self.assertEqual(self.compare([row(small=0)], [row(small=0.1)]), [])
        self.assertEqual(len(self.compare([row(small=0)], [row(small=0.11)])), 1)

    def test_from_nothing(self):
        self.assertEqual(len(self.compare([row(host=0)], [row(host=1)])), 1)

    def test_kinds_of_a_family_are_not_compared(self):
        self.assertEqual(self.compare([row(host=1, **{"by.WFx": 1})], [row(host=1, **{"by.WFx": 9})]), [])

    def test_what_is_not_there_is_worse(self):
        self.assertEqual(len(self.compare([row(host=1, exits=2)], [row(host=1)])), 1)
        self.assertEqual(self.compare([row(0, host=1), row(1, host=1)], [row(0, host=1)]), ["is missing"])

    def test_what_failed_is_worse(self):
        self.assertEqual(self.compare([row(host=1)], [row(failed="no\nmore")]), ["failed: no"])
        self.assertEqual(self.compare([row(failed="no")], [row(host=1)]), [])

    def test_suites_that_were_not_run(self):
        self.assertEqual(self.compare([row(host=1), row(suite="t", host=1)], [row(host=1)]), [])

    def test_counts_what_it_compared(self):
        self.assertEqual(compare.compare(lambda _: Suite, [row(host=1)], [row(host=1)], 2)[1], 1)
        self.assertEqual(compare.compare(lambda _: Suite, [row(host=1)], [row(suite="t", host=1)], 2)[1], 0)


class Gathering(unittest.TestCase):
    def gather(self, *lists):
        return results.gather([results.document(ENVIRONMENT, rows) for rows in lists])["rows"]

    def test_shards_come_together_in_order(self):
        gathered = self.gather([row(1, host=1)], [row(0, host=1), row(2, host=1)])
        self.assertEqual([one["place"] for one in gathered], [0, 1, 2])

    def test_a_failure_does_not_replace_a_result(self):
        self.assertIsNone(self.gather([row(host=1)], [row(failed="no")])[0]["failed"])
        self.assertIsNone(self.gather([row(failed="no")], [row(host=1)])[0]["failed"])

    def test_a_failure_is_kept(self):
        self.assertEqual(self.gather([row(failed="no")], [row(1, host=1)])[0]["failed"], "no")

    def test_other_measurements_are_refused(self):
        other = results.document({**ENVIRONMENT, "commit": "d"}, [])
        with self.assertRaises(results.Unusable):
            results.gather([results.document(ENVIRONMENT, []), other])

    def test_machines_may_differ(self):
        results.gather([results.document(ENVIRONMENT, []),
                        results.document({**ENVIRONMENT, "machine": "node2"}, [])])


class Files(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "file")

    def write(self, text):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)

    def test_round_trip(self):
        value = results.document(ENVIRONMENT, [row(host=1)])
        results.write(self.path, value)
        self.assertEqual(results.read(self.path), value)

    def test_what_is_no_result_is_refused(self):
        for text in ("", "[]", "{}", json.dumps({"schema": results.SCHEMA, "version": 0})):
            self.write(text)
            with self.assertRaises(results.Unusable):
                results.read(self.path)
        with self.assertRaises(results.Unusable):
            results.read(self.path + ".none")

    def test_baselines_by_kernel_qemu_and_mops(self):
        baselines.record(self.path, results.document(ENVIRONMENT, [row(host=1, **{"by.WFx": 3})]),
                         lambda _, name: name == "host")
        known = baselines.read(self.path)
        for change, mops in (({}, True), ({"kernel": "7.3"}, False), ({"kernel_config_sha256": "f" * 64}, False),
                             ({"board_qemu": "QEMU emulator version 11.1"}, False)):
            rows, missing = baselines.of(known, results.document({**ENVIRONMENT, **change}, [row(mops=mops, host=1)]))
            self.assertEqual((rows, len(missing)), ([], 1))
        rows, missing = baselines.of(known, results.document({**ENVIRONMENT, "commit": "d"}, [row(host=9)]))
        self.assertEqual(([one["metrics"] for one in rows], missing), ([{"host": 1}], []))

    def test_baselines_of_other_keys_stay(self):
        for mops in (False, True):
            baselines.record(self.path, results.document(ENVIRONMENT, [row(mops=mops, host=1)]), lambda *_: True)
        self.assertEqual(len(baselines.read(self.path)), 2)

    def test_a_failure_is_no_baseline(self):
        with self.assertRaises(results.Unusable):
            baselines.record(self.path, results.document(ENVIRONMENT, [row(failed="no")]), lambda *_: True)
        self.assertEqual(baselines.read(self.path), {})
