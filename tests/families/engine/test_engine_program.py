"""Instructions and their words: what is encoded is what the circuit takes apart, and nothing else is encoded."""

from __future__ import annotations

import dataclasses

import engine_networks as nets
import pytest
from hypothesis import given
from hypothesis import strategies as st
from program_oracle import Broken
from test_compiler import answers, check

from qnn_pynq.errors import UnsupportedNetworkError
from qnn_pynq.families.engine import compiler, twin_decode
from qnn_pynq.families.engine.program import (
    ACTIVATIONS,
    NO_RING,
    End,
    Flags,
    Layer,
    Load,
    Place,
    Store,
    encode,
    length,
)

flags = st.builds(Flags, first=st.booleans(), next=st.just(False), wait_load=st.booleans(), wait_store=st.booleans(),
                  wait_drain=st.booleans())
places = st.builds(Place, st.integers(0, 4095), st.integers(0, 15))
offsets = st.integers(0, (1 << 25) - 1).map(lambda words: 128 * words)
strides = st.integers(-4095, 4095)


def pairs(high):
    return st.tuples(st.integers(1, high), st.integers(1, high))


layers = st.builds(
    Layer, source=places, to=places, raw=st.booleans(), shift=st.integers(0, 1), levels=st.integers(1, 8),
    out_bits=st.integers(1, 4), in_bits=st.integers(1, 8), weight_bits=st.integers(1, 8), stride=st.integers(1, 4),
    beta=st.integers(0, 255), pad=st.integers(0, 255), safe=st.integers(0, 255), words=st.integers(1, 256),
    kernel=pairs(8), st_word=strides, st_kx=strides, st_ky=strides, st_plane=strides, st_group=strides,
    out_sub=st.integers(0, 15), st_ox=strides, st_oy=strides, st_out=strides, st_oplane=strides, out_size=pairs(256),
    w_base=st.integers(0, 2047), w_row=st.integers(0, 2047), w_plane=st.integers(0, 2047), t_base=st.integers(0, 511),
    row_groups=st.integers(1, 256), groups=st.integers(1, 256), in_size=pairs(256), flags=flags,
    first=st.tuples(st.integers(-256, 255), st.integers(-256, 255)))


def decoded(instruction):
    program = twin_decode.Program([*encode([instruction]).tolist(), 1])
    found = program.at(0)
    assert program.length(found) == length(instruction)
    assert tuple(found.flags) == (instruction.flags.first, instruction.flags.next, instruction.flags.wait_load,
                                  instruction.flags.wait_store, instruction.flags.wait_drain)
    return found


@given(layers)
def test_a_layer_is_taken_apart_as_it_was_put_together(layer):
    found = decoded(layer)
    assert (found.source.pointer, found.source.alt, found.source.bits) == (layer.source.pointer, 0, layer.source.ring)
    assert (found.to.pointer, found.to.alt, found.to.bits) == (layer.to.pointer, 0, layer.to.ring)
    assert (found.raw, found.shift, found.thresholds, found.out_bits) == (
        layer.raw, layer.shift, layer.levels, layer.out_bits)
    assert (found.planes, found.weight_planes, found.stride) == (layer.in_bits, layer.weight_bits, layer.stride)
    assert (found.beta, found.pad, found.safe, found.words) == (layer.beta, layer.pad, layer.safe, layer.words)
    assert (found.ky, found.kx, found.oy, found.ox) == (*layer.kernel, *layer.out_size)
    names = {"st_word": "st_word", "st_kx": "st_kx", "st_ky": "st_ky", "st_plane": "st_plane", "st_group": "st_group",
             "st_ox": "st_ox", "st_oy": "st_oy", "st_out": "st_out", "st_oplane": "st_oplane"}
    for mine, theirs in names.items():
        assert getattr(found, theirs) == getattr(layer, mine) % 4096
    assert (found.w_base, found.w_row, found.w_plane, found.t_base) == (
        layer.w_base, layer.w_row, layer.w_plane, layer.t_base)
    assert (found.row_groups, found.groups, found.out_sub) == (layer.row_groups, layer.groups, layer.out_sub)
    assert (found.iy, found.ix) == (layer.first[0] % 512, layer.first[1] % 512)
    assert (found.height, found.width) == layer.in_size


@given(st.integers(0, 2), st.integers(0, 3), offsets, st.integers(1, 1 << 20), places, flags, st.booleans())
def test_a_load_is_taken_apart_as_it_was_put_together(target, region, offset, words, to, made, ahead):
    load = Load(target, region, offset, words, to, dataclasses.replace(made, next=ahead))
    found = decoded(load)
    assert (found.target, found.region, found.offset, found.words) == (target, region, offset, words)
    assert (found.to.pointer, found.to.bits) == to


@given(st.integers(2, 3), offsets, st.integers(1, 4096), places, flags)
def test_a_store_is_taken_apart_as_it_was_put_together(region, offset, words, source, made):
    found = decoded(Store(region, offset, words, source, made))
    assert (found.region, found.offset, found.words) == (region, offset, words)
    assert (found.source.pointer, found.source.bits) == source


