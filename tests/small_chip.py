"""A chip of three tiles, its database, and bitstreams for it: for what reads bitstreams back."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

__all__ = ["FEATURES", "IDCODE", "PART", "bit_file", "stream", "words_for", "write_database"]

IDCODE, PART = 0x01234093, "tiny1abc"
FRAMES, WORDS = 4, 101
NOOP = 0x20000000
# Of the tile LOGIC, in frames 0 and 1; of INT in frames 2 and 3: feature, bits.
LUT = {f"SLICEL_X0.ALUT.INIT[{bit:02}]": f"00_{bit:02}" for bit in range(64)}
LOGIC = {
    **LUT,
    "SLICEL_X0.AFFMUX.O6": "01_00 !01_01",
    "SLICEL_X0.AFFMUX.AX": "!01_00 01_01",
    "SLICEL_X0.AFF.ZINI": "01_02",
    "SLICEL_X0.AFF.ZRST": "01_03",
    "SLICEL_X0.FFSYNC": "01_04",
    "SLICEL_X0.CEUSEDMUX": "01_05",
    "SLICEL_X0.SRUSEDMUX": "01_06",
    "SLICEL_X0.LATCH": "01_07",
    "SLICEL_X0.CLKINV": "01_08",
    "SLICEL_X0.NOCLKINV": "!01_08",
    "SLICEL_X0.AOUTMUX.O5": "01_09",
}
INT = {
    "IMUX0.PS_OUT": "00_00 !00_01",
    "IMUX0.LOGIC_OUT": "!00_00 00_01",
    "IMUX1.LOGIC_OUT": "00_02",
    "CLK0.PS_CLK": "00_03",
    "PS_IN.LOGIC_OUT": "00_04",
    "PS_IN.LOGIC_MUX": "00_05",
    "FAN0.PS_OUT": "00_06",
}
PSEUDO = {"IMUX0.VCC_WIRE": "default", "IMUX1.VCC_WIRE": "default", "IMUX2.VCC_WIRE": "default"}
FEATURES = {"LOGIC_X0Y0": LOGIC, "INT_X1Y0": INT}
SLICE_PINS = {"A": "OUT", "AMUX": "OUT", "AQ": "OUT", "CLK": "IN", "CE": "IN", "SR": "IN", "AX": "IN",
              **{f"A{pin}": "IN" for pin in range(1, 7)}}
PS_PINS = {"FCLKCLK0": "OUT", "FCLKRESETN0": "OUT", "IRQF2P0": "IN"}


def write_database(folder: Path) -> Path:
    """The database; the folder itself."""
    def save(name: str, value: object) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value))

    def pip(source: str, destination: str) -> dict:
        return {"src_wire": source, "dst_wire": destination, "is_directional": "1", "is_pseudo": "0"}

    def tile(kind: str, x: int, base: int | None, frames: int = 2) -> dict:
        bits = {} if base is None else {"CLB_IO_CLK": {
            "baseaddr": hex(base), "frames": frames, "offset": 0, "words": 2}}
        return {"type": kind, "grid_x": x, "grid_y": 0, "bits": bits, "sites": {"PS": "PS7"} if kind == "PS" else {}}

    save(f"{PART}/part.json", {"idcode": IDCODE, "global_clock_regions": {"top": {"rows": {"0": {
        "configuration_buses": {"CLB_IO_CLK": {"configuration_columns": {"0": {"frame_count": FRAMES}}}}}}}}})
    save("tiny1/tilegrid.json", {"LOGIC_X0Y0": tile("LOGIC", 0, 0), "INT_X1Y0": tile("INT", 1, 2),
                                 "PS_X2Y0": tile("PS", 2, None)})
    logic = [(pin, f"L_{pin}") for pin in SLICE_PINS]
    inputs = [("L_A1", "IMUX0"), ("L_A2", "IMUX1"), ("L_CLK", "CLK0"), ("L_CE", "FAN0"), ("L_SR", "FAN0"),
              ("L_A", "LOGIC_OUT"), ("L_AMUX", "LOGIC_MUX"), ("L_AX", "IMUX0"),
              *((f"L_A{pin}", "IMUX2") for pin in range(3, 7))]
    save("tiny1/tileconn.json", [
        {"tile_types": ["LOGIC", "INT"], "grid_deltas": [1, 0], "wire_pairs": inputs},
        {"tile_types": ["INT", "PS"], "grid_deltas": [1, 0],
         "wire_pairs": [["PS_OUT", "FCLKRESETN0"], ["PS_CLK", "FCLKCLK0"], ["PS_IN", "IRQF2P0"]]}])
    save("tile_type_LOGIC.json", {"sites": [{"name": "X0Y0", "type": "SLICEL", "site_pins": {
        pin: {"wire": wire} for pin, wire in logic}}], "pips": {}})
    save("tile_type_INT.json", {"sites": [], "pips": {
        name: pip(name.split(".")[1], name.split(".")[0]) for name in [*INT, *PSEUDO]}})
    save("tile_type_PS.json", {"sites": [{"name": "X0Y0", "type": "PS7", "site_pins": {
        pin: {"wire": pin} for pin in PS_PINS}}], "pips": {}})
    for kind, pins in (("SLICEL", SLICE_PINS), ("PS7", PS_PINS)):
        save(f"site_type_{kind}.json", {"site_pins": {pin: {"direction": way} for pin, way in pins.items()}})
    for kind, features in (("LOGIC", LOGIC), ("INT", INT)):
        save(f"segbits_{kind.lower()}.db", "".join(f"{kind}.{name} {bits}\n" for name, bits in features.items()))
    save("ppips_int.db", "".join(f"INT.{name} {how}\n" for name, how in PSEUDO.items()))
    return folder


def words_for(features: list[str]) -> np.ndarray:
    """Frames with these features, `LOGIC_X0Y0.SLICEL_X0.LATCH`, and pad frames."""
    words = np.zeros((FRAMES + 2, WORDS), np.uint32)
    for feature in features:
        tile, name = feature.split(".", 1)
        for bit in FEATURES[tile][name].split():
            if not bit.startswith("!"):
                frame, place = map(int, bit.split("_"))
                words[frame + (0 if tile.startswith("LOGIC") else 2), place // 32] |= np.uint32(1 << place % 32)
    return words


def stream(words: np.ndarray, idcode: int = IDCODE, desync: bool = True, far: int = 0) -> bytes:
    """Packets that write these frames."""
    data = [int(word) for word in words.ravel()]
    packets = [0xFFFFFFFF, 0xAA995566, NOOP, 0x30018001, idcode, 0x30002001, far, 0x30008001, 1, 0x30004000,
               0x50000000 | len(data), *data]
    packets += [0x30008001, 13, NOOP] if desync else [NOOP]
    return struct.pack(f">{len(packets)}I", *packets)


def bit_file(content: bytes, length: int | None = None) -> bytes:
    """A .bit file around a stream."""
    data = b"\0\x09" + bytes([0x0F, 0xF0] * 4) + b"\0\0\x01"
    for key, text in zip(b"abcd", (b"design\0", b"tiny1abc\0", b"2026/11/30\0", b"12:00:00\0")):
        data += bytes([key]) + struct.pack(">H", len(text)) + text
    return data + b"e" + struct.pack(">I", len(content) if length is None else length) + content
