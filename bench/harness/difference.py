# SPDX-License-Identifier: GPL-2.0-only
"""What one costs, from two runs of different length: starting and ending drop out."""


def per_one(numbers, few, many):
    """few.NAME and many.NAME as NAME, for each one that the longer run did more."""
    names = dict.fromkeys(key.partition(".")[2] for key in numbers)
    return {name: (numbers.get(f"many.{name}", 0) - numbers.get(f"few.{name}", 0)) / (many - few)
            for name in names}
