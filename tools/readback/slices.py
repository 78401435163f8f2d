"""Slices: LUTs, wide multiplexers, carry chains, flip-flops (UG474)."""

from __future__ import annotations

from .database import Site
from .errors import NotModelledError, ReadbackError
from .netlist import ONE, ZERO, Cell, Extractor
from .wires import Pin

__all__ = ["Slices", "reduce_table"]

LETTERS = "ABCD"
MEMORY = ("RAM", "SRL", "SMALL")


def reduce_table(table: int, nets: list[str]) -> tuple[int, list[str]]:
    """A LUT's table and inputs without those that are constant or make no difference."""
    nets = list(nets)
    for constants in (True, False):  # an input may matter only for what a constant rules out
        for at in reversed(range(len(nets))):
            low, high = _cofactors(table, len(nets), at)
            if constants and nets[at] in (ZERO, ONE):
                table = high if nets[at] == ONE else low
            elif not constants and low == high:
                table = low
            else:
                continue
            del nets[at]
    return table, nets


def _cofactors(table: int, inputs: int, at: int) -> tuple[int, int]:
    """Tables without an input, for it being 0 and for it being 1."""
    low = high = 0
    step = 1 << at
    for index in range(1 << inputs - 1):
        place = (index >> at << at + 1) | (index & step - 1)
        low |= (table >> place & 1) << index
        high |= (table >> place + step & 1) << index
    return low, high


class _Slice:
    """One slice: its settings by name, and what of its carry chain is in use."""

    def __init__(self, tile: str, site: Site, ones: frozenset[str], implied: frozenset[str]) -> None:
        self.tile, self.site = tile, site
        self.name = f"{tile}_{site.x}"
        self.ones, self.implied = ones, implied
        self.choices: dict[str, list[str]] = {}
        self.tables = dict.fromkeys(LETTERS, 0)
        for setting in ones:
            head, _, tail = setting.partition(".")
            if tail.startswith("INIT["):
                self.tables[head[0]] |= 1 << int(tail[5:-1])
            elif tail:
                self.choices.setdefault(head, []).append(tail)
        self.sums: set[int] = set()
        self.carries: set[int] = set()
        self.length = 0   # of the carry chain as asked for
        self.propagate: list[str] = []
        self.generate: list[str] = []
        self.enters: tuple[str, str] | None = None  # CI, CYINIT

    def has(self, setting: str) -> bool:
        return setting in self.ones

    def choice(self, name: str) -> str:
        """What a multiplexer selects."""
        found = self.choices.get(name, [])
        if len(found) != 1:
            raise ReadbackError(f"{name} of {self.name} is in use and selects {' and '.join(found) or 'nothing'}")
        return found[0]


