# SPDX-License-Identifier: GPL-2.0-only
import unittest

from harness import board, suites


class Choices(unittest.TestCase):
    def test_lists_by_name(self):
        chosen = suites.parse_choices(["kernel-build"], ["target=lib/,mm/", "runs=3"])
        self.assertEqual(chosen, {"target": ["lib/", "mm/"], "runs": [3]})

    def test_cells_have_what_is_chosen(self):
        cells = suites.cells("kernel-build", False, {"config": ["allnoconfig"], "target": ["lib/", "mm/"]})
        found = list(dict.fromkeys((cell["config"], cell["target"]) for cell in cells))
        self.assertEqual(found, [("allnoconfig", "lib/"), ("allnoconfig", "mm/")])

    def test_other_suites_are_as_they_were(self):
        self.assertEqual(suites.cells("boot", True, {"runs": [3]}), suites.load("boot").cells(True))

    def test_mistakes(self):
        for text in ("target", "target=", "target=a,,b", "runs=x", "runs=0", "runs=-1", "cpus=2", ""):
            with self.assertRaises(ValueError, msg=text):
                suites.parse_choices(["kernel-build"], [text])
        with self.assertRaises(ValueError):
            suites.parse_choices(["boot"], ["runs=2"])


class HostKernel(unittest.TestCase):
    def test_a_file_that_is_not_there(self):
        with self.assertRaises(ValueError):
            board.set_kernel("/no/such/Image")
        self.assertIsNone(board.kernel())
