"""The generated Tcl under tclsh, against stubs that record what Vivado and Vitis HLS would be told."""
from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest
from stream_circuits import EXAMPLES

from qnn_pynq.streams import describe
from qnn_pynq.streams.generate.tcl import block_design_source, hls_project_source

STUBS = r"""
rename file real_file
proc file args {
    if {[lindex $args 0] eq "copy"} {
        puts [join [linsert $args 0 file] \t]
    } else {
        uplevel 1 real_file $args
    }
}
foreach name {create_project set_property update_ip_catalog create_bd_design create_bd_cell apply_bd_automation
        connect_bd_intf_net connect_bd_net assign_bd_address validate_bd_design save_bd_design add_files
        update_compile_order launch_runs wait_on_run open_project set_top open_solution set_part create_clock
        csim_design csynth_design export_design} {
    proc $name args "puts \[join \[linsert \$args 0 $name\] \\t\]"
}
foreach name {get_bd_cells get_bd_pins get_bd_intf_pins get_bd_addr_segs get_bd_addr_spaces get_files get_runs} {
    proc $name args {return $args}
}
proc current_project {} {return project}
proc current_fileset {} {return fileset}
proc make_wrapper args {return wrapper.v}
proc get_property {name what} {return $::progress}
set progress 100%
"""


@pytest.fixture(scope="module")
def tclsh():
    found = shutil.which("tclsh")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("tclsh is not there: apt install tcl")
        pytest.skip("needs tclsh")
    return found


