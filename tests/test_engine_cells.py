"""The models of the chip's cells do what the vendor's guides say: tables, and a memory in plain Python."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from engine_boards import need_simulator

from qnn_pynq.boards.rtl.build import check_tools

pytestmark = pytest.mark.slow

CELLS = Path(__file__).resolve().parent / "engine_bench" / "cells"
CYCLES = 3000
TABLES = np.random.default_rng(5).integers(0, 256, (6, 3, 8), np.uint8)
INITS = {
    width: [number >> (64 - (1 << width)) for number in TABLES[width - 1].view("<u8")[:, 0].tolist()]
    for width in range(1, 7)
}

# Reads the inputs of each cycle in 32-bit words, writes the outputs after the clock edge. Where the Verilog stops, it
# goes on, so that one run has all that there is to say.
DRIVER = """
#include <cstdio>
#include <cstring>
#include "Vdut.h"
#include "verilated.h"
void vl_stop(const char *, int, const char *) {}
void vl_fatal(const char *, int, const char *, const char *) {}
void vl_finish(const char *, int, const char *) {}
int main() {
    VerilatedContext context;
    context.randReset(2);
    Vdut dut(&context);
    dut.clk = 0;
    dut.eval();
    while (fread(dut.in.data(), 4, IN, stdin) == IN) {
        dut.eval();
        dut.clk = 1;
        dut.eval();
        fwrite(dut.out.data(), 4, OUT, stderr);
        dut.clk = 0;
        dut.eval();
    }
}
"""


class Pins(NamedTuple):
    """An instance of a cell: bits of the inputs and of the outputs of all."""

    text: str
    inputs: int
    outputs: int


class Bench:
    """Instances of cells, all of them in one circuit.

    Each is a line of Verilog in which `i` and `o` stand for its inputs and outputs, and `clk` for the clock.
    """

    def __init__(self, instances: dict[str, Pins], folder: Path) -> None:
        self.instances = instances
        self._at: dict[str, tuple[int, int]] = {}
        body, inputs, outputs = [], 0, 0
        for number, (name, pins) in enumerate(instances.items()):
            self._at[name] = inputs, outputs
            body.append(
                f"if (1) begin: n{number} wire [{pins.inputs - 1}:0] i = in[{inputs} +: {pins.inputs}]; "
                f"wire [{pins.outputs - 1}:0] o; assign out[{outputs} +: {pins.outputs}] = o; {pins.text} end\n"
            )
            inputs, outputs = inputs + pins.inputs, outputs + pins.outputs
        self._words = max(3, -(-inputs // 32)), max(3, -(-outputs // 32))  # of more than 64 bits: an array in C++
        ports = f"input clk, input [{32 * self._words[0] - 1}:0] in, output [{32 * self._words[1] - 1}:0] out"
        text = f"module dut({ports});\ngenerate\n{''.join(body)}endgenerate\nendmodule\n"
        (folder / "dut.v").write_text(text)
        (folder / "driver.cpp").write_text(DRIVER)
        verilator, compiler = check_tools()
        sizes = f"-DIN={self._words[0]} -DOUT={self._words[1]} -DVL_USER_STOP -DVL_USER_FATAL -DVL_USER_FINISH"
        command = [verilator, "--cc", "--exe", "--build", "--no-timing", "--assert", "--x-initial", "unique"]
        command += [
            "-Wno-fatal",
            "--prefix",
            "Vdut",
            "--top-module",
            "dut",
            "--Mdir",
            "made",
            "-o",
            "dut",
            "-CFLAGS",
            sizes,
        ]
        command += ["-MAKEFLAGS", f"CXX={compiler} LINK={compiler}", "dut.v", "driver.cpp"]
        command += map(str, sorted(CELLS.glob("*.v")))
        done = subprocess.run(command, cwd=str(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-3000:]
        self._program = folder / "made" / "dut"

    def run(self, given: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], str]:
        """Bits of outputs after each cycle (cycle, bit) of the instances named, and what was printed."""
        cycles = max(len(bits) for bits in given.values())
        bits = np.zeros((cycles, 32 * self._words[0]), np.uint8)
        for name, values in given.items():
            start = self._at[name][0]
            bits[: len(values), start : start + values.shape[1]] = values
        done = subprocess.run(
            [str(self._program)],
            input=np.packbits(bits, axis=1, bitorder="little").tobytes(),
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == 0
        out = np.frombuffer(done.stderr, np.uint8).reshape(cycles, 4 * self._words[1])
        seen = np.unpackbits(out, axis=1, bitorder="little")
        result = {}
        for name, values in given.items():
            start = self._at[name][1]
            result[name] = seen[: len(values), start : start + self.instances[name].outputs]
        return result, done.stdout.decode()


INIT_VALUES = {"INIT_A": 0x123456789, "INIT_B": 0xFEDCBA987, "SRVAL_A": 0x5A5A5A5A5, "SRVAL_B": 0x3C3C3C3C3}


class Ram(NamedTuple):
    """A block RAM of some parameters. `read`, `write`, `mode`: of port A and of port B."""

    kb: int
    how: str
    read: tuple[int, int]
    write: tuple[int, int]
    mode: tuple[str, str]

    @property
    def bits(self) -> int:
        """Of a data pin."""
        return 32 if self.kb == 36 else 16

    def inputs(self) -> dict[str, int]:
        """Pins and their widths."""
        address, data = (16, 32) if self.kb == 36 else (14, 16)
        widths = {"ENARDEN": 1, "ENBWREN": 1, "RSTRAMARSTRAM": 1, "RSTRAMB": 1, "ADDRARDADDR": address}
        widths.update(ADDRBWRADDR=address, WEA=data // 8, WEBWE=data // 4)
        widths.update(DIADI=data, DIBDI=data, DIPADIP=data // 8, DIPBDIP=data // 8)
        return widths

    def outputs(self) -> dict[str, int]:
        return {"DOADO": self.bits, "DOBDO": self.bits, "DOPADOP": self.bits // 8, "DOPBDOP": self.bits // 8}

    def contents(self) -> tuple[np.ndarray, np.ndarray]:
        """Bits of data and of parity at power-up."""
        random = np.random.default_rng(self.kb)
        size = 1024 * self.kb // 9 * 8
        return random.integers(0, 2, size, np.uint8), random.integers(0, 2, size // 8, np.uint8)

    def pins(self) -> Pins:
        parameters: dict[str, str | int] = {"RAM_MODE": f'"{self.how}"'}
        for port, read, write, mode in zip("AB", self.read, self.write, self.mode):
            parameters.update({f"READ_WIDTH_{port}": read, f"WRITE_WIDTH_{port}": write})
            parameters[f"WRITE_MODE_{port}"] = f'"{mode}"'
        parameters.update({name: f"36'h{value:x}" for name, value in INIT_VALUES.items()})
        for name, bits in zip(("INIT", "INITP"), self.contents()):
            for row in range(len(bits) // 256):
                value = number(bits[256 * row : 256 * row + 256])
                parameters[f"{name}_{row:02X}"] = f"256'h{value:064x}"
        ports = dict.fromkeys(("REGCEAREGCE", "REGCEB", "RSTREGARSTREG", "RSTREGB"), "1'b0")
        ports.update(CLKARDCLK="clk", CLKBWRCLK="clk")
        ends = []
        for letter, widths in (("i", self.inputs()), ("o", self.outputs())):
            at = 0
            for name, width in widths.items():
                ports[name] = f"{letter}[{at} +: {width}]"
                at += width
            ends.append(at)
        return instance(f"RAMB{self.kb}E1", parameters, ports, *ends)


def instance(cell: str, parameters: dict[str, str | int], ports: dict[str, str], inputs: int, outputs: int) -> Pins:
    values = ", ".join(f".{name}({value})" for name, value in parameters.items())
    wires = ", ".join(f".{name}({wire})" for name, wire in ports.items())
    return Pins(f"{cell} #({values}) c ({wires});", inputs, outputs)


def number(bits: np.ndarray) -> int:
    return int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little")


def binary(value: int, width: int) -> np.ndarray:
    return np.array([value >> bit & 1 for bit in range(width)], np.uint8)


def data_bits(width: int) -> int:
    return width // 9 * 8 if width >= 9 else width


class Memory:
    """A block RAM in plain Python."""

    def __init__(self, ram: Ram) -> None:
        self.ram = ram
        self.data, self.parity = ram.contents()
        self.latches = [self._side("INIT", port) for port in range(2)]

    def _side(self, name: str, port: int) -> tuple[np.ndarray, np.ndarray]:
        """Data and parity of a parameter of both ports."""
        width = self.ram.read[port]
        if self.ram.how == "SDP" and port == 0:
            halves = [INIT_VALUES[f"{name}_{letter}"] for letter in "AB"]
            data, parity = self.ram.bits, self.ram.bits // 8
            return (
                np.concatenate([binary(half, data) for half in halves]),
                np.concatenate([binary(half >> data, parity) for half in halves]),
            )
        value, count = INIT_VALUES[f"{name}_{'AB'[port]}"], data_bits(width)
        return binary(value, count), binary(value >> count, width // 9)

    def clock(self, pins: dict[str, int]) -> None:
        ram, wide = self.ram, self.ram.how == "SDP"
        writes, old, fresh = [], [], []
        for port, (enable, address, data, parity) in enumerate(
            (("ENARDEN", "ADDRARDADDR", "DIADI", "DIPADIP"), ("ENBWREN", "ADDRBWRADDR", "DIBDI", "DIPBDIP"))
        ):
            width = max(ram.read[port], ram.write[port], 1)
            count = data_bits(width)
            start = pins[address] % len(self.data) // count * count
            given, given_parity = binary(pins[data], ram.bits), binary(pins[parity], ram.bits // 8)
            if wide and port == 1:
                given = np.concatenate([binary(pins["DIADI"], ram.bits), given])
                given_parity = np.concatenate([binary(pins["DIPADIP"], ram.bits // 8), given_parity])
            enables = pins["WEBWE" if port else "WEA"] if ram.write[port] and pins[enable] else 0
            bytes_ = [k for k in range(max(1, count // 8)) if enables >> k & 1]
            writes.append((start, bytes_))
            word, word_parity = self.data[start : start + count].copy(), self.parity[start // 8 :][: width // 9].copy()
            old.append((word.copy(), word_parity.copy()))
            for k in bytes_:
                word[8 * k : 8 * k + 8] = given[8 * k : 8 * k + 8][: len(word)]
                word_parity[k : k + 1] = given_parity[k : k + 1][: len(word_parity)]
            fresh.append((word, word_parity, count, width))
        most = max(count for _, _, count, _ in fresh)
        met = writes[0][0] // most == writes[1][0] // most
        for port in range(2):
            if ram.read[port] and pins["ENBWREN" if port else "ENARDEN"]:
                bytes_ = writes[port][1]
                spoilt = met and writes[1 - port][1] and ram.mode[1 - port] != "READ_FIRST"
                if pins["RSTRAMB" if port else "RSTRAMARSTRAM"]:
                    self.latches[port] = self._side("SRVAL", port)
                elif not (bytes_ and ram.mode[port] == "NO_CHANGE"):
                    data, parity = fresh[port][:2] if ram.mode[port] == "WRITE_FIRST" else old[port]
                    self.latches[port] = (data ^ 1, parity ^ 1) if spoilt else (data, parity)
        for port in range(2):
            (start, bytes_), (word, parity, count, width) = writes[port], fresh[port]
            for k in bytes_:
                size = min(8, count)
                self.data[start + 8 * k : start + 8 * k + size] = word[8 * k : 8 * k + size]
                if width >= 9:
                    self.parity[start // 8 + k] = parity[k]

    def shown(self) -> list[tuple[str, np.ndarray]]:
        """Pins and those of their bits that a port of its width has."""
        found = []
        for port, letter in enumerate("AB"):
            if self.ram.read[port]:
                data, parity = self.latches[port]
                if self.ram.how == "SDP":
                    half = self.ram.bits
                    found += [("DOADO", data[:half]), ("DOBDO", data[half:])]
                    found += [("DOPADOP", parity[: half // 8]), ("DOPBDOP", parity[half // 8 :])]
                else:
                    found += [(f"DO{letter}DO", data), (f"DOP{letter}DOP", parity)]
        return found


MODES = ("READ_FIRST", "WRITE_FIRST", "NO_CHANGE")
RAMS = {
    "ramb36 sdp": Ram(36, "SDP", (72, 0), (0, 72), ("READ_FIRST", "READ_FIRST")),
    "ramb36 sdp, write first": Ram(36, "SDP", (72, 0), (0, 72), ("WRITE_FIRST", "WRITE_FIRST")),
    "ramb18 sdp": Ram(18, "SDP", (36, 0), (0, 36), ("READ_FIRST", "READ_FIRST")),
    "ramb36 mixed": Ram(36, "TDP", (0, 9), (36, 0), ("READ_FIRST", "READ_FIRST")),
    "ramb18 mixed": Ram(18, "TDP", (18, 0), (0, 4), ("WRITE_FIRST", "NO_CHANGE")),
}
for _width in (1, 2, 4, 9, 18, 36):
    RAMS[f"ramb36 x{_width}"] = Ram(36, "TDP", (0, _width), (_width, 0), ("READ_FIRST", "READ_FIRST"))
for _number, _mode in enumerate(MODES):
    RAMS[f"ramb36 {_mode}"] = Ram(36, "TDP", (36, 36), (36, 0), (_mode, "READ_FIRST"))
    RAMS[f"ramb18 {_mode}"] = Ram(18, "TDP", (9, 18), (0, 18), ("READ_FIRST", _mode))

LUTS = {
    f"LUT{width} {value:x}": instance(
        f"LUT{width}",
        {"INIT": f"{1 << width}'h{value:x}"},
        {"O": "o[0]", **{f"I{k}": f"i[{k}]" for k in range(width)}},
        width,
        1,
    )
    for width, values in INITS.items()
    for value in values
}
WIRES = {
    "MUXF7": instance("MUXF7", {}, {"O": "o[0]", "I0": "i[0]", "I1": "i[1]", "S": "i[2]"}, 3, 1),
    "MUXF8": instance("MUXF8", {}, {"O": "o[0]", "I0": "i[0]", "I1": "i[1]", "S": "i[2]"}, 3, 1),
    "INV": instance("INV", {}, {"O": "o[0]", "I": "i[0]"}, 1, 1),
    "BUFG": instance("BUFG", {}, {"O": "o[0]", "I": "i[0]"}, 1, 1),
    "constants": Pins("GND g(.G(o[0])); VCC v(.P(o[1]));", 1, 2),
    "CARRY4": instance(
        "CARRY4",
        {},
        {"O": "o[3:0]", "CO": "o[7:4]", "CI": "i[0]", "CYINIT": "i[1]", "DI": "i[5:2]", "S": "i[9:6]"},
        10,
        8,
    ),
}
FLOPS = {
    f"{cell} {init}": instance(
        cell, {"INIT": f"1'b{init}"}, {"Q": "o[0]", "C": "clk", "CE": "i[0]", "D": "i[1]", cell[2]: "i[2]"}, 3, 1
    )
    for cell in ("FDRE", "FDSE")
    for init in "01x"
}
DEFAULTS = {
    cell: instance(cell, {}, {"Q": "o[0]", "C": "clk", "CE": "1'b0", "D": "i[0]", cell[2]: "1'b0"}, 1, 1)
    for cell in ("FDRE", "FDSE")
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Bench:
    need_simulator()
    instances = {**LUTS, **WIRES, **FLOPS, **DEFAULTS, **{name: ram.pins() for name, ram in RAMS.items()}}
    return Bench(instances, tmp_path_factory.mktemp("cells"))


def all_values(width: int) -> np.ndarray:
    return np.arange(1 << width)[:, None] >> np.arange(width) & 1


@pytest.mark.parametrize("name", LUTS)
def test_a_lut_gives_the_bit_of_its_table(bench, name):
    width, table = int(name[3]), int(name.split()[1], 16)
    found, said = bench.run({name: all_values(width)})
    assert found[name][:, 0].tolist() == [table >> row & 1 for row in range(1 << width)]
    assert said == ""


def test_multiplexers_buffers_and_constants(bench):
    names = ("MUXF7", "MUXF8", "INV", "BUFG", "constants")
    found, said = bench.run({name: all_values(WIRES[name].inputs) for name in names})
    for name in ("MUXF7", "MUXF8"):
        assert found[name][:, 0].tolist() == [0, 1, 0, 1, 0, 0, 1, 1]
    assert found["INV"][:, 0].tolist() == [1, 0]
    assert found["BUFG"][:, 0].tolist() == [0, 1]
    assert found["constants"].tolist() == [[0, 1]] * 2
    assert said == ""


def test_a_carry_chain_adds(bench):
    given = all_values(10)
    first, second = given[:, 2:6] @ (1, 2, 4, 8), (given[:, 2:6] ^ given[:, 6:10]) @ (1, 2, 4, 8)  # DI, and DI ^ S
    total = first + second + (given[:, 0] | given[:, 1])
    found, _ = bench.run({"CARRY4": given})
    assert (found["CARRY4"][:, :4] @ (1, 2, 4, 8) == total % 16).all()
    assert (found["CARRY4"][:, 7] == total // 16).all()
    for bit in range(1, 4):
        part = (first % (1 << bit)) + (second % (1 << bit)) + (given[:, 0] | given[:, 1])
        assert (found["CARRY4"][:, 3 + bit] == part >> bit).all()


@pytest.mark.parametrize("name", FLOPS)
def test_a_flip_flop_resets_before_it_asks_for_its_enable(bench, name):
    given = np.random.default_rng(1).integers(0, 2, (500, 3))
    given[:5] = 0
    found, said = bench.run({name: given})
    state = found[name][0, 0] if name.endswith("x") else int(name[-1])
    for (enable, data, reset), shown in zip(given.tolist(), found[name][:, 0].tolist()):
        state = int(name[2] == "S") if reset else data if enable else state
        assert shown == state
    assert said == ""


def test_a_flip_flop_powers_up_as_the_guide_says(bench):
    found, _ = bench.run({name: np.zeros((2, 1)) for name in DEFAULTS})
    assert {name: values[0, 0] for name, values in found.items()} == {"FDRE": 0, "FDSE": 1}


@pytest.mark.parametrize("name", RAMS)
def test_a_block_ram_keeps_what_is_written(bench, name):
    ram, random = RAMS[name], np.random.default_rng(2)
    widths = ram.inputs()
    few = random.integers(0, 1 << 14, 4) & ~63
    given, rows = [], np.zeros((CYCLES, sum(widths.values())), np.uint8)
    for cycle in range(CYCLES):
        pins = {field: number(random.integers(0, 2, width)) for field, width in widths.items()}
        for field in ("ADDRARDADDR", "ADDRBWRADDR"):
            if random.random() < 0.9:
                pins[field] = int(random.choice(few)) | (pins[field] & 63)
        for field, port in (("WEA", 0), ("WEBWE", 1)):
            count = max(1, data_bits(ram.write[port]) // 8)
            pins[field] = int("".join([f"{pins[field] % (1 << count):0{count}b}"] * widths[field])[-widths[field] :], 2)
        pins["RSTRAMARSTRAM"] &= int(random.random() < 0.1)
        pins["RSTRAMB"] &= int(random.random() < 0.1)
        given.append(pins)
        rows[cycle] = np.concatenate([binary(pins[field], width) for field, width in widths.items()])
    found, said = bench.run({name: rows})
    memory, at = Memory(ram), dict(zip(ram.outputs(), np.cumsum([0, *ram.outputs().values()])))
    for cycle, pins in enumerate(given):
        memory.clock(pins)
        for pin, bits in memory.shown():
            assert (found[name][cycle, at[pin] : at[pin] + len(bits)] == bits).all(), (cycle, pin)
    assert said == ""


SDP = {"RAM_MODE": '"SDP"', "READ_WIDTH_A": 72, "WRITE_WIDTH_B": 72}
UNKNOWN = [
    ("RAMB36E1", {"DOA_REG": 1}, "DOA_REG = 1"),
    ("RAMB18E1", {"DOB_REG": 1}, "DOB_REG = 1"),
    ("RAMB36E1", {"RAM_MODE": '"XDP"'}, "RAM_MODE = XDP"),
    ("RAMB36E1", {"RAM_EXTENSION_B": '"LOWER"'}, "RAM_EXTENSION_B = LOWER"),
    ("RAMB36E1", {"EN_ECC_WRITE": '"TRUE"'}, "EN_ECC_WRITE = TRUE"),
    ("RAMB36E1", {"INIT_FILE": '"words.mem"'}, "INIT_FILE = words.mem"),
    ("RAMB36E1", {"WRITE_MODE_A": '"LAST"'}, "WRITE_MODE_A = LAST"),
    ("RAMB18E1", {"WRITE_MODE_B": '"LAST"'}, "WRITE_MODE_B = LAST"),
    ("RAMB36E1", {"READ_WIDTH_A": 3}, "widths of 3 (read) and 0 (write) at port A"),
    ("RAMB36E1", {"READ_WIDTH_B": 9, "WRITE_WIDTH_B": 18}, "widths of 9 (read) and 18 (write) at port B"),
    ("RAMB18E1", {"READ_WIDTH_A": 36}, "widths beyond 18"),
    ("RAMB36E1", {**SDP, "READ_WIDTH_A": 36}, "READ_WIDTH_A = WRITE_WIDTH_B = 72 only"),
    *(("RAMB36E1", {f"IS_{pin}_INVERTED": 1}, f"IS_{pin}_INVERTED = 1") for pin in ("CLKARDCLK", "ENBWREN", "RSTRAMB")),
    ("FDRE", {"IS_C_INVERTED": 1}, "IS_C_INVERTED = 1"),
    ("FDSE", {"IS_S_INVERTED": 1}, "IS_S_INVERTED = 1"),
]


@pytest.fixture(scope="module")
def strict(tmp_path_factory) -> Bench:
    need_simulator()
    instances = {}
    for count, (cell, parameters, _) in enumerate(UNKNOWN):
        ports = {"CLKARDCLK": "clk", "WEA": "0", "WEBWE": "0"} if cell.startswith("RAM") else {"C": "clk"}
        instances[str(count)] = instance(cell, parameters, ports, 1, 1)
    ram = {"ENARDEN": "1'b1", "CLKARDCLK": "clk"}
    instances["halves"] = instance("RAMB36E1", {"WRITE_WIDTH_A": 18}, {**ram, "WEA": "i"}, 4, 1)
    instances["clocks"] = instance(
        "RAMB36E1", {"WRITE_WIDTH_A": 18, "READ_WIDTH_B": 18}, {**ram, "CLKBWRCLK": "i[0]"}, 1, 1
    )
    return Bench(instances, tmp_path_factory.mktemp("strict"))


def test_what_is_not_modelled_stops_the_simulation_with_its_name(strict):
    quiet = {"halves": np.zeros((1, 4)), "clocks": np.ones((1, 1))}
    _, said = strict.run(quiet)
    for cell, _, text in UNKNOWN:
        assert re.search(rf"{cell}: .*{re.escape(text)}", said), (cell, text)


def test_enables_that_differ_within_a_byte_and_two_clocks_stop_the_simulation(strict):
    first = {"halves": np.array([[1, 1, 1, 1]]), "clocks": np.ones((1, 1))}
    _, said = strict.run(first)
    assert "enables of port A differ" not in said
    _, said = strict.run({**first, "halves": np.array([[1, 0, 0, 0]])})
    assert "RAMB36E1: enables of port A differ within a byte" in said
    _, said = strict.run({**first, "clocks": np.zeros((1, 1))})
    assert "RAMB36E1: ports with two clocks are not modelled" in said
