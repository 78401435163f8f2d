"""Descriptions: what is read, what is refused and how, and the schema beside them."""
from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_circuits import EXAMPLES, stream

from qnn_pynq.errors import DescriptorError, QnnError
from qnn_pynq.streams import Description, describe, load_description, parse_type
from qnn_pynq.streams.packets import batch_packets, longest_batch, sample_stride

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "streams.schema.json"


@pytest.fixture(scope="module")
def fits():
    """fits(document): whether the published schema takes it."""
    jsonschema = pytest.importorskip("jsonschema")
    if not hasattr(jsonschema, "Draft202012Validator"):
        pytest.skip("needs jsonschema 4")
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema).is_valid


@pytest.mark.parametrize("example", sorted(EXAMPLES))
def test_a_description_is_the_same_after_json(example, tmp_path, fits):
    description = EXAMPLES[example]
    document = json.loads(json.dumps(description.to_json()))
    path = tmp_path / "d.json"
    path.write_text(json.dumps(document))
    assert load_description(path) == load_description(str(path)) == load_description(document) == description
    assert load_description(description) is description and fits(document)


def test_what_is_left_out_has_a_default():
    loop = describe("loopback", [stream("x")], [stream("y")])
    assert loop.ip == "loopback_0" and loop.vlnv == "xilinx.com:hls:loopback:1.0" and loop.clock_mhz == 100
    (dma,) = loop.dmas
    assert (dma.name, dma.address, dma.length_bits, dma.scatter_gather, dma.data_bits) == (
        "axi_dma_0", 0x40400000, 26, False, 32)
    wide = describe("loopback", [stream("x", "double", (8,), lanes=2, dma="b")], [stream("y", dma="a")])
    assert [(dma.name, dma.address, dma.data_bits) for dma in wide.dmas] == [
        ("b", 0x40400000, 128), ("a", 0x40410000, 32)]


def refusals():
    """(path, value, message): one field of a good document changed."""
    yield ("format",), "x", "format: \"x\" is not allowed"
    yield ("version",), 2, "version: 2 is too new"
    yield ("name",), "2x", 'name: "2x" is no name for a port'
    yield ("name",), "int", 'name: "int" has a meaning in C'
    yield ("name",), "x", 'the name "x" is taken'
    yield ("control",), "manual", 'control: "manual" is not allowed: expected "none" or "start"'
    yield ("clock_mhz",), 0, "clock_mhz: 0 is out of range"
    yield ("boards",), [1], "boards"
    yield ("boards",), [], r"boards: \[\] is empty"
    yield ("inputs",), [], r"inputs: \[\] is empty"
    yield ("outputs",), {}, "outputs"
    yield ("inputs", 0, "name"), "y", 'the name "y" is taken'
    yield ("inputs", 0, "name"), "y_t", 'the name "y_t" is one that the C\\+\\+ of "y" needs'
    yield ("inputs", 0, "name"), "Y", 'the name "y" is taken'
    yield ("inputs", 0, "name"), "end_y", 'the name "end_y" is one that the C\\+\\+ of "y" needs'
    for word in ("timeout", "self", "linux", "NULL", "size", "uint8_t", "Loop", "generate", "and_eq"):
        yield ("inputs", 0, "name"), word, "has a meaning"
    yield ("ip", "name"), "Control_0", 'the name "Control_0" is another block\'s of the design'
    yield ("ip", "name"), "axi_dma_0", 'the name "axi_dma_0" is another block\'s of the design'
    yield ("dmas", 0, "range"), "0x00000040", "has 0x00000040 bytes at 0x40400000: expected at least 128, within 32"
    yield ("dmas", 0, "address"), "0xFFFFFF00", "within 32 bits"
    yield ("inputs", 0, "name"), "in", 'inputs\\[0\\].name: "in" has a meaning'
    yield ("inputs", 0, "name"), "a__b", "is no name for a port"
    yield ("inputs", 0, "name"), "lambda", "has a meaning"
    yield ("inputs", 0, "type"), "ap_fixed<99,6>", r'inputs\[0\].type: "ap_fixed<99,6>" has 99 bits'
    yield ("inputs", 0, "type"), "ap_fixed<60,6>", "has more bits than a float64 holds: expected up to 53, or"
    yield ("inputs", 0, "shape"), [3, 0], r"inputs\[0\].shape: \[3, 0\] is no shape"
    yield ("inputs", 0, "shape"), [True], "is no shape"
    yield ("inputs", 0, "shape"), [4096, 4097], "are too many"
    yield ("inputs", 0, "shape"), 3, "shape"
    yield ("inputs", 0, "tlast"), "sometimes", "tlast: \"sometimes\" is not allowed"
    yield ("inputs", 0, "tlast"), "sample", 'nothing tells the circuit where the batch of "y" ends'
    yield ("outputs", 0, "tlast"), "never", 'tlast: "never" is not allowed: expected "batch" or "sample"'
    yield ("inputs", 0, "lanes"), 2, "lanes: 2 do not divide the 3 numbers"
    yield ("inputs", 0, "lanes"), 3, "3 of 16 bits make 48 bits in a beat: expected 8, 16, 32"
    yield ("inputs", 0, "rounding"), "up", 'rounding: "up" is not allowed'
    yield ("inputs", 0, "overflow"), "wrap", 'overflow: "wrap" is not allowed'
    yield ("outputs", 0, "rounding"), "type", "rounding: unknown field"
    yield ("inputs", 0, "port"), "axi-master", "dma: unknown field"
    yield ("inputs", 0, "dma"), "a b", "dma: \"a b\" is no name"
    yield ("dmas", 0, "name"), "other", 'dmas\\[0\\].name: "other" is the DMA of no stream'
    yield ("dmas", 0, "address"), "1073741824", "address: .* is not allowed: expected hexadecimal"
    yield ("dmas", 0, "address"), "0x40400002", "a multiple of 4"
    yield ("dmas", 0, "length_bits"), 27, "length_bits: 27 is out of range: expected 8 to 26"
    yield ("dmas", 0, "data_bits"), 48, "data_bits: 48 is not allowed"
    yield ("ip", "vlnv"), "a:b:c", "vlnv: \"a:b:c\" is not allowed: expected vendor:library:name:version"
    yield ("ip", "name"), "a;b", "is no name"
    yield ("timing", "cycles_per_sample"), -1, "cycles_per_sample: -1 is out of range"
    yield ("max_samples",), 0, "max_samples: 0 is out of range"
    yield ("colour",), 1, "colour: unknown field: expected one of"


