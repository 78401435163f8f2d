"""Plans of multi-layer offload: runs, cycles, registers' values, and the bytes that move."""

from __future__ import annotations

import numpy as np
import offload
import pytest
import small_conv
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn_pynq.families.qnn_mo.plan import make_plan
from qnn_pynq.networks import Conv, Pool

# layerType, K, log2 stride, IFMCh, OFMCh, IFMDim, PaddedDim, OFMDim, PoolInDim, PoolOutDim, log2 pool stride
DOREFA = {
    "conv0": [(2, 5, 0, 34, 90, 54, 58, 54, 55, 27, 1)] * 2,
    "conv1": [(2, 3, 0, 180, 272, 27, 29, 27, 29, 14, 1)],
    "conv2": [(1, 3, 0, 136, 192, 14, 16, 14, 14, 14, 0)] * 2,
    "conv3": [(2, 3, 0, 192, 128, 14, 16, 14, 14, 6, 1)] * 2,
}
YOLO = {
    "conv0": [(2, 3, 0, 16, 64, 208, 210, 208, 208, 104, 1)],
    "conv1": [(2, 3, 0, 64, 64, 104, 106, 104, 104, 52, 1)],
    "conv2": [(2, 3, 0, 64, 128, 52, 54, 52, 52, 26, 1)],
    "conv3": [(2, 3, 0, 128, 256, 26, 28, 26, 26, 13, 1)],
    "conv4": [(2, 3, 0, 256, 256, 13, 15, 13, 14, 13, 0)] * 2,
    "conv5": [(1, 3, 0, 512, 256, 13, 15, 13, 13, 13, 0)] * 2,
    "conv6": [(1, 3, 0, 512, 256, 13, 15, 13, 13, 13, 0)] * 2,
}


@pytest.fixture(scope="module")
def dorefa():
    return make_plan(offload.dorefa_net(), offload.overlay("w1a2"))


@pytest.fixture(scope="module")
def yolo():
    return make_plan(offload.tinier_yolo(), offload.overlay("w1a3"))


