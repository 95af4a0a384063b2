# SPDX-License-Identifier: GPL-2.0-only
"""What a suite (bench/suites/NAME.py) and the harness say to each other; bench/README.md explains it."""

from dataclasses import dataclass, field


def word(text):
    """Reads a choice that is a word; ValueError for anything else."""
    if not text or any(character.isspace() for character in text):
        raise ValueError(f"a word is wanted, not '{text}'")
    return text


def count(text):
    """Reads a choice that is a number from 1 on; ValueError for anything else."""
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"a number from 1 on is wanted, not '{text}'")
    return int(text)


class Failed(Exception):
    """A cell that could not be measured; the text is the reason, for people."""


@dataclass(frozen=True)
class Metric:
    """A number that a cell measures; less is better.

    A family's numbers are called NAME.KIND, with the kinds that occurred.
    """

    name: str
    label: str
    unit: str
    exact: bool = False  # repeats exactly: bench/compare takes any growth for one
    noise: float = 0  # what it differs by from run to run, in its unit, however small it is
    family: bool = False


@dataclass
class Chart:
    """Data for one plot. A series has a value, or None where there is none, for each x."""

    title: str
    xlabel: str
    ylabel: str
    xs: list
    series: dict = field(default_factory=dict)
    kind: str = "bars"  # or "lines"
    log: bool = False  # the y axis