@pytest.mark.parametrize("path, value, message", list(refusals()))
def test_a_wrong_field_is_named_with_what_is_allowed(path, value, message, fits):
    document = json.loads(json.dumps(EXAMPLES["loopback"].to_json()))
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(DescriptorError, match=message):
        load_description(document)
    beyond = ("taken", "meaning", "too many", "nothing tells", "divide", "make 48", "needs", "of no stream",
              "more bits", "multiple of 4", "no name for", "no type", "has 99", "unknown field", "is no name",
              "another block", "within 32")
    assert not fits(document) or any(word in message for word in beyond)


def test_a_dict_may_have_what_python_has_and_json_has_not():
    x = {"name": "x", "type": parse_type("ap_fixed<16,6>"), "shape": np.zeros((2, 3)).shape}
    y = {"name": "y", "type": "int8", "shape": [np.int64(3)]}
    made = describe("loopback", (x,), [y], clock_mhz=np.float64(50))
    assert made.inputs[0].shape == (2, 3) and made.outputs[0].shape == (3,) and made.clock_mhz == 50.0
    for inputs in (None, 5, x):
        with pytest.raises(DescriptorError, match="^description: inputs: "):
            describe("loopback", inputs, [y])
    with pytest.raises(DescriptorError, match=r"^description: inputs\[0\].type: 5 is no string"):
        describe("loopback", [dict(x, type=5)], [y])


def test_the_longest_name_has_an_instance():
    assert describe("a" * 40, [stream("x")], [stream("y")]).ip == "a" * 40 + "_0"


def test_null_is_as_left_out(fits):
    document = json.loads(json.dumps(EXAMPLES["loopback"].to_json()))
    for key in ("title", "boards", "clock_mhz", "control", "dmas", "ip", "timing", "max_samples"):
        document[key] = None
    assert load_description(document) == describe("loopback", [stream("x")], [stream("y")]) and fits(document)


