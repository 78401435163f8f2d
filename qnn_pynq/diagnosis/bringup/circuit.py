"""Steps on the circuit as a whole: who is there, registers, counters, errors, the interrupt, the first word."""

from __future__ import annotations

import numpy as np

from ...contracts.chip import FPGA_MANAGER
from ...errors import DeadlineError, StatusError, WrongAnswerError
from ...families.engine.control import Engine, Window
from ...families.engine.program import (
    ACTIVATIONS,
    INPUT,
    OUTPUT,
    End,
    Flags,
    Instruction,
    Layer,
    Load,
    Place,
    Store,
    encode,
)
from ...families.engine.registers import DONE, REGION, VERSION, Reg
from ..doctor import examine
from .bench import SENTINEL, Bench
from .hour import FAILED, NOT_HERE, OK, Finding, Hour

__all__ = ["configure", "count", "examine_machine", "identify", "interrupt", "move_word", "scratch"]

_WORD = 0xFFFFFFFF
_REGIONS = tuple(REGION + 16 * region + 4 * place for region in range(4) for place in range(3))
_SIZE, _TAPS = (10, 20), 100  # pixels of the layer that is counted, and words of each
_MARK = 0x0123456789ABCDEF
_LINE = 1.0  # seconds for an interrupt
_NO_WINDOWS = (Window(),) * 4


def examine_machine(hour: Hour) -> Finding:
    """The doctor's report."""
    checks = examine(hour.host.root, hour.host.environ)
    details = {"checks": [dict(check._asdict()) for check in checks]}
    failed = [check for check in checks if check.status == "fail"]
    if failed:
        return Finding(FAILED, "; ".join(f"{check.name}: {check.value}: {check.advice}" for check in failed), details)
    warned = ", ".join(check.name for check in checks if check.status == "warn")
    return Finding(OK, f"{len(checks)} checks" + (f", warnings about {warned}" if warned else ""), details)


def configure(hour: Hour) -> Finding:
    """The bitstream into the FPGA, by everything that is looked at before the first register."""
    board = hour.board
    board.configure(hour.overlay)
    mhz = getattr(hour.real, "clock_mhz", None)
    state = hour.host.text(f"{FPGA_MANAGER}/state") if not board.emulated else None
    details = {"board": board.name, "generation": board.generation, "clock_mhz": mhz, "fpga_manager": state}
    if board.emulated:
        return Finding(OK, f"{hour.overlay.name} in the {board.name}, which has no bitstream and no clock", details)
    clock = "at an unknown clock" if mhz is None else f"at {mhz:g} MHz"
    return Finding(OK, f"{hour.overlay.name} on {board.name} {clock}; FPGA manager: {state or 'not there'}", details)


def identify(hour: Hour) -> Finding:
    """Magic, version and sizes."""
    engine, registers = Engine(hour.board, hour.overlay), hour.board.ip(hour.overlay.ip.name)
    engine.check_identity()
    names = (Reg.MAGIC, Reg.VERSION, Reg.BUILD, Reg.CAPS0, Reg.CAPS1, Reg.CAPS2, Reg.STATUS)
    shown = {register.name: f"{registers.read(register):#010x}" for register in names}
    sizes = hour.overlay.geometry
    return Finding(OK, f"an engine of version {VERSION:#x}, {sizes['pe']} elements x {sizes['vectors']} vectors, build "
                       f"{shown['BUILD']}", {"registers": shown})


def scratch(hour: Hour) -> Finding:
    """Every data bit and the addresses of the registers that hold all of their bits."""
    registers = hour.bench().registers
    values = [0, _WORD] + [1 << bit for bit in range(32)] + [_WORD ^ 1 << bit for bit in range(32)]
    places = (int(Reg.SCRATCH), *_REGIONS)
    wrong = []

    def look(place: int, wanted: int) -> None:
        found = registers.read(place)
        if found != wanted:
            wrong.append(f"register {place:#x}: {found:#010x} instead of {wanted:#010x}")

    for value in values:
        registers.write(Reg.SCRATCH, value)
        look(Reg.SCRATCH, value)
    for turned in (0, _WORD):  # all of them at once, each with a value of its own
        for place in places:
            registers.write(place, turned ^ place * 0x01010101 & _WORD)
        for place in places:
            look(place, turned ^ place * 0x01010101 & _WORD)
    for place in places:
        registers.write(place, 0)
    if wrong:
        raise WrongAnswerError(f"{len(wrong)} of {len(values) + 2 * len(places)} values came back wrong; " + wrong[0])
    Engine(hour.board, hour.overlay).check_identity()
    return Finding(OK, f"{len(values)} values of all 32 bits in SCRATCH; {len(places)} registers keep values apart")


