"""Names that C++, HDLs, Tcl and Python all take, and addresses."""

from __future__ import annotations

import keyword
import re
from typing import Any

from ..files.fields import Fields

__all__ = ["CELLS", "SUFFIXES", "check_identifier", "hexadecimal", "read_address"]

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}\Z")
SUFFIXES = ("t", "word", "beat", "elements", "lanes", "beats", "sample", "words", "memory", "compute", "read", "write",
            "from_word", "to_word")  # that the generated C++ appends
_HEX = re.compile(r"0x[0-9A-Fa-f]{1,8}\Z")
# What a port cannot be named: words of C++ (and what its headers make of name_t), of VHDL and Verilog, and names that
# the generated files and the Python call have themselves.
_TAKEN = frozenset("""
alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl concept const constexpr continue
decltype default delete do double else enum explicit export extern false float for friend goto if inline int long main
mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public register requires return
short signed sizeof static struct switch template this throw true try typedef typeid typename typeof union unsigned
using virtual void volatile while xor xor_eq
errno hls linux math_errhandling null sched_priority std stderr stdin stdout unix
blkcnt blkcnt64 blksize caddr char8 char16 char32 clock clockid daddr dev div error fpos fpos64 fsblkcnt fsblkcnt64
fsfilcnt fsfilcnt64 fsid gid id ino ino64 int8 int16 int32 int64 int_fast8 int_fast16 int_fast32 int_fast64 int_least8
int_least16 int_least32 int_least64 intmax intptr key ldiv lldiv locale loff max_align mbstate mode nlink off off64 pid
pthread ptrdiff quad sigset size ssize suseconds time timer u_int8 u_int16 u_int32 u_int64 u_quad uid uint8 uint16
uint32 uint64 uint_fast8 uint_fast16 uint_fast32 uint_fast64 uint_least8 uint_least16 uint_least32 uint_least64 uintmax
uintptr useconds wchar wctrans wctype wint
abs access after alias all always architecture array assert assign assume attribute automatic begin block body buf
buffer bufif0 bufif1 bus casex casez cell cmos component config configuration constant context cover deassign defparam
design disable disconnect downto edge elsif end endcase endconfig endfunction endgenerate endmodule endprimitive
endspecify endtable endtask entity event exit fairness file force forever fork function generate generic genvar group
guarded highz0 highz1 ifnone impure in incdir include inertial initial inout input instance integer is join label large
liblist library linkage literal localparam loop macromodule map medium mod module nand negedge next nmos nor
noshowcancelled notif0 notif1 of on open others out output package parameter pmos port posedge postponed primitive
procedure process property pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure range rcmos real
realtime record reg reject release rem repeat report restrict rnmos rol ror rpmos rtran rtranif0 rtranif1 scalared
select sequence severity shared showcancelled signal sla sll small specify specparam sra srl strong strong0 strong1
subtype supply0 supply1 table task then to tran tranif0 tranif1 transport tri tri0 tri1 triand trior trireg type
unaffected units until use variable vectored vmode vprop vunit wait wand weak0 weak1 when wire with wor xnor
ap_clk ap_rst_n compute bench samples interrupt control
beat lane word words sample vectors given wrong seed argc argv value bits both raw wide s k any_word
self timeout
""".split())
CELLS = ("ps7", "reset_0", "control_0", "memory_0", "axi_intc_0", "interrupts_0")  # that block_design.tcl has itself


def check_identifier(fields: Fields, key: str, name: str) -> None:
    """Refuse a name that C++, an HDL or a Python keyword argument does not take."""
    if not _IDENTIFIER.match(name) or name.endswith("_") or "__" in name:
        fields.fail(key, f'"{name}" is no name for a port: expected up to 40 letters, digits and single "_", a letter '
                    "first")
    low = name.lower()
    taken = low in _TAKEN or low.endswith("_t") and low[:-2] in _TAKEN
    if taken or keyword.iskeyword(name) or low.startswith("ap_"):
        fields.fail(key, f'"{name}" has a meaning in C++, VHDL, Verilog, Python or the generated files: expected '
                         'another '
                    "name")


def hexadecimal(value: int) -> str:
    """An address as the JSON files have it."""
    return f"0x{value:08X}"


def read_address(fields: Fields, key: str, default: int) -> int:
    """Bytes in hexadecimal: a multiple of 4 that 32 bits hold."""
    text: Any = fields.take(key, "string", hexadecimal(default))
    if not _HEX.match(text) or int(text, 16) % 4 or int(text, 16) == 0:
        fields.fail(key, f'"{text}" is not allowed: expected hexadecimal such as "{hexadecimal(default)}", a multiple '
                         'of 4')
    return int(text, 16)
