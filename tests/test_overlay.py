from __future__ import annotations

import dataclasses
import hashlib
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from qnn_pynq.catalogue import check_right, overlays
from qnn_pynq.errors import DescriptorError
from qnn_pynq.overlay import load_overlay

SHIPPED = overlays()["bnn-pynq-lfc-w1a1"].parent  # in the package or in the checkout
NAMES = ["bnn-pynq-lfc-w1a1", "bnn-pynq-lfc-w1a2"]


@pytest.fixture(params=NAMES)
def overlay(request):
    return load_overlay(SHIPPED / request.param)


def test_shipped_descriptors_describe_the_published_circuits(overlay):
    assert (
        overlay.kind == "bnn-pynq" and overlay.boards == ("Pynq-Z1", "Pynq-Z2") and overlay.clock_mhz == 100
    )
    assert (
        overlay.ip.name == "BlackBoxJam_0"
        and overlay.ip.address == 0x43C00000
        and overlay.ip.range == 0x10000
    )
    layers = overlay.geometry["layers"]
    assert [(k["inputs"], k["outputs"], k["simd"], k["pe"]) for k in layers] == [
        (832, 1024, 64, 32),
        (1024, 1024, 32, 64),
        (1024, 1024, 64, 32),
        (1024, 64, 8, 16),
    ]
    words = sum(k["inputs"] * k["outputs"] // k["simd"] for k in layers)
    thresholds = sum(k["outputs"] * k["thresholds"] for k in layers)
    assert words + thresholds == (73_792 if overlay.name.endswith("w1a1") else 76_864)
    assert overlay.timing["model"] is True and overlay.timing["cycles_per_image"] == 841
    assert overlay.home["licence"] == "BSD-3-Clause" and overlay.home["commit"] == "d39c1c7"
    assert overlay.verified["silicon"].startswith("recorded by upstream")
    assert "Never run on a board by us" in overlay.verified["silicon"]


def test_digests_are_those_of_the_published_bitstreams():
    """The two values are the ones that the specification lists."""
    digests = [load_overlay(SHIPPED / name).files["bitstream"].sha256 for name in NAMES]
    assert digests == [
        "9ea7811ca8f36c4ae2f2d9d89dcca5046ae633de32de9d3487f4c6bdf6991dd9",
        "0b2fcc322a5db16bd73340dd944329d9da447791e32aaeff128b43c9a92c7838",
    ]


def test_digests_and_sizes_are_those_of_the_real_files(overlay, golden):
    for file in overlay.files.values():
        data = (golden / "bnn-pynq" / "bitstreams" / file.name).read_bytes()
        assert len(data) == file.size and hashlib.sha256(data).hexdigest() == file.sha256
        assert [url.rsplit("/", 5)[1] for url in file.urls] == ["d39c1c7", "master"]
        assert all(url.startswith("https://") and url.endswith("/" + file.name) for url in file.urls)


def test_hwh_has_the_ip_where_the_descriptor_says(overlay, golden):
    tree = ElementTree.parse(str(golden / "bnn-pynq" / "bitstreams" / overlay.files["hwh"].name))
    module = next(m for m in tree.iter("MODULE") if m.get("INSTANCE") == overlay.ip.name)
    assert module.get("VLNV") == overlay.ip.vlnv
    ranges = [m for m in tree.iter("MEMRANGE") if m.get("INSTANCE") == overlay.ip.name]
    assert ranges and all(int(m.get("BASEVALUE"), 16) == overlay.ip.address for m in ranges)
    assert all(int(m.get("HIGHVALUE"), 16) == overlay.ip.address + overlay.ip.range - 1 for m in ranges)


def refusal(tmp_path: Path, base: str = NAMES[0], **fields) -> str:
    document = json.loads((SHIPPED / base / "overlay.json").read_text())
    for key, value in fields.items():
        place = document
        *way, last = [int(part) if part.isdigit() else part for part in key.split("__")]
        for part in way:
            place = place[part]
        if value is ...:
            del place[last]
        else:
            place[last] = value
    (tmp_path / "overlay.json").write_text(json.dumps(document))
    with pytest.raises(DescriptorError) as caught:
        load_overlay(tmp_path)
    return str(caught.value)


WRONG = [
    (
        {"format": "qnn-pynq-network"},
        'format: "qnn-pynq-network" is not allowed: expected "qnn-pynq-overlay"',
    ),
    ({"version": 7}, "version: 7 is too new"),
    ({"name": "a/../b"}, 'name: "a/../b" is no plain name'),
    ({"kind": ...}, "kind: missing"),
    ({"boards": []}, "boards: [] is empty"),
    ({"boards": [1]}, "boards[0]: 1 is no text"),
    ({"boards": ["b", "c", "b"]}, 'boards[2]: "b" is there twice'),
    ({"boards": [f"b{n}" for n in range(65)]}, "boards: 65 items are too many: expected at most 64"),
    (
        {"files__hwh__urls": [f"https://a/{n}" for n in range(65)]},
        "files.hwh.urls: 65 items are too many: expected at most 64",
    ),
    (
        {"ips": [{"name": f"i{n}", "vlnv": "v", "address": "0x0", "range": "0x4"} for n in range(65)]},
        "ips: 65 items are too many: expected at most 64",
    ),
    ({"files__bitstream__size": 268435457}, "files.bitstream.size: 268435457 is out of range: expected 1 to 268435456"),
    ({"surprise": 1}, "surprise: unknown field"),
    ({"clock_mhz": 0}, "clock_mhz: 0 is out of range"),
    ({"ip__address": 1136656384}, "ip.address: 1136656384 is no string"),
    (
        {"ip__address": "43C00000"},
        'ip.address: "43C00000" is no address: expected hexadecimal such as "0x43C00000"',
    ),
    ({"ip__address": "0x43C00002"}, "ip.range: 0x10000 at 0x43C00002: expected multiples of 4"),
    ({"ip__name": ...}, "ip.name: missing"),
    ({"files__bitstream": ...}, "files.bitstream: missing"),
    ({"files__bitstream__name": "../../x.bit"}, 'files.bitstream.name: "../../x.bit" is no plain name'),
    ({"files__bitstream__sha256": "12"}, 'files.bitstream.sha256: "12" is no digest: expected 64 lower-case'),
    ({"files__bitstream__size": -1}, "files.bitstream.size: -1 is out of range"),
    ({"files__bitstream__urls": ["file:///etc/passwd"]}, "files.bitstream.urls[0]: "),
    ({"files__hwh__name": "other.hwh"}, 'files.hwh.name: "other.hwh" does not match "lfcW1A1-pynqZ1-Z2.bit"'),
    ({"files__bitstream__tool": "Vivado 2018.2"}, "files.bitstream.tool: unknown field"),
    ({"files__hwh__tool": ""}, 'files.hwh.tool: "" is empty'),
    ({"files__hwh__tool": 2019.2}, "files.hwh.tool: "),
    ({"files__tcl": {}}, "files.tcl: unknown field"),
    ({"geometry__layers": []}, "geometry.layers: [] is empty"),
    ({"geometry__layers__0__simd": 63}, "geometry.layers[0].simd: 63 does not divide 832"),
    ({"geometry__layers__1__pe": 60}, "geometry.layers[1].pe: 60 does not divide 1024"),
    ({"geometry__layers__1__inputs": 512}, "geometry.layers[1].inputs: 512 does not match the 1024 bits"),
    (
        {"geometry__layers__1__input": "ternary"},
        'geometry.layers[1].input: "ternary" is not allowed: expected "binary"',
    ),
    ({"geometry__layers__2__thresholds": 2}, "geometry.layers[2].thresholds: 2 is not allowed: expected 1"),
    ({"geometry__layers__2__depth": 2}, "geometry.layers[2].depth: unknown field"),
    (
        {"geometry__output_bits": 32, "geometry__classes": 10},
        "geometry.output_bits: 32 does not match the last",
    ),
    ({"geometry__layers__3__outputs": 32, "geometry__output_bits": 32, "geometry__classes": 9}, "expected the 64 bits"),
    ({"geometry__layers__0__inputs": 836, "geometry__layers__0__simd": 4}, "inputs: 836 is no multiple of 8"),
    ({"geometry__classes": 65}, "geometry.classes: 65 is out of range: expected 1 to 64"),
    ({"timing__source": ...}, "timing.source: missing"),
    ({"timing": ...}, "timing.model: missing"),
    ({"timing": None}, "timing.model: missing"),
    ({"timing__write_access_ns": ...}, "timing.write_access_ns: missing: expected a number"),
    ({"timing__memory_write_cycles": None}, "timing.memory_write_cycles: missing"),
    ({"timing__model": "yes"}, 'timing.model: "yes" is no true or false'),
    ({"timing__cycles_per_image": 0}, "timing.cycles_per_image: 0 is out of range"),
    ({"verified__silicon": True}, "verified.silicon: true is no string"),
    ({"home": "github"}, 'home: "github" is no object'),
    ({"rtl": "engine.v"}, 'rtl: "engine.v" is no object'),
    ({"rtl": {"sources": "rtl"}}, "rtl.top: missing"),
    ({"rtl": {"top": "engine"}}, "rtl.sources: missing"),
    ({"rtl": {"top": "-x", "sources": "rtl"}}, 'rtl.top: "-x" is no module: expected letters, digits and _'),
    ({"rtl": {"top": "engine", "sources": "/rtl"}}, 'rtl.sources: "/rtl" is absolute: expected a folder from that of'),
    ({"rtl": {"top": "engine", "sources": ""}}, 'rtl.sources: "" is empty'),
    ({"rtl": {"top": "engine", "sources": "rtl", "parameters": {"P=1 -x": 1}}}, "is no parameter: expected letters"),
    ({"rtl": {"top": "engine", "sources": "rtl", "parameters": {"P": "32"}}}, 'rtl.parameters.P: "32" is no integer'),
    ({"rtl": {"top": "engine", "sources": "rtl", "parameters": {"P": -1}}}, "rtl.parameters.P: -1 is out of range"),
    ({"rtl": {"top": "engine", "sources": "rtl", "defines": {}}}, "rtl.defines: unknown field"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG)
def test_wrong_fields_are_named_with_value_and_what_is_allowed(tmp_path, fields, message):
    text = refusal(tmp_path, **fields)
    assert text.startswith(str(tmp_path / "overlay.json") + ": ") and message in text


def test_the_verilog_of_a_circuit_is_found_from_its_descriptor(tmp_path):
    document = json.loads((SHIPPED / NAMES[0] / "overlay.json").read_text())
    assert load_overlay(SHIPPED / NAMES[0]).rtl is None
    for parameters in ({"P": 32, "V": 4}, {}, None):
        document["rtl"] = {"top": "engine", "sources": "../engine/rtl", "parameters": parameters}
        (tmp_path / "overlay.json").write_text(json.dumps(document))
        rtl = load_overlay(tmp_path).rtl
        assert (rtl.top, rtl.sources, rtl.parameters) == ("engine", tmp_path / "../engine/rtl", parameters or {})


def test_a_family_of_somebody_else_describes_its_own_geometry(tmp_path):
    document = json.loads((SHIPPED / NAMES[0] / "overlay.json").read_text())
    document.update(kind="my-family", geometry={"anything": [1]})
    for optional in ("timing", "limits", "resources", "verified", "home", "title", "description"):
        del document[optional]
    del document["files"]["hwh"]
    (tmp_path / "overlay.json").write_text(json.dumps(document))
    overlay = load_overlay(tmp_path / "overlay.json")
    assert (
        overlay.geometry == {"anything": [1]}
        and overlay.timing == {}
        and list(overlay.files) == ["bitstream"]
    )
    assert overlay.title == overlay.name and overlay.path == tmp_path


# -- multi-layer offload -----------------------------------------------------------------------------

OFFLOAD = ["qnn-mo-w1a2", "qnn-mo-w1a3"]


@pytest.mark.parametrize("name", OFFLOAD)
def test_offload_descriptors_have_the_maxima_of_the_published_json(name, golden):
    overlay = load_overlay(SHIPPED / name)
    title = name[-4:].upper()
    published = json.loads((golden / "qnn-mo" / "bitstreams" / (title + "-overlay.json")).read_text())["parameters"]
    keys = {
        "activation_bits": "ACTIVATION_BITS",
        "max_kernel": "MAX_K",
        "max_inputs": "MAX_IFM_CH",
        "max_outputs": "MAX_OFM_CH",
        "max_input_size": "MAX_IFM_DIM",
        "max_output_size": "MAX_OFM_DIM",
        "pool_size": "MAX_POOL_SIZE",
        "max_pool_stride": "MAX_POOL_STRIDE",
        "simd": "MAX_SIMD",
        "pe": "MAX_PE_CONV",
        "memory_channels": "MEM_CHANNELS",
        "threshold_bits": "THRESHOLDS_BITS",
        "accumulator_bits": "MACC_BITS",
        "word_bits": "DATAWIDTH",
    }
    assert overlay.geometry == {key: published[value] for key, value in keys.items()}
    assert overlay.kind == "qnn-mo" and overlay.clock_mhz == 100 and overlay.ip.address == 0x43C00000
    assert "Never run on a board by us" in overlay.verified["silicon"]
    assert "not exercised" in overlay.verified["addresses"]


def test_offload_overlays_are_told_apart_by_the_digest_of_the_bitstream():
    first, second = (load_overlay(SHIPPED / name).files["bitstream"].sha256 for name in OFFLOAD)
    assert first == "0525fc1c957da54333e63778f376632f5c756b6877d08a63c746ee4778eba7d0"
    assert second == "c4eaeafbcbdeb261bae4d03d332e3cc6e178e02d9fe47e2faa05858f15036dee"


@pytest.mark.parametrize("name", OFFLOAD)
def test_offload_files_have_the_digests_of_the_descriptor(name, golden):
    overlay = load_overlay(SHIPPED / name)
    folder = golden / "qnn-mo" / "bitstreams"
    present = [file for file in overlay.files.values() if (folder / file.name).exists()]
    assert len(present) == (2 if name.endswith("w1a2") else 1)  # the W1A3 bitstream is not among the golden files
    for file in present:
        data = (folder / file.name).read_bytes()
        assert len(data) == file.size and hashlib.sha256(data).hexdigest() == file.sha256
    tree = ElementTree.parse(str(folder / overlay.files["hwh"].name))
    module = next(m for m in tree.iter("MODULE") if m.get("INSTANCE") == overlay.ip.name)
    assert module.get("VLNV") == overlay.ip.vlnv
    ranges = [m for m in tree.iter("MEMRANGE") if m.get("INSTANCE") == overlay.ip.name]
    assert ranges and all(int(m.get("BASEVALUE"), 16) == overlay.ip.address for m in ranges)


WRONG_OFFLOAD = [
    ({"geometry__activation_bits": 4}, "geometry.activation_bits: 4 is not allowed: expected 2 or 3"),
    ({"geometry__threshold_bits": 128}, "geometry.threshold_bits: 128 is not allowed: expected 64"),
    ({"geometry__simd": 32}, "geometry.simd: 32 is not allowed: expected 64"),
    ({"geometry__max_inputs": 100}, "geometry.max_inputs: 64 does not divide 100"),
    ({"geometry__max_inputs": 320}, "geometry.max_outputs: 384 is larger than max_inputs 320"),
    ({"geometry__max_kernel": 0}, "geometry.max_kernel: 0 is out of range"),
    ({"geometry__pool_size": ...}, "geometry.pool_size: missing"),
    ({"geometry__layers": []}, "geometry.layers: unknown field"),
    ({"timing__cycles_per_image": 5}, "timing.cycles_per_image: unknown field"),
    ({"timing__read_access_ns": ...}, "timing.read_access_ns: missing"),
    ({"timing": ...}, "timing.model: missing"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG_OFFLOAD)
def test_wrong_offload_fields_are_named(tmp_path, fields, message):
    assert message in refusal(tmp_path, base=OFFLOAD[0], **fields)


def several(tmp_path: Path, ips, **fields):
    """The shipped descriptor with the fields `ips` and others changed, as another kind of overlay."""
    document = json.loads((SHIPPED / NAMES[0] / "overlay.json").read_text())
    document.update({"kind": "mine", "ips": ips, "timing": {}, **fields})
    path = tmp_path / "overlay.json"
    path.write_text(json.dumps({key: value for key, value in document.items() if value != "absent"}))
    return load_overlay(path)


IP = {"name": "a", "vlnv": "x:y:a:1.0", "address": "0x40000000", "range": "0x1000"}
SECOND = {"name": "b", "vlnv": "x:y:b:1.0", "address": "0x40001000", "range": "0x1000", "interrupt": "done"}


def test_an_overlay_may_have_several_ips(tmp_path):
    found = several(tmp_path, [IP, SECOND], ip="absent")
    assert [ip.name for ip in found.ips] == ["a", "b"] and found.ip is found.ips[0]
    assert [ip.interrupt for ip in found.ips] == [None, "done"]
    assert several(tmp_path, [IP, SECOND], ip=IP) == several(tmp_path, [IP, SECOND], ip=None) == found


def test_with_one_ip_nothing_has_changed(overlay):
    assert overlay.ips == (overlay.ip,) and overlay.ip.interrupt is None
    moved = dataclasses.replace(overlay, ip=dataclasses.replace(overlay.ip, address=0x50000000))
    assert moved.ips == (moved.ip,) and moved.ip.address == 0x50000000


@pytest.mark.parametrize("ips, ip, message", [
    ([], "absent", r"ips: \[\] is empty"),
    ([IP, IP], "absent", r'ips\[1\].name: "a" is there twice'),
    ([IP, dict(SECOND, address="0x40000800")], "absent", r"ips\[1\].address: 0x40000800 overlaps a at 0x40000000"),
    ([IP, SECOND], SECOND, "ip: is not the first of ips: expected a, or no ip at all"),
    ([dict(IP, interrupt=1)], "absent", r"ips\[0\].interrupt: 1 is no string"),
    (None, "absent", "ip: missing"),
])
def test_ips_that_do_not_fit_are_refused(tmp_path, ips, ip, message):
    with pytest.raises(DescriptorError, match=message):
        several(tmp_path, ips, ip=ip)


def test_a_handoff_of_another_version_is_said_in_the_descriptor_where_it_is_published_so():
    tools = {name: load_overlay(SHIPPED / name).files["hwh"].tool for name in NAMES + OFFLOAD}
    assert tools == {"bnn-pynq-lfc-w1a1": "Vivado 2019.2", "bnn-pynq-lfc-w1a2": "Vivado 2019.2",
                     "qnn-mo-w1a2": None, "qnn-mo-w1a3": None}


@pytest.mark.parametrize("name", ["bnn-pynq-lfc-w1a1", "bnn-pynq-lfc-w1a2", "qnn-mo-w1a2"])
def test_published_files_may_be_loaded(golden, name):
    overlay = load_overlay(SHIPPED / name)
    folder = golden / ("qnn-mo" if name.startswith("qnn") else "bnn-pynq") / "bitstreams"
    paths = {key: folder / file.name for key, file in overlay.files.items()}
    found = check_right(overlay, paths)
    assert found.part == "7z020clg400" and not found.partial
