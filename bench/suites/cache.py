# SPDX-License-Identifier: GPL-2.0-only
"""Three ways of cleaning guest memory to the Point of Coherency before the guest may read it past the caches."""

from harness import board as machine, images
from harness.charts import by
from harness.contract import Metric

TITLE = "Cleaning to the Point of Coherency"
ABOUT = ("What is cleaned, line by line, until the guest's first instructions (a guest that powers off) and until its init "
         "(a boot of Linux), by nidus before the start, of all RAM or of what it has written (touched), or by KVM at "
         "each stage-2 fault and when the guest turns its MMU on (fault: a CPU without FEAT_S2FWB, and nothing done "
         "by nidus); nothing: a CPU with FEAT_S2FWB, and nothing done. The image is a file in the initial RAM disk, "
         "in MiB. Instructions are those of the whole run; on the emulated board cleaning a line is an instruction like "
         "any other, so counts are what can be compared there, not times, and data is never stale.")

METRICS = (
    Metric("host", "host", "instructions"),
    Metric("host_user", "host, user space", "instructions"),
    Metric("guest", "guest", "instructions"),
    Metric("lines", "lines cleaned", "lines"),
    Metric("nidus_lines", "by nidus", "lines"),
    Metric("fault_lines", "at faults", "lines"),
    Metric("toggle_lines", "when the MMU is turned on", "lines"),
    Metric("faults", "stage-2 faults in RAM", "faults"),
    Metric("mapped", "RAM mapped", "MiB"),
    Metric("seconds", "before the start", "s"),
)

# --cache-clean of each, and the CPU model of the board's that does or does not clean by itself.
WAYS = {"touched": ("touched", None), "all": ("all", None), "fault": ("none", "neoverse-n1"), "nothing": ("none", None)}


def cells(full):
    # The image is there twice until Linux has unpacked it.
    points = [("off", 10, 512), ("off", 100, 512), ("init", 10, 256), ("init", 10, 512), ("init", 100, 512),
              ("init", 10, 1024)]
    if full:
        points = [(until, image, mem) for until in ("off", "init") for image in (10, 30, 100, 300)
                  for mem in (256, 512, 1024, 2048) if mem > 2 * image + 128]
    # A machine of one's own has one CPU: whether KVM cleans there is told by the column.
    ways = [way for way in WAYS if machine.emulated() or way != "nothing"]
    return [{"vmm": "nidus", "until": until, "image": image, "mem": mem, "cleaning": way}
            for until, image, mem in points for way in ways]


def run(cell, board):
    clean, cpu = WAYS[cell["cleaning"]]
    kernel = images.kernel() if cell["until"] == "init" else "build/guest/off.bin"
    numbers = board.script("cache.board", cell["until"], cell["image"], cell["mem"], clean, kernel, images.initramfs(),
                           files=["bench/lib.board", kernel, images.initramfs()], mem="5G",
                           options=["--cpu", cpu] if cpu and machine.emulated() else [])
    measured = {name: numbers[name] for name in ("host", "host_user", "guest", "nidus_lines", "fault_lines",
                                                 "toggle_lines", "faults", "seconds")}
    measured["lines"] = sum(numbers[name] for name in ("nidus_lines", "fault_lines", "toggle_lines"))
    measured["mapped"] = numbers["mapped_bytes"] / 2**20
    return measured


def charts(rows):
    for until, words in (("off", "the first instruction"), ("init", "init")):
        for parameter, label in (("mem", "RAM (MiB)"), ("image", "image (MiB)")):
            other, fixed = ("image", 10) if parameter == "mem" else ("mem", 512)
            own = [row for row in rows if row["cell"]["until"] == until and row["cell"][other] == fixed]
            for metric, unit in (("lines", "lines cleaned"), ("host", "host instructions")):
                yield by(f"{unit.capitalize()} until {words}, {other} {fixed} MiB", own, metric, parameter, label, unit,
                         series="cleaning", kind="lines", log=True)
