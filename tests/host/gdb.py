# SPDX-License-Identifier: GPL-2.0-only
"""
What tests/host/gdb.sh has GDB do, in GDB's own Python: one function a scenario, whose name NIDUS_SCENARIO has.
Prints "ok - NAME" and "not ok - NAME" with what is wrong, and leaves the guest alone in the end.
"""

import os
import signal
import traceback

import gdb

PSTATE_DAIF = 0xF << 6
failures = []


def run(command):
    return gdb.execute(command, to_string=True)


def value(expression):
    return int(gdb.parse_and_eval(f"(unsigned long)({expression})")) & (1 << 64) - 1


def pc():
    return value("$pc")


def level():
    """The exception level, by CPSR."""
    return value("$cpsr") >> 2 & 3


def insn(address=None):
    """The instruction at an address, or at the PC, as a line of text."""
    return run(f"x/i {address if address is not None else '$pc'}").split(":", 1)[1].strip()


def address_of(symbol, mnemonic=None):
    """Where a symbol is, or the first instruction from there on that begins with mnemonic."""
    address = value(f"&{symbol}")
    while mnemonic and not insn(address).startswith(mnemonic):
        address += 4
    return address


def expect(condition, text):
    if not condition:
        failures.append(text)


def begin():
    failures.clear()


def end(name):
    print(("not ok - " if failures else "ok - ") + name, *failures, sep="\n    ", flush=True)


def go_to(address, hardware=True):
    """Runs to an address, and takes the breakpoint away."""
    run("delete")
    run(f"{'hbreak' if hardware else 'break'} *{address:#x}")
    run("continue")
    expect(pc() == address, f"stands at {pc():#x}, not {address:#x}")
    run("delete")


def backtrace():
    """Names of the functions that are being executed, the innermost first."""
    names, frame = [], gdb.newest_frame()
    while frame and len(names) < 20:
        names.append(frame.name())
        try:
            frame = frame.older()
        except gdb.error:
            break
    return names


def walk(steps):
    """Steps: each has to execute the instruction that it stands at, and no interrupt takes one away."""
    for _ in range(steps):
        here, text, daif = pc(), insn(), value("$cpsr") & PSTATE_DAIF
        run("stepi")
        jumps = text.split()[0].split(".")[0] in ("b", "bl", "br", "blr", "ret", "cbz", "cbnz", "tbz", "tbnz",
                                                  "retaa", "autiasp", "eret", "svc")
        expect(pc() == here + 4 or jumps, f"{here:#x}: {text} leads to {pc():#x}")
        masks = "daif" in text.lower() or text.startswith(("svc", "eret"))
        expect(value("$cpsr") & PSTATE_DAIF == daif or masks, f"{here:#x}: {text} changes the masks of interrupts")


def plain():
    begin()
    go_to(address_of("start_kernel"))
    expect(backtrace()[:2] == ["start_kernel", "__primary_switched"], f"backtrace: {backtrace()}")
    expect(value("$SCTLR_EL1") & 1, "the MMU is off in start_kernel()")
    end("a kernel stops in start_kernel(), where a breakpoint was set before it was there")

    begin()
    go_to(address_of("vfs_write"), hardware=False)
    expect(backtrace()[:2] == ["vfs_write", "ksys_write"], f"backtrace: {backtrace()}")
    end("a breakpoint of software is hit, and the backtrace is right")

    begin()
    where = address_of("vfs_read")
    before = run(f"x/2wx {where:#x}")
    run("set breakpoint always-inserted on")
    run(f"break *{where:#x}")
    expect(run(f"x/2wx {where:#x}") == before, "the breakpoint is seen in memory")
    place = run(f"monitor translate {where:#x}").split("-> ")[1].split()[0]
    expect("00 00 20 d4" not in run(f"monitor pa {place}"), "the breakpoint is seen in physical memory")
    run("delete")
    run("set breakpoint always-inserted off")
    end("memory is read as the guest has it, breakpoints or not")

    begin()
    go_to(address_of("vfs_write"))
    walk(300)
    end("300 steps lose none to interrupts, and leave PSTATE alone")

    begin()
    run("watch *(unsigned long *)&jiffies")
    before = value("*(unsigned long *)&jiffies")
    run("continue")
    expect(value("*(unsigned long *)&jiffies") > before, "nothing was written")
    run("delete")
    end("a watchpoint stops at who writes to a variable")

    begin()
    threads = run("info threads")
    expect("vCPU 0 level 1: guest, EL" in threads and "vCPU 1 level 1: guest, EL" in threads, threads)
    run("thread 2")
    expect(pc() != 0, "vCPU 1 is nowhere")
    old = value("$x20")
    run("set $x20 = 0x1234")
    expect(value("$x20") == 0x1234, "X20 was not set")
    run(f"set $x20 = {old}")
    expect("exits" not in run("monitor exits") and "mmio" in run("monitor exits"), run("monitor exits"))
    end("each vCPU is a thread with registers of its own")