def _registers(run):
    step, pool = run.step, run.step.pool
    return (2 if pool else 1, step.conv.kernel, 0, run.inputs, run.outputs, step.size, step.padded_size, step.conv_size,
            step.pool_in_size, step.out_size, pool.stride // 2 if pool else 0)


@pytest.mark.parametrize("which, table", [("dorefa", DOREFA), ("yolo", YOLO)])
def test_runs_have_the_registers_of_the_published_networks(which, table, request):
    plan = request.getfixturevalue(which)
    assert {stage.step.name: [_registers(run) for run in stage.runs] for stage in plan.stages} == table


def test_dorefa_net_has_the_specs_work(dorefa):
    assert len(dorefa.runs) == 7
    per_layer = [(sum(run.macs for run in stage.runs), sum(run.run_cycles for run in stage.runs))
                 for stage in dorefa.stages]
    assert per_layer == [(446148000, 437400), (321226560, 177147), (92123136, 63504), (86704128, 42336)]
    assert sum(macs for macs, _ in per_layer) == 946201824
    assert dorefa.run_cycles == 720387


def test_loads_of_dorefa_net_take_33600_cycles_instead_of_110784(dorefa):
    assert dorefa.load_cycles == 33600 and {run.load_kernel for run in dorefa.runs} == {2}
    published = make_plan(offload.dorefa_net(), offload.overlay("w1a2"), conservative=True)
    assert published.load_cycles == 110784
    assert [sum(run.load_cycles for run in stage.runs) for stage in published.stages] == [57984, 10560, 21120, 21120]
    assert published.run_cycles == dorefa.run_cycles


def test_the_lower_bound_of_dorefa_net_is_the_specs(dorefa):
    published = make_plan(offload.dorefa_net(), offload.overlay("w1a2"), conservative=True)
    at_100_mhz = [round((plan.load_cycles + plan.run_cycles) / 1e5, 2) for plan in (dorefa, published)]
    assert at_100_mhz == [7.54, 8.31]


def test_tinier_yolo_has_the_specs_work_and_loads(yolo):
    assert len(yolo.runs) == 10 and sum(run.macs for run in yolo.runs) == 2192965632
    assert [sum(run.run_cycles for run in stage.runs) for stage in yolo.stages] == [
        1038336, 259584, 97344, 97344, 97344, 194688, 194688]
    assert yolo.load_cycles == 65024
    assert [stage.runs[0].load_kernel for stage in yolo.stages] == [1, 1, 1, 2, 3, 3, 3]
    published = make_plan(offload.tinier_yolo(), offload.overlay("w1a3"), conservative=True)
    assert published.load_cycles == 94720
    assert [round((plan.load_cycles + plan.run_cycles) / 1e5, 2) for plan in (yolo, published)] == [20.44, 20.74]


def test_the_conservative_order_of_dorefa_net_is_that_of_the_published_files(dorefa):
    """Files 1 to 7: inside a split all layers of part 0, then all of part 1."""
    published = make_plan(offload.dorefa_net(), offload.overlay("w1a2"), conservative=True)
    assert [(run.step.name, run.first) for run in published.runs] == [
        ("conv0", 0), ("conv0", 90), ("conv1", 0), ("conv2", 0), ("conv3", 0), ("conv2", 192), ("conv3", 128)]
    assert [number for number, _ in published.order] == [0, 0, 1, 2, 3, 2, 3]
    assert [run.step.name for run in dorefa.runs] == ["conv0", "conv0", "conv1", "conv2", "conv2", "conv3", "conv3"]


def test_bytes_of_dorefa_net(dorefa):
    """Written for the input (the halves directly), between the layers, and read at the end, an image."""
    assert dorefa.put_bytes == 2 * 54 * 54 * 16  # 64 lanes for each half of 34 channels
    # The merge to 180 channels (192 lanes), and the halves of 136 (192 lanes each).
    assert dorefa.gathered_bytes == 27 * 27 * 48 + 2 * 14 * 14 * 48
    assert dorefa.taken_bytes == 2 * 6 * 6 * 96
    assert (dorefa.put_bytes, dorefa.gathered_bytes, dorefa.taken_bytes) == (93312, 53808, 6912)
    assert dorefa.weight_bytes == 537600
    assert dorefa.areas == (2 * 54 * 54 * 96, 2 * 27 * 27 * 96)
    published = make_plan(offload.dorefa_net(), offload.overlay("w1a2"), conservative=True)
    assert published.gathered_bytes > dorefa.gathered_bytes and published.weight_bytes == 1772544
    assert published.areas == (54 * 54 * 96, 2 * 54 * 54 * 96)


def test_only_the_unaligned_merge_and_split_of_dorefa_net_are_gathered(dorefa):
    assert [len(stage.gathered) for stage in dorefa.stages] == [0, 1, 2, 0]
    assert [len(stage.moves) for stage in dorefa.stages] == [0, 2, 2, 0]
    assert all(run.skip == 0 for run in dorefa.runs)


def test_aligned_groups_are_read_in_place():
    rng = np.random.default_rng(0)
    net = offload.network([small_conv.binary_conv(rng, 128, 256, groups=2), Pool(3, 2),
                           small_conv.binary_conv(rng, 256, 64)], 8, 128)
    one = offload.network([small_conv.binary_conv(rng, 128, 256), small_conv.binary_conv(rng, 256, 128, groups=2)],
                          8, 128)
    plan = make_plan(one, offload.overlay())
    assert not any(stage.moves for stage in plan.stages) and plan.gathered_bytes == 0
    assert [run.skip for run in plan.runs] == [0, 0, 32]
    plan = make_plan(net, offload.overlay())
    assert len(plan.entry) == 1 and [run.skip for run in plan.runs] == [0, 16, 0]
    published = make_plan(one, offload.overlay(), conservative=True)
    assert [len(stage.moves) for stage in published.stages] == [0, 2]
    assert all(run.skip == 0 for run in published.runs)


def test_a_slice_with_other_channels_in_its_last_tile_is_gathered():
    rng = np.random.default_rng(0)
    layers = [small_conv.binary_conv(rng, 64, 192), small_conv.binary_conv(rng, 192, 64, groups=2)]
    plan = make_plan(offload.network(layers, 6, 64), offload.overlay())
    assert [len(stage.moves) for stage in plan.stages] == [0, 2]  # 96 channels: lanes 96..127 are not zero


def test_more_outputs_than_a_run_has_are_cut_and_none_is_lost():
    rng = np.random.default_rng(0)
    for outputs, cut in ((384, [384]), (385, [224, 161]), (768, [384, 384]), (800, [288, 288, 224])):
        plan = make_plan(offload.network([small_conv.binary_conv(rng, 8, outputs)], 4, 8), offload.overlay())
        assert [run.outputs for run in plan.runs] == cut
        assert [run.first for run in plan.runs] == [sum(cut[:k]) for k in range(len(cut))]


def test_layers_in_software_before_and_behind_are_left_out():
    net = small_conv.small_network()
    plan = make_plan(net, offload.overlay())
    assert [(stage.step.layer, stage.step.name) for stage in plan.stages] == [(1, "conv1"), (3, "conv2")]
    assert plan.input_shape == (8, 8, 64) and plan.output_shape == (4, 4, 40)


def _play(plan, images):
    """Go through a plan in its order with pieces as the content of memory: each is whole when it is read."""
    live = set(plan.entry)

    def span(piece):
        return piece.at(0, images), piece.end(images)

    def write(piece):
        begin, end = span(piece)
        for other in [other for other in live if other.area == piece.area and other != piece]:
            first, last = span(other)
            if first < end and begin < last:
                live.remove(other)
        live.add(piece)

    for number, run in plan.order:
        stage = plan.stages[number]
        if stage.moves and run is stage.runs[0]:
            assert all(move.source in live for move in stage.moves)
            for piece in stage.gathered:
                write(piece)
        assert run.source in live
        write(run.target)
    assert live.issuperset(plan.exit)


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("first", [90, 400])
def test_a_part_that_is_ahead_overwrites_nothing(first, images):
    plan = make_plan(offload.split(first), offload.overlay(), conservative=True)
    last = len(plan.stages) - 1
    assert [number for number, _ in plan.order] == [0, 1, 2, 3] * 3 + [last]
    _play(plan, images)
    fast = make_plan(offload.split(first), offload.overlay())
    assert [number for number, _ in fast.order] == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3 + [last]
    _play(fast, images)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(offload.KINDS), st.booleans(), st.integers(1, 4))