FAR = {
    "shift": (-1, 2), "levels": (0, 17), "out_bits": (0, 5), "in_bits": (0, 9), "weight_bits": (0, 9), "stride": (0, 5),
    "beta": (-1, 256), "pad": (-1, 256), "safe": (-1, 256), "words": (0, 257), "kernel": ((0, 1), (9, 1), (1, 9)),
    "st_word": (-4096, 4096), "st_kx": (5000,), "st_ky": (4096,), "st_plane": (-5000,), "st_group": (4096,),
    "out_sub": (-1, 16), "st_ox": (4096,), "st_oy": (4096,), "st_out": (4096,), "st_oplane": (4096,),
    "out_size": ((0, 1), (1, 257), (257, 1)), "w_base": (-1, 2048), "w_row": (2048,), "w_plane": (2048,),
    "t_base": (-1, 512), "row_groups": (0, 257), "groups": (0, 257), "in_size": ((0, 1), (1, 257)),
    "first": ((-257, 0), (0, 256)), "source": (Place(4096), Place(-1), Place(0, 16)), "to": (Place(4096), Place(0, -1)),
}


@pytest.mark.parametrize("field, value", [(field, value) for field, values in FAR.items() for value in values])
def test_what_a_field_has_no_room_for_is_refused(field, value):
    with pytest.raises(UnsupportedNetworkError, match="expected 0 to"):
        encode([dataclasses.replace(Layer(Place(0), Place(0)), **{field: value})])


def test_raw_sums_have_8_nibbles_at_most():
    encode([Layer(Place(0), Place(0), raw=True, levels=8)])
    with pytest.raises(UnsupportedNetworkError):
        encode([Layer(Place(0), Place(0), raw=True, levels=9)])


@pytest.mark.parametrize("instruction", [
    Load(4, 0, 0, 1, Place(0)), Load(0, 4, 0, 1, Place(0)), Load(0, 0, 64, 1, Place(0)),
    Load(0, 0, 1 << 32, 1, Place(0)),
    Load(0, 0, 0, 0, Place(0)), Load(0, 0, 0, (1 << 20) + 1, Place(0)), Store(2, 0, 0, Place(0)),
    Store(2, 0, 4097, Place(0)), Store(2, 128 + 8, 1, Place(0)), Store(2, -128, 1, Place(0))])
def test_an_access_that_memory_does_not_take_is_refused(instruction):
    with pytest.raises(UnsupportedNetworkError, match="expected"):
        encode([instruction])


def test_the_end_is_one_word():
    assert encode([End()]).tolist() == [1] and length(End()) == 1


# -- waits ------------------------------------------------------------------------------------------------


def without(program, place, flag):
    """The instructions without one wait."""
    layer, one = program[place]
    if flag == "safe":
        return (layer, dataclasses.replace(one, safe=255))
    return (layer, dataclasses.replace(one, flags=dataclasses.replace(one.flags, **{flag: False})))


def test_no_wait_of_a_program_can_be_left_out(monkeypatch):
    """Strips, maps in memory and words that are used twice: the oracle finds every wait that is missing."""
    net, engine = nets.whole_network(3), nets.small_engine(bank_words=512)
    compiled = check(net, engine, 5)
    program = compiled.parts[0].instructions
    waits = [(place, flag) for place, (_, one) in enumerate(program)
             for flag in ("wait_load", "wait_store", "wait_drain") if getattr(one.flags, flag)]
    # A pool waits by itself, and after 254 words there is nothing left to wait for.
    waits += [(place, "safe") for place, (_, one) in enumerate(program)
              if isinstance(one, Layer) and not one.pool and one.safe < 254]
    assert len(waits) > 6 and {flag for _, flag in waits} >= {"wait_load", "safe"}
    made = compiler.compile_steps
    unnoticed = []
    for place, flag in waits:
        def broken(steps, geometry, place=place, flag=flag):
            found = made(steps, geometry)
            instructions = list(found.parts[0].instructions)
            instructions[place] = without(instructions, place, flag)
            words = encode([one for _, one in instructions])
            return dataclasses.replace(found, parts=(found.parts[0]._replace(words=words), *found.parts[1:]))

        monkeypatch.setattr(compiler, "compile_steps", broken)
        try:
            answers(net, engine, 5)
            unnoticed.append((place, flag))
        except Broken:
            pass
    assert unnoticed == []


def test_a_load_for_the_next_group_comes_as_soon_as_its_words_are_free():
    compiled = check(nets.dense_network(1), nets.small_engine())
    kinds = [(type(one).__name__, one.flags.first, one.flags.next) for _, one in compiled.parts[0].instructions]
    assert kinds[:3] == [("Load", True, False), ("Layer", False, False), ("Load", False, True)]
    loads = [one for _, one in compiled.parts[0].instructions if isinstance(one, Load)]
    assert loads[0].target == ACTIVATIONS and loads[0].to == loads[1].to and loads[0].to.ring == NO_RING