def test_what_no_field_alone_says_is_refused():
    with pytest.raises(DescriptorError, match='inputs: the DMA "axi_dma_0" has one channel each way'):
        describe("two", [stream("a"), stream("b")], [stream("y")])
    with pytest.raises(DescriptorError, match='control: "none" gives no address to an AXI master: expected "start"'):
        describe("m", [stream("a", port="axi-master")], [stream("y", tlast="sample")])
    with pytest.raises(DescriptorError, match="dmas: b at 0x40408000 overlaps a"):
        describe("two", [stream("x", dma="a"), stream("z", dma="b")], [stream("y", dma="a")],
                 dmas=[{"name": "a"}, {"name": "b", "address": "0x40408000"}])
    with pytest.raises(DescriptorError, match="data_bits: 32 are fewer than the 64 of a beat"):
        describe("w", [stream("x", "double")], [stream("y")], dmas=[{"name": "axi_dma_0", "data_bits": 32}])
    for source in (5, None, [1]):
        with pytest.raises(DescriptorError, match="is no description: expected a JSON file, a dict, or a Description"):
            load_description(source)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
                    max_leaves=6)


@settings(max_examples=300, deadline=None)
@given(example=st.sampled_from(sorted(EXAMPLES)), value=JSON, data=st.data())
def test_any_field_changed_to_anything_is_read_or_refused_by_name(example, value, data):
    document = copy.deepcopy(EXAMPLES[example].to_json())
    place = document
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], (dict, list)) or not place[key] or data.draw(st.booleans()):
            place[key] = value
            break
        place = place[key]
    try:
        assert isinstance(load_description(document), Description)
    except QnnError as error:
        assert str(error).startswith("description: ")


def test_packets_follow_tlast_and_the_longest_transfer():
    def of(tlast, samples=5, **dma):
        made = describe("loopback", [stream("x", shape=(3,), tlast=tlast), stream("z", "bool", (), dma="d")],
                        [stream("y", dma="d")], dmas=[{"name": "axi_dma_0", **dma}])
        return batch_packets(made.inputs[0], made.dmas[0], samples)

    assert of("batch") == [(0, 30)]
    assert of("sample", 3) == [(0, 6), (8, 6), (16, 6)]  # each begins where a DMA of 32 bits can begin
    assert of("sample", 3, unaligned=True) == [(0, 6), (6, 6), (12, 6)]
    assert of("sample", 2, data_bits=64) == [(0, 6), (8, 6)]
    assert of("never", 100, length_bits=8) == [(128 * n, 128) for n in range(4)] + [(512, 88)]
    assert of("never", 100, length_bits=8, scatter_gather=True) == [(0, 600)]


def test_the_longest_batch_keeps_every_limit():
    def of(inputs, **more):
        return longest_batch(describe("loopback", [inputs], [stream("y")], **more))

    short = [{"name": "axi_dma_0", "length_bits": 8}]
    assert of(stream("x")) == (32 << 20) // 12 and of(stream("x"), max_samples=7) == 7
    assert of(stream("x"), dmas=short) == 42
    assert of(stream("x"), dmas=[dict(short[0], scatter_gather=True)]) == (32 << 20) // 12
    with pytest.raises(DescriptorError, match="a sample of x has 256 bytes: expected at most the 255"):
        of(stream("x", shape=(128,)), dmas=short)
    chain = [{"name": "axi_dma_0", "scatter_gather": True}]  # a descriptor of 64 bytes for each sample
    assert of(stream("x", tlast="sample"), dmas=chain, control="start") == (32 << 20) // (8 + 64 + 6)
    assert sample_stride(EXAMPLES["masters"].inputs[0], None) == 12


def test_what_follows_from_a_description_follows_from_a_changed_one_too():
    before = EXAMPLES["odd_widths"].inputs[0]  # ap_fixed<11,3>, (5,)
    assert (before.elements, before.sample_bytes, before.type.result) == (5, 10, np.float32)
    after = dataclasses.replace(before, shape=(7, 2), type=dataclasses.replace(before.type, width=40))
    assert (after.elements, after.sample_bytes, after.type.container) == (14, 112, np.int64)
    assert after.type.result == np.float64
    dma = dataclasses.replace(EXAMPLES["odd_widths"].dmas[0], length_bits=14)
    assert (dma.longest, dataclasses.replace(dma, length_bits=10).longest) == (16383, 1023)
