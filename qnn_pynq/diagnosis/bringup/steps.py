"""The steps of the first hour, in their order."""

from __future__ import annotations

from functools import partial
from typing import Sequence

from ...contracts.network import Network
from ...contracts.overlay import Overlay
from . import circuit, load, memories, program_memory
from .hour import Step

__all__ = ["CLOCKS", "list_steps"]

CLOCKS = (50.0, 75.0, 100.0, 125.0)  # MHz
_AGAIN = "run it again after the board was off; if it fails in the same place, send the file"
_BLOCK = ("a block RAM, or what lies between it and memory, is broken or too slow: look whether the step at 50 MHz "
          "passes; the same bit at every try is the chip or the bitstream, changing ones are timing or power; "
          "send the file")


def list_steps(overlay: Overlay, networks: Sequence[Network], soak: float) -> list[Step]:
    """The steps for an overlay and its networks; `soak` in seconds."""
    slow = [clock for clock in CLOCKS if clock <= 1.01 * overlay.clock_mhz]
    found = [
        Step("machine", "Python, pynq, the image, memory and the overlays' files are as they should be (what "
                        "`qnn-pynq doctor` says)",
             "do what the doctor advises, beginning with its first failure", circuit.examine_machine, 120.0),
        Step("configure", "the FPGA took the bitstream, its manager says operating, ports are open, the clock is the "
                          "overlay's; no register was touched yet",
             "follow the message; a bitstream that is refused is of another part or damaged: fetch or install it again",
             circuit.configure, 120.0),
        Step("identity", "the circuit answers at its address, and it is this engine in this size",
             "another bitstream is in the logic, or the bus is wrong. A board that stops answering here waits for a "
             "register for ever: switch it off and on, and send the file that is there",
             circuit.identify, 30.0, ("configure",), True),
        Step("registers", "all 32 bits of data and the addresses between processor and circuit, both ways",
             "the path of M_AXI_GP0 is wrong or too slow: " + _AGAIN, circuit.scratch, 30.0, ("identity",), True),
        Step("counters", "the sequencer reads its program, layers take the cycles that they should, wrong programs end "
                         "with their error, and a right one runs after them",
             _AGAIN, circuit.count, 60.0, ("registers",), True),
        Step("interrupt", "a finished run interrupts the processor",
             "runs are polled without it: slower, and right. Look at the interrupt in the .hwh and in /proc/interrupts",
             circuit.interrupt, 30.0, ("counters",)),
        Step("one word", "the engine reads memory and writes it, at the addresses that it is told",
             "the path of S_AXI_HP0 is wrong, or buffers are not what the processor believes (flush, invalidate): "
             + _AGAIN, circuit.move_word, 30.0, ("counters",), True),
        Step("banks", "every bit of the banks by loads and stores, and of the loader's and the storer's buffer; data "
                      "lines and bursts of the memory port",
             _BLOCK, memories.banks, 120.0, ("one word",), True),
        Step("banks of the array", "every bit of the banks by the ports through which layers read and write them",
             _BLOCK + ". A word and the one half a bank behind it are copied to each other: one of the two is it",
             memories.banks_of_the_array, 120.0, ("banks",), True),
        Step("weights", "every bit of the weights, as sums of its element show it; so each lane of each popcount, one "
                        "at a time",
             _BLOCK + ". All words of one element wrong: its popcount", memories.weights, 300.0, ("banks",), True),
        Step("thresholds", "every threshold (its value exactly, not its place among the three of a word) and every "
                           "direction; so the comparisons of the drain, and sums of 22 bits",
             _BLOCK, memories.thresholds, 300.0, ("weights",), True),
        Step("program memory", "programs that fill it do what they say, each store at its own address; how many bits "
                               "of it were seen as 0 and as 1 is in the result: it is not all of them",
             _BLOCK, program_memory.program, 120.0, ("banks",), True),
    ]
    found += [
        Step(f"network {network.name}", "its known pictures are answered as published arithmetic says, in a batch and "
                                        "alone; a recording of it goes into the file",
             "memories well and a network wrong: timing, or a fault of ours; look whether the step at 50 MHz passes, "
             "and send the file", partial(load.answer, network), 600.0, ("one word",))
        for network in networks
    ]
    found += [_clock(clock, False) for clock in slow]
    found.append(
        Step("sensors", "what the board takes while it waits, where it measures that",
             "nothing to do: a meter between the board and its supply says the same", load.sense, 30.0))
    if networks:
        found.append(
            Step("soak", f"known pictures stay right for {soak:g} s, network after network, while the board grows warm",
                 "single wrong answers after right ones are power, heat or timing: try a better supply and a lower "
                 "clock; send the file", load.soak, soak + 300.0, ("one word",)))
    # Last: what fails here may stop the processor, and everything else is in the file by then.
    return found + [_clock(clock, True) for clock in CLOCKS if clock not in slow]


def _clock(mhz: float, beyond: bool) -> Step:
    proves = f"known pictures of every network at {mhz:g} MHz, and that this is the clock, by the circuit's own counter"
    remedy = "use a clock at which it passes"
    if beyond:
        proves += "; the overlay is not made for it, so this tells how much room there is"
        remedy += "; nothing is wrong with the board. If it stops answering, switch it off and on"
    return Step(f"clock {mhz:g} MHz", proves, remedy, partial(load.clock, mhz), 300.0, ("one word",), beyond=beyond)
