"""Names that C++, HDLs, Tcl and Python all take, and addresses."""

from __future__ import annotations

import keyword
import re
from typing import Any

from ..fields import Fields

__all__ = ["SUFFIXES", "check_identifier", "hexadecimal", "read_address"]

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}\Z")
SUFFIXES = ("t", "word", "beat", "elements", "lanes", "beats", "sample", "words", "memory", "compute", "read", "write",
            "from_word", "to_word")  # that the generated C++ appends
_HEX = re.compile(r"0x[0-9A-Fa-f]{1,8}\Z")
# Words of C++ and Verilog/VHDL that a port cannot be named, and names that the generated files have themselves.
_TAKEN = frozenset("""
alignas alignof and asm auto bool break case catch char class const constexpr continue decltype default delete do
double else enum explicit export extern false float for friend goto if inline int long main mutable namespace new
noexcept not
nullptr operator or private protected public register return short signed sizeof static struct switch template this
throw true try typedef typeid typename union unsigned using virtual void volatile while xor std hls
always assign begin edge end endcase endmodule entity event initial inout input integer module negedge output parameter
port posedge reg signal wire when generate process architecture
ap_clk ap_rst_n compute bench samples interrupt control
in out is of on to beat lane word words sample vectors file key given wrong seed argc argv value bits both raw wide s k
any_word
""".split())


def check_identifier(fields: Fields, key: str, name: str) -> None:
    """Refuse a name that C++, an HDL or a Python keyword argument does not take."""
    if not _IDENTIFIER.match(name) or name.endswith("_") or "__" in name:
        fields.fail(key, '"{}" is no name for a port: expected up to 40 letters, digits and single "_", a letter '
                    "first".format(name))
    if name.lower() in _TAKEN or keyword.iskeyword(name) or name.lower().startswith("ap_"):
        fields.fail(key, '"{}" has a meaning in C++, VHDL, Verilog, Python or the generated files: expected another '
                    "name".format(name))


def hexadecimal(value: int) -> str:
    """An address as the JSON files have it."""
    return "0x{:08X}".format(value)


def read_address(fields: Fields, key: str, default: int) -> int:
    """Bytes in hexadecimal: a multiple of 4 that 32 bits hold."""
    text: Any = fields.take(key, "string", hexadecimal(default))
    if not _HEX.match(text) or int(text, 16) % 4 or int(text, 16) == 0:
        fields.fail(key, '"{}" is not allowed: expected hexadecimal such as "{}", a multiple of 4'.format(
            text, hexadecimal(default)))
    return int(text, 16)