def calls(tclsh, folder, text, before=""):
    """Each command that the tools are given, as a list of words."""
    (folder / "stubs.tcl").write_text(STUBS + before)
    script = folder / "script.tcl"
    script.write_text("source stubs.tcl\n" + text)
    done = subprocess.run([tclsh, str(script)], cwd=str(folder), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def words(found, command):
    return [line[1:] for line in found if line[0] == command]


@pytest.mark.parametrize("example", sorted(EXAMPLES))
def test_the_block_design_is_complete(example, tclsh, tmp_path):
    description = EXAMPLES[example]
    found = calls(tclsh, tmp_path, block_design_source(description))
    cells = {line[-1]: line[3] for line in words(found, "create_bd_cell")}
    assert cells["ps7"].endswith("processing_system7:5.5") and cells[description.ip] == description.vlnv
    assert [name for name, vlnv in cells.items() if ":axi_dma:7.1" in vlnv] == [dma.name for dma in description.dmas]

    # Every interface once, every end on a cell that there is, streams as described.
    pairs = words(found, "connect_bd_intf_net")
    ends = [end for pair in pairs for end in pair]
    assert len(ends) == len(set(ends)) and all(end.split("/")[0] in cells for end in ends)
    for stream in description.inputs:
        if stream.dma is not None:
            assert [stream.dma + "/M_AXIS_MM2S", f"{description.ip}/{stream.name}"] in pairs
    for stream in description.outputs:
        if stream.dma is not None:
            assert [f"{description.ip}/{stream.name}", stream.dma + "/S_AXIS_S2MM"] in pairs
        else:
            assert f"{description.ip}/m_axi_gmem_{stream.name}" in ends

    # SmartConnects have as many ports as are used.
    config = {line[2]: dict(zip(line[1].split()[::2], line[1].split()[1::2]))
              for line in words(found, "set_property") if line[0] == "-dict"}
    for cell, ways in (("control_0", "S{}M{}"), ("memory_0", "S{}M{}")):
        for way in "SM":
            used = [end for end in ends if re.match(f"{cell}/{way}[0-9][0-9]_AXI", end)]
            assert config[cell][f"CONFIG.NUM_{way}I"] == str(len(used)), (cell, way, ways)

    # One clock and one reset, each pin driven once.
    nets = words(found, "connect_bd_net")
    driven = [pin for _, pin in nets]
    assert len(driven) == len(set(driven)) and all(pin.split("/")[0] in cells for net in nets for pin in net)
    for dma in description.dmas:
        assert ["ps7/FCLK_CLK0", dma.name + "/s_axi_lite_aclk"] in nets
        assert ["reset_0/peripheral_aresetn", dma.name + "/axi_resetn"] in nets
        for end in ends:
            if end.startswith(dma.name + "/M_AXI_"):
                assert ["ps7/FCLK_CLK0", end.lower() + "_aclk"] in nets
    assert ["ps7/FCLK_CLK0", description.ip + "/ap_clk"] in nets

    # DMAs as the Python side will drive them.
    for dma in description.dmas:
        assert config[dma.name]["CONFIG.c_include_sg"] == str(int(dma.scatter_gather))
        assert config[dma.name]["CONFIG.c_sg_length_width"] == str(dma.length_bits)
        ways = {way: [stream for stream in group if stream.dma == dma.name]
                for way, group in (("mm2s", description.inputs), ("s2mm", description.outputs))}
        for way, streams in ways.items():
            assert config[dma.name]["CONFIG.c_include_" + way] == str(len(streams))
            if streams:
                assert config[dma.name][f"CONFIG.c_m_axi_{way}_data_width"] == str(dma.data_bits)
        if ways["mm2s"]:
            assert config[dma.name]["CONFIG.c_m_axis_mm2s_tdata_width"] == str(ways["mm2s"][0].beat_bits)

    # Addresses as the Python side will use them, and the DDR at last.
    places = words(found, "assign_bd_address")
    assert places[-1] == [] and all(place[5] == "ps7/Data" for place in places[:-1])
    given = {place[6].split("/")[0]: (int(place[1], 16), int(place[3], 16)) for place in places[:-1]}
    for dma in description.dmas:
        assert given[dma.name] == (dma.address, dma.range)
    assert (description.ip in given) == (description.control == "start")
    order = [line[0] for line in found]
    assert order.index("validate_bd_design") > max(n for n, name in enumerate(order) if name.startswith("connect"))
    copied = words(found, "file")
    assert [os.path.basename(line[-1]) for line in copied] == [description.name + ".bit", description.name + ".hwh"]


def test_an_interrupt_goes_through_a_controller_that_pynq_knows(tclsh, tmp_path):
    nets = words(calls(tclsh, tmp_path, block_design_source(EXAMPLES["floats"])), "connect_bd_net")
    for net in (["axi_dma_0/s2mm_introut", "interrupts_0/In0"], ["interrupts_0/dout", "axi_intc_0/intr"],
                ["axi_intc_0/irq", "ps7/IRQ_F2P"], ["ps7/FCLK_CLK0", "axi_intc_0/s_axi_aclk"]):
        assert net in nets
    nets = words(calls(tclsh, tmp_path, block_design_source(EXAMPLES["loopback"])), "connect_bd_net")
    assert nets and not [net for net in nets if "axi_intc_0" in " ".join(net)]


def test_the_interrupt_controller_has_a_window_of_its_own(tclsh, tmp_path):
    ends = {"dma": "d", "shape": [], "type": "int8"}
    made = describe("loopback", [dict(ends, name="x")], [dict(ends, name="y")],
                    dmas=[{"name": "d", "address": "0x41790000", "range": "0x00100000", "interrupt": True}])
    places = words(calls(tclsh, tmp_path, block_design_source(made)), "assign_bd_address")
    assert {place[6].split("/")[0]: place[1] for place in places if place}["axi_intc_0"] == "0x41890000"


def test_a_failed_implementation_is_an_error(tclsh, tmp_path):
    (tmp_path / "stubs.tcl").write_text(STUBS + "set progress 40%\n")
    script = tmp_path / "script.tcl"
    script.write_text("source stubs.tcl\n" + block_design_source(EXAMPLES["loopback"]))
    done = subprocess.run([tclsh, str(script)], cwd=str(tmp_path), capture_output=True, text=True)
    assert done.returncode != 0 and "the implementation failed" in done.stderr and ".bit" not in done.stdout


def test_the_hls_project_has_the_files_the_clock_and_the_name(tclsh, tmp_path):
    (tmp_path / "vectors.txt").write_text("samples 0\n")
    found = calls(tclsh, tmp_path, hls_project_source(EXAMPLES["loopback"]))
    assert words(found, "add_files") == [["loopback.cpp"], ["loopback_compute.cpp"], ["-tb", "loopback_bench.cpp"],
                                         ["-tb", "vectors.txt"]]
    assert words(found, "set_top") == [["loopback"]]
    assert words(found, "create_clock") == [["-period", "10", "-name", "default"]]
    assert words(found, "export_design") == [["-format", "ip_catalog", "-vendor", "xilinx.com", "-library", "hls",
                                              "-version", "1.0"]]
    (tmp_path / "vectors.txt").unlink()
    assert len(words(calls(tclsh, tmp_path, hls_project_source(EXAMPLES["loopback"])), "add_files")) == 3