class Slices:
    """The cells of SLICEL and SLICEM."""

    def __init__(self, extractor: Extractor) -> None:
        self._all = extractor
        self._slices: dict[tuple[str, int], _Slice] = {}
        extractor.register(self, "SLICEL", "SLICEM")

    def output(self, pin: Pin, site: Site) -> str:
        key = pin.tile, pin.site
        if key not in self._slices:
            settings = self._all.settings(pin.tile, f"{site.kind}_X{site.x}.")
            self._slices[key] = _Slice(pin.tile, site, *settings)
        place = self._slices[key]
        if pin.name == "COUT":
            return self._carry(place, 3)
        letter = pin.name[0]
        if pin.name == letter:
            return self._lut(place, letter, 6)
        if pin.name == f"{letter}Q":
            return self._flop(place, letter, "")
        return self._selected(place, letter, place.choice(f"{letter}OUTMUX"))

    def finish(self) -> None:
        """Carry chains, whose length is known at the end."""
        for place in self._slices.values():
            if place.enters is None:
                continue
            ci, cyinit = place.enters
            rest = [ZERO] * (4 - place.length)
            self._all.cells.append(Cell("CARRY4", f"{place.name}_CARRY4", {}, {
                "CI": [ci], "CYINIT": [cyinit],
                "S": rest + place.propagate[::-1], "DI": rest + place.generate[::-1],
                "O": [f"{place.name}_O{bit}" if bit in place.sums else None for bit in (3, 2, 1, 0)],
                "CO": [f"{place.name}_CO{bit}" if bit in place.carries else None for bit in (3, 2, 1, 0)]}))

    def _input(self, place: _Slice, pin: str) -> str:
        return self._all.input(place.tile, place.site, pin)

    def _selected(self, place: _Slice, letter: str, choice: str) -> str:
        """What a multiplexer behind a LUT can select."""
        if choice in ("O5", "O6"):
            return self._lut(place, letter, int(choice[1]))
        if choice == "XOR":
            return self._sum(place, LETTERS.index(letter))
        if choice == "CY":
            return self._carry(place, LETTERS.index(letter))
        if choice == "F7":
            return self._wide7(place, letter)
        if choice == "F8":
            return self._wide8(place)
        if choice == f"{letter}5Q":
            return self._flop(place, letter, "5")
        if choice == f"{letter}X":
            return self._input(place, choice)
        raise NotModelledError(f"{choice} of LUT {letter} in {place.name}")

    def _lut(self, place: _Slice, letter: str, output: int) -> str:
        name = f"{place.name}_{letter}O{output}"
        return self._all.net(name, lambda: self._build_lut(place, letter, output, name))

    def _build_lut(self, place: _Slice, letter: str, output: int, name: str) -> None:
        for kind in MEMORY:
            if place.has(f"{letter}LUT.{kind}"):
                raise NotModelledError(f"{place.tile}.{place.site.kind}_X{place.site.x}.{letter}LUT.{kind}")
        nets = [self._input(place, f"{letter}{pin}") for pin in range(1, output + 1)]
        table, nets = reduce_table(place.tables[letter] & (1 << (1 << output)) - 1, nets)
        size = len(nets)
        if not nets:
            self._all.cells.append(Cell("VCC" if table else "GND", f"{name}_LUT", {}, {"P" if table else "G": [name]}))
            return
        ports = {f"I{index}": [net] for index, net in enumerate(nets)}
        self._all.cells.append(Cell(f"LUT{size}", f"{name}_LUT", {"INIT": f"{1 << size}'h{table:x}"},
                                    {**ports, "O": [name]}))

    def _wide7(self, place: _Slice, letter: str) -> str:
        """F7AMUX lies between LUTs A and B, F7BMUX between C and D; the upper LUT is selected by 0."""
        other = LETTERS[LETTERS.index(letter) + 1]
        name = f"{place.name}_{letter}F7"

        def build() -> None:
            self._all.cells.append(Cell("MUXF7", f"{name}_MUX", {}, {
                "I0": [self._lut(place, other, 6)], "I1": [self._lut(place, letter, 6)],
                "S": [self._input(place, f"{letter}X")], "O": [name]}))

        return self._all.net(name, build)

    def _wide8(self, place: _Slice) -> str:
        name = f"{place.name}_F8"

        def build() -> None:
            self._all.cells.append(Cell("MUXF8", f"{name}_MUX", {}, {
                "I0": [self._wide7(place, "C")], "I1": [self._wide7(place, "A")],
                "S": [self._input(place, "BX")], "O": [name]}))

        return self._all.net(name, build)

    def _sum(self, place: _Slice, bit: int) -> str:
        place.sums.add(bit)
        return self._all.net(f"{place.name}_O{bit}", lambda: self._need_carry(place, bit))

    def _carry(self, place: _Slice, bit: int) -> str:
        place.carries.add(bit)
        return self._all.net(f"{place.name}_CO{bit}", lambda: self._need_carry(place, bit))

    def _need_carry(self, place: _Slice, bit: int) -> None:
        """Inputs of a carry chain up to a bit: LUTs above it may have nothing to do with the chain."""
        if place.enters is None:
            place.enters = self._entry(place)
        while place.length <= bit:
            letter = LETTERS[place.length]
            place.length += 1
            place.propagate.append(self._lut(place, letter, 6))
            place.generate.append(self._lut(place, letter, 5) if place.has(f"CARRY4.{letter}CY0")
                                  else self._input(place, f"{letter}X"))

    def _entry(self, place: _Slice) -> tuple[str, str]:
        found = place.choices.get("PRECYINIT", [])
        if not found and "PRECYINIT.C0" in place.implied:
            return ZERO, ZERO
        choice = place.choice("PRECYINIT")
        if choice == "CIN":
            return self._input(place, "CIN"), ZERO
        return ZERO, {"AX": lambda: self._input(place, "AX"), "C1": lambda: ONE, "C0": lambda: ZERO}[choice]()

    def _flop(self, place: _Slice, letter: str, five: str) -> str:
        name = f"{place.name}_{letter}{five}Q"
        return self._all.net(name, lambda: self._build_flop(place, letter, five, name))

    def _build_flop(self, place: _Slice, letter: str, five: str, name: str) -> None:
        flop = f"{letter}{five}FF"
        for setting in ("LATCH", "CLKINV"):
            if place.has(setting):
                raise NotModelledError(f"{place.tile}.{place.site.kind}_X{place.site.x}.{setting}")
        choice = place.choice(f"{flop}MUX")
        choice = {"IN_A": "O5", "IN_B": f"{letter}X"}[choice] if five else choice
        enable = self._input(place, "CE") if place.has("CEUSEDMUX") else ONE
        reset = self._input(place, "SR") if place.has("SRUSEDMUX") else ZERO
        if reset != ZERO and not place.has("FFSYNC"):
            raise NotModelledError(f"{flop} of {place.name} with an asynchronous reset (no FFSYNC, and SRUSEDMUX)")
        to_zero = place.has(f"{flop}.ZRST")
        start = 0 if place.has(f"{flop}.ZINI") else 1
        self._all.cells.append(Cell("FDRE" if to_zero else "FDSE", f"{name}_FF", {"INIT": f"1'b{start}"}, {
            "C": [self._input(place, "CLK")], "CE": [enable], "D": [self._selected(place, letter, choice)],
            "R" if to_zero else "S": [reset], "Q": [name]}))