def count(hour: Hour) -> Finding:
    """The sequencer: an empty program, one whose work is known, and one of each wrong kind."""
    bench = hour.bench()
    vectors = bench.geometry["vectors"]
    empty = bench.run([], groups=3).counters  # wait() has compared PICTURES with 3 groups
    words = _SIZE[0] * _SIZE[1] * _TAPS
    layer = Layer(Place(0), Place(0), out_size=_SIZE, words=_TAPS)
    ran = bench.run([layer]).counters
    if ran.busy != words or not words <= ran.cycles < 20 * words or empty.busy:
        raise WrongAnswerError(f"a layer of {words} words: {ran.busy} were counted in {ran.cycles} cycles; an empty "
                               f"program: {empty.busy}; expected {words}, {words} or some more cycles, and 0")
    problems = []
    for what, program, watchdog, code in (
        ("a word that is no instruction", np.zeros(1, np.uint64), _WORD, 1),
        ("a transfer beyond its region", encode([Load(ACTIVATIONS, INPUT, 0, 16, Place(0)), End()]), _WORD, 2),
        ("a watchdog of 100 cycles", encode([layer, End()]), 100, 5),
    ):
        status = _broken(bench, program, watchdog)
        if status & 0xFFF6 != 4 | code << 8:
            problems.append(f"{what}: status {status:#010x} instead of error {code}")
    if problems:
        raise StatusError("; ".join(problems))
    bench.run([])
    return Finding(OK, f"{ran.busy} words of a layer in {ran.cycles} cycles; 3 groups are {3 * vectors} pictures; "
                       "three kinds of errors by their codes, and a right run after them", {"counters": ran._asdict()})


def _broken(bench: Bench, program: np.ndarray, watchdog: int) -> int:
    """STATUS after a program that must not end well."""
    board, registers = bench.board, bench.registers
    bench.engine.write_program(program)
    for place in _REGIONS:
        registers.write(place, 0)
    for register, value in ((Reg.GROUPS, 1), (Reg.WATCHDOG, watchdog), (Reg.IRQ_STATUS, 3), (Reg.CONTROL, 1)):
        registers.write(register, value)
    try:
        board.wait(bench.overlay.ip.name, (int(Reg.STATUS), 0xFE), _LINE, "an error")
    except DeadlineError:
        return int(registers.read(Reg.STATUS))
    status = int(registers.read(Reg.STATUS))
    bench.engine.quiet()
    return status


def interrupt(hour: Hour) -> Finding:
    """The line into the processor."""
    line = hour.real.interrupt_line(hour.overlay.ip.name)
    if line is None:
        return Finding(NOT_HERE, f"{hour.real.name} has no interrupt line for {hour.overlay.name}")
    bench = hour.bench()
    registers = bench.registers
    bench.engine.write_program(encode([End()]))
    bench.engine.start(Engine.start_program(1, _NO_WINDOWS))
    fired = line.wait(_LINE)
    status = registers.read(Reg.STATUS)
    if not status & DONE:
        raise StatusError(f"an empty program shows status {status:#010x} after {_LINE:g} s: see the step counters")
    registers.write(Reg.IRQ_STATUS, 3)
    if fired is None:
        return Finding(NOT_HERE, "the processor cannot wait for this interrupt (no UIO device on it, or a running "
                                 "event loop): runs are polled, which is slower and not wrong")
    if not fired:
        return Finding(FAILED, f"the run was done, and no interrupt came within {_LINE:g} s")
    return Finding(OK, "a finished run interrupts the processor")


def move_word(hour: Hour) -> Finding:
    """One word of memory to a bank and back: both directions of the memory port."""
    bench = hour.bench()
    vectors = bench.geometry["vectors"]
    data = np.full(vectors, _MARK, np.uint64)
    data[1:] = np.arange(1, vectors)
    program: list[Instruction] = [
        Load(ACTIVATIONS, INPUT, 0, vectors, Place(0)),
        Store(OUTPUT, 128, 1, Place(0), Flags(wait_load=True)),
    ]
    output = bench.run(program, data, output=64).output
    wanted = np.full(64, SENTINEL, np.uint64)
    wanted[16 : 16 + vectors] = data
    wrong = np.flatnonzero(output != wanted)
    if wrong.size:
        first = int(wrong[0])
        missing = bool((output == np.uint64(SENTINEL)).all())
        hint = ": nothing was written" if missing else ""
        raise WrongAnswerError(f"{wrong.size} of 64 words in memory are wrong{hint}; word {first} is "
                               f"{int(output[first]):#018x} instead of {int(wanted[first]):#018x}")
    return Finding(OK, f"one word of each of {vectors} banks went there and came back, and nothing beside it was "
                       "written")