def run_to_end():
    """Of the guest, and of nidus, which closes the connection."""
    try:
        run("continue")
    except gdb.error:
        pass


def attached():
    begin()
    go_to(address_of("start_kernel"))
    expect(backtrace()[:2] == ["start_kernel", "__primary_switched"], f"backtrace: {backtrace()}")
    walk(20)
    end("nidus debug --gdb is a way to a guest that has a name")


def idle():
    begin()
    go_to(address_of("start_kernel"))
    end("a debugger is there, and idle")
    run_to_end()


def own():
    begin()
    expect(gdb.selected_inferior().pid, "there is no guest")
    end("a debugger is there, and lets a guest's own do their work")
    run_to_end()


def armed():
    begin()
    go_to(address_of("start_kernel"))
    # Never executed: that it is there is what matters.
    run("break machine_restart")
    run("hbreak machine_halt")
    end("a debugger is there, with breakpoints")
    run_to_end()


def resets():
    begin()
    run("hbreak *0x40080004")
    for _ in range(3):
        run("continue")
        expect(pc() == 0x40080004, f"stands at {pc():#x}")
        expect(" debug 1 " in run("monitor exits"), "it is not another life: " + run("monitor exits"))
    end("a breakpoint holds for all lives of a guest that resets")
    run("kill")


def lost():
    begin()
    go_to(address_of("start_kernel"))
    run("set breakpoint always-inserted on")
    run("break vfs_write")
    run("hbreak vfs_read")
    end("a debugger is there, with breakpoints, and is killed")
    os.kill(os.getpid(), signal.SIGKILL)


def nest():
    start = address_of("start_kernel")
    begin()
    run("monitor level 2")
    run("hbreak start_kernel")
    run("continue")
    expect(pc() == start, f"stands at {pc():#x}")
    expect("level 2: guest inside, EL1, VMID" in run("info threads"), run("info threads"))
    expect(backtrace()[:2] == ["start_kernel", "__primary_switched"], f"backtrace: {backtrace()}")
    expect(value("$HCR_EL2") & 1, "HCR_EL2.VM is clear")
    expect(value("$VTTBR_EL2") >> 48 > 0, "there is no VMID")
    run("delete")
    end("a breakpoint for the guest's guest, set before there is one, stops in its start_kernel() and not in its host's")

    begin()
    text = run(f"monitor translate {start:#x}").split("-> ")[1].split()[0]
    word = run(f"x/wx {start:#x}").split(":")[1].split()[0]
    expect(run(f"monitor pa {text}").split(": ")[1].split()[3::-1] ==
           [word[i:i + 2] for i in range(2, 10, 2)], f"at {text} there is not {word}")
    run("monitor regime el2")
    expect(f"{value('*(unsigned long *)&linux_banner'):#x}" != "0x0", "the hypervisor's memory is not to be read")
    run("monitor regime auto")
    end("memory of both levels is read from either")

    begin()
    run("monitor level 1")
    go_to(address_of("__guest_enter", "eret"))
    expect(level() == 2, "the hypervisor is not at EL2")
    target = value("$ELR_EL2")
    run("stepi")
    expect(pc() == target, f"ERET leads to {pc():#x}, not {target:#x}")
    expect(level() == 1 and "level 2" in run("info threads"), "the guest inside is not at EL1")
    end("a step leads by ERET from the hypervisor to the first instruction of its guest")

    begin()
    walk(100)
    expect("level 2" in run("info threads"), "the guest inside was left")
    end("100 steps of the guest inside lose none to its hypervisor's interrupts")

    begin()
    run("monitor level 2")
    go_to(address_of("__arm_smccc_hvc", "hvc"))
    here, pstate = pc(), value("$cpsr")
    run("stepi")
    expect(level() == 2, "HVC does not lead to EL2")
    expect(pc() == value("$VBAR_EL2") + 0x400, f"HVC leads to {pc():#x}")
    expect(value("$ELR_EL2") == here + 4, "ELR_EL2 is not behind the HVC")
    expect(value("$SPSR_EL2") & 0xffffffff == pstate & 0xffffffff, "SPSR_EL2 is not what PSTATE was")
    expect(value("$ESR_EL2") >> 26 == 0x16, "ESR_EL2 knows of no HVC")
    run("monitor level 1")
    go_to(address_of("__guest_enter", "eret"))
    run("stepi")
    expect(level() == 1 and pc() == value("$ELR_EL2"), "the way back leads elsewhere")
    end("a step leads by HVC from the guest inside to the hypervisor's vector, and another one back")
    run("monitor level any")