def test_no_run_or_move_overwrites_what_is_still_read(data, kind, conservative, images):
    net = data.draw(offload.networks(kind))
    plan = make_plan(net, offload.overlay(kind), conservative)
    pixel, (first, second) = plan.pixel_bytes, plan.area_bytes(images)
    arrived = plan.entry
    for stage in plan.stages:
        pieces = stage.gathered or arrived
        targets = tuple(run.target for run in stage.runs)
        assert all(run.source in pieces for run in stage.runs)
        assert {piece.area for piece in targets} == {1 - pieces[0].area}
        if stage.gathered:
            assert {piece.area for piece in arrived} == {1 - pieces[0].area}
            moved = sum(move.bits for move in stage.moves)
            assert moved == stage.step.conv.inputs * plan.bits
        for group in (arrived, pieces, targets):
            spans = sorted((piece.at(k, images), piece.at(k, images) + piece.nbytes)
                           for piece in group for k in range(images))
            assert all(end <= begin for (_, end), (begin, _) in zip(spans, spans[1:]))
            assert spans[-1][1] + pixel <= (first, second)[group[0].area]
            assert spans[-1][1] == max(piece.end(images) for piece in group)
        for run in stage.runs:
            assert run.skip % 8 == 0 and run.source.nbytes == run.step.size**2 * pixel
            # No lane that is multiplied has anything but channels of the group or zeros.
            lane, tiles = run.skip * 8 // plan.bits, -(-run.inputs // 64)
            assert lane + 64 * tiles <= run.source.clean
            assert run.inputs == 64 * tiles or lane + run.inputs == run.source.channels
        outputs = [channel for run in stage.runs for channel in range(run.first, run.first + run.outputs)]
        assert outputs == list(range(stage.step.conv.outputs))
        arrived = targets
    assert arrived == plan.exit
    assert sorted(plan.order, key=lambda each: each[0]) == [
        (number, run) for number, stage in enumerate(plan.stages) for run in stage.runs]
    _play(plan, images)
    assert plan.put_bytes <= sum(piece.nbytes for piece in plan.entry)
    convs = [layer for layer in net.layers if isinstance(layer, Conv)]
    sizes = [stage.step.size for stage in plan.stages]
    assert sum(run.macs for run in plan.runs) == sum(
        (size + sum(conv.padding) - conv.kernel + 1) ** 2 * conv.kernel**2 * conv.inputs // conv.groups * conv.outputs
        for conv, size in zip(convs, sizes))