def processes():
    begin()
    run("monitor level 2")
    run("hbreak start_kernel")
    run("continue")
    run("delete")
    run("add-inferior -exec " + gdb.current_progspace().filename)
    run("inferior 2")
    run("attach 2")
    # The vCPU has been process 1's so far, with these registers.
    run("maintenance flush register-cache")
    run("set schedule-multiple on")
    expect("level 2: guest inside" in run("info threads"), run("info threads"))
    expect(pc() == address_of("start_kernel"), f"the guest inside is at {pc():#x}")
    run("inferior 1")
    expect(pc() == value("$VBAR_EL2") + 0x400, f"the hypervisor is at {pc():#x}")
    end("both levels are processes with memory and registers of their own")

    begin()
    run("stepi")
    expect(level() == 2, "the hypervisor is not entered")
    expect("vCPU 0 level 1: hypervisor, EL2" in run("info threads"), run("info threads"))
    run("thread 2.1")
    there = pc()
    run("stepi")
    expect(pc() == there and "level 2: guest inside" in run("info threads"), run("info threads"))
    end("the one that is not in is stepped to")
    run("monitor level any")


def stuck():
    """As docs/debugging.md finds the mistake."""
    begin()
    run("file " + os.environ["NIDUS_PAYLOAD"])
    if "wait_for_interrupt" not in run("backtrace"):
        # It has only just begun.
        run("hbreak wait_for_interrupt")
        run("continue")
        run("delete")
    expect("level 2: guest inside, EL1" in run("info threads"), run("info threads"))
    expect("waits (" in run("backtrace"), run("backtrace"))
    expect("wfi" in run("x/2i $pc - 4"), run("x/2i $pc - 4"))
    expect(" mmio" not in run("monitor exits"), run("monitor exits"))
    said = run("monitor vgic")
    expect("ICH_HCR_EL2 0x00000000: the guest's interface is off" in said and
           "virtual INTID 40, pending, priority 0xa0, group 1" in said, said)
    end("a guest's guest that waits for ever is found, and what its hypervisor has forgotten")
    run("kill")


def steps():
    """Beside what the board says that it has executed when there was no debugger. Where an instruction faults and is
    executed once more, that has it twice."""
    count = 10000
    with open(os.environ["NIDUS_TRACE"]) as trace:
        executed = [int(line.split()[1], 16) for line in trace]
    run("file " + os.environ["NIDUS_PAYLOAD"])
    first = address_of("one_round")
    executed = executed[executed.index(first):]
    executed = [here for here, before in zip(executed, [None] + executed) if here != before][:count]
    begin()
    expect(len(executed) == count, f"the trace has {len(executed)} instructions")
    go_to(first)
    for n, there in enumerate(executed):
        if pc() != there:
            expect(False, f"step {n} leads to {pc():#x}, not {there:#x}")
            break
        run("stepi")
    end(f"{count} steps of a hypervisor and its guest are what the board executes")
    run_to_end()


gdb.execute("set pagination off")
gdb.execute("set confirm off")
gdb.execute("set remotetimeout 100")
try:
    gdb.execute("target extended-remote " + os.environ["NIDUS_PLACE"])
    globals()[os.environ["NIDUS_SCENARIO"]]()
    run("delete")
    if gdb.selected_inferior().pid:
        gdb.execute("detach")
except gdb.error:
    print("not ok - the debugger got to its end", traceback.format_exc().replace("\n", "\n    "), sep="\n    ")
