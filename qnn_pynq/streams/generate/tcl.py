"""Tcl from a description: the Vitis HLS project, and the Vivado block design with its DMAs, addresses and bitstream."""

from __future__ import annotations

from ..description import Description, Dma

__all__ = ["block_design_source", "hls_project_source"]

_PART = "xc7z020clg400-1"  # of PYNQ-Z1 and PYNQ-Z2
_NOTE = "# Made by `qnn-pynq interface` from {name}.json: change that and run it again, not this file.\n"


def hls_project_source(description: Description) -> str:
    """`hls.tcl`, for `vitis_hls -f hls.tcl`: simulation, synthesis, export as an IP."""
    vendor, library, _, version = description.vlnv.split(":")
    return _NOTE.format(name=description.name) + f"""# vitis_hls -f hls.tcl
open_project -reset {description.name}_hls
set_top {description.name}
add_files {description.name}.cpp
add_files {description.name}_compute.cpp
add_files -tb {description.name}_bench.cpp
if {{[file exists vectors.txt]}} {{
    add_files -tb vectors.txt
}}
open_solution -reset solution1
set_part {_PART}
create_clock -period {round(1000 / description.clock_mhz, 3):g} -name default
csim_design
csynth_design
export_design -format ip_catalog -vendor {vendor} -library {library} -version {version}
exit
"""


def _dma_source(description: Description, dma: Dma) -> list[str]:
    sends = [stream for stream in description.inputs if stream.dma == dma.name]
    receives = [stream for stream in description.outputs if stream.dma == dma.name]
    config = {
        "c_include_sg": int(dma.scatter_gather), "c_sg_length_width": dma.length_bits,
        "c_include_mm2s": len(sends), "c_include_s2mm": len(receives),
    }
    if dma.scatter_gather:
        config["c_sg_include_stscntrl_strm"] = 0
    for group, way in ((sends, "mm2s"), (receives, "s2mm")):
        if group:
            config[f"c_m_axi_{way}_data_width"] = dma.data_bits
            config[f"c_include_{way}_dre"] = int(dma.unaligned)
    if sends:
        config["c_m_axis_mm2s_tdata_width"] = sends[0].beat_bits
    lines = [f"create_bd_cell -type ip -vlnv xilinx.com:ip:axi_dma:7.1 {dma.name}",
             "set_property -dict [list {}] [get_bd_cells {}]".format(
                 " ".join(f"CONFIG.{key} {value}" for key, value in config.items()), dma.name)]
    for stream in sends:
        lines.append(f"connect_bd_intf_net [get_bd_intf_pins {dma.name}/M_AXIS_MM2S] [get_bd_intf_pins "
                     f"{description.ip}/{stream.name}]")
    for stream in receives:
        lines.append(f"connect_bd_intf_net [get_bd_intf_pins {description.ip}/{stream.name}] [get_bd_intf_pins "
                     f"{dma.name}/S_AXIS_S2MM]")
    return lines


def _masters(description: Description) -> list[str]:
    """Interfaces that read or write memory."""
    found = []
    for dma in description.dmas:
        if any(stream.dma == dma.name for stream in description.inputs):
            found.append(dma.name + "/M_AXI_MM2S")
        if any(stream.dma == dma.name for stream in description.outputs):
            found.append(dma.name + "/M_AXI_S2MM")
        if dma.scatter_gather:
            found.append(dma.name + "/M_AXI_SG")
    found += [f"{description.ip}/m_axi_gmem_{stream.name}"
              for stream in description.streams if stream.dma is None]
    return found


def _slaves(description: Description) -> list[tuple[str, str, int, int]]:
    """(interface, address segment, address, range) of what the processor reaches."""
    found = [(dma.name + "/S_AXI_LITE", dma.name + "/S_AXI_LITE/Reg", dma.address, dma.range)
             for dma in description.dmas]
    if description.control == "start":
        found.append((description.ip + "/s_axi_control", description.ip + "/s_axi_control/Reg", description.address,
                      description.range))
    if any(dma.interrupt for dma in description.dmas):
        free = next(base for base in range(0x41800000, 0x80000000, 0x10000)
                    if all(base >= address + size or base + 0x10000 <= address for _, _, address, size in found))
        found.append(("axi_intc_0/s_axi", "axi_intc_0/S_AXI/Reg", free, 0x10000))
    return found


def _clocks(description: Description) -> tuple[list[str], list[str]]:
    """Pins of the clock, pins of the reset."""
    clocks = ["ps7/M_AXI_GP0_ACLK", "ps7/S_AXI_HP0_ACLK", "reset_0/slowest_sync_clk", "control_0/aclk", "memory_0/aclk",
              description.ip + "/ap_clk"]
    resets = ["control_0/aresetn", "memory_0/aresetn", description.ip + "/ap_rst_n"]
    for dma in description.dmas:
        clocks.append(dma.name + "/s_axi_lite_aclk")
        resets.append(dma.name + "/axi_resetn")
        for master in _masters(description):
            if master.startswith(dma.name + "/"):
                clocks.append("{}/{}_aclk".format(dma.name, master.split("/")[1].lower()))
    if any(dma.interrupt for dma in description.dmas):
        clocks.append("axi_intc_0/s_axi_aclk")
        resets.append("axi_intc_0/s_axi_aresetn")
    return clocks, resets


def _interrupts(description: Description) -> list[str]:
    """pynq waits for interrupts of an axi_intc only."""
    pins = [dma.name + "/s2mm_introut" for dma in description.dmas if dma.interrupt]
    if not pins:
        return []
    lines = ["create_bd_cell -type ip -vlnv xilinx.com:ip:axi_intc:4.1 axi_intc_0",
             "set_property -dict [list CONFIG.C_IRQ_CONNECTION 1] [get_bd_cells axi_intc_0]",
             "create_bd_cell -type ip -vlnv xilinx.com:ip:xlconcat:2.1 interrupts_0",
             f"set_property -dict [list CONFIG.NUM_PORTS {len(pins)}] [get_bd_cells interrupts_0]"]
    lines += [f"connect_bd_net [get_bd_pins {pin}] [get_bd_pins interrupts_0/In{number}]"
              for number, pin in enumerate(pins)]
    lines.append("connect_bd_net [get_bd_pins interrupts_0/dout] [get_bd_pins axi_intc_0/intr]")
    lines.append("connect_bd_net [get_bd_pins axi_intc_0/irq] [get_bd_pins ps7/IRQ_F2P]")
    return lines


def block_design_source(description: Description) -> str:
    """`block_design.tcl`, for `vivado -mode batch -source block_design.tcl`: up to `<name>.bit` and `<name>.hwh`."""
    name, masters, slaves = description.name, _masters(description), _slaves(description)
    interrupts = _interrupts(description)
    ps7 = {"PCW_CRYSTAL_PERIPHERAL_FREQMHZ": 50, "PCW_FPGA0_PERIPHERAL_FREQMHZ": f"{description.clock_mhz:g}",
           "PCW_USE_S_AXI_HP0": 1}
    if interrupts:
        ps7.update(PCW_USE_FABRIC_INTERRUPT=1, PCW_IRQ_F2P_INTR=1)
    lines = [
        _NOTE.format(name=name) + "# vivado -mode batch -source block_design.tcl, after hls.tcl",
        "set here [file dirname [file normalize [info script]]]",
        f"create_project {name} $here/{name}_vivado -part {_PART} -force",
        f"set_property ip_repo_paths $here/{name}_hls [current_project]",
        "update_ip_catalog",
        "create_bd_design design_1",
        "",
        "# The processor; its DDR is set up by the board's boot loader, not by this design.",
        "create_bd_cell -type ip -vlnv xilinx.com:ip:processing_system7:5.5 ps7",
        "set_property -dict [list {}] [get_bd_cells ps7]".format(
            " ".join(f"CONFIG.{key} {{{value}}}" for key, value in ps7.items())),
        "apply_bd_automation -rule xilinx.com:bd_rule:processing_system7 "
        "-config {make_external \"FIXED_IO, DDR\"} [get_bd_cells ps7]",
        "create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset:5.0 reset_0",
        "",
        "# The circuit and its streams.",
        f"create_bd_cell -type ip -vlnv {description.vlnv} {description.ip}",
    ]
    for dma in description.dmas:
        lines += _dma_source(description, dma)
    lines += interrupts
    lines += [
        "",
        "# Registers: processor to blocks. Memory: blocks to the DDR, which is not coherent with the caches.",
        "create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect:1.0 control_0",
        f"set_property -dict [list CONFIG.NUM_SI 1 CONFIG.NUM_MI {len(slaves)}] [get_bd_cells control_0]",
        "connect_bd_intf_net [get_bd_intf_pins ps7/M_AXI_GP0] [get_bd_intf_pins control_0/S00_AXI]",
    ]
    lines += [f"connect_bd_intf_net [get_bd_intf_pins control_0/M{number:02}_AXI] [get_bd_intf_pins {pins}]"
              for number, (pins, _, _, _) in enumerate(slaves)]
    lines += [
        "create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect:1.0 memory_0",
        f"set_property -dict [list CONFIG.NUM_SI {len(masters)} CONFIG.NUM_MI 1] [get_bd_cells memory_0]",
        "connect_bd_intf_net [get_bd_intf_pins memory_0/M00_AXI] [get_bd_intf_pins ps7/S_AXI_HP0]",
    ]
    lines += [f"connect_bd_intf_net [get_bd_intf_pins {master}] [get_bd_intf_pins memory_0/S{number:02}_AXI]"
              for number, master in enumerate(masters)]
    clocks, resets = _clocks(description)
    lines += ["", "# One clock, one reset."]
    lines += [f"connect_bd_net [get_bd_pins ps7/FCLK_CLK0] [get_bd_pins {pin}]" for pin in clocks]
    lines.append("connect_bd_net [get_bd_pins ps7/FCLK_RESET0_N] [get_bd_pins reset_0/ext_reset_in]")
    lines += [f"connect_bd_net [get_bd_pins reset_0/peripheral_aresetn] [get_bd_pins {pin}]" for pin in resets]
    lines += ["", "# Addresses as the description has them, then the DDR for every master."]
    lines += [f"assign_bd_address -offset 0x{address:08X} -range 0x{size:08X} -target_address_space "
              "[get_bd_addr_spaces ps7/Data] "
              f"[get_bd_addr_segs {segment}] -force" for _, segment, address, size in slaves]
    lines += [
        "assign_bd_address",
        "validate_bd_design",
        "save_bd_design",
        "",
        "# The bitstream, and the .hwh that pynq and qnn-pynq read.",
        "set wrapper [make_wrapper -files [get_files design_1.bd] -top]",
        "add_files -norecurse $wrapper",
        "set_property top design_1_wrapper [current_fileset]",
        "update_compile_order -fileset sources_1",
        "launch_runs impl_1 -to_step write_bitstream -jobs 2",
        "wait_on_run impl_1",
        "if {[get_property PROGRESS [get_runs impl_1]] ne \"100%\"} {",
        f"    error \"the implementation failed: look at $here/{name}_vivado\"",
        "}",
        f"file copy -force $here/{name}_vivado/{name}.runs/impl_1/design_1_wrapper.bit $here/{name}.bit",
        f"set handoff $here/{name}_vivado/{name}.gen/sources_1/bd/design_1/hw_handoff",
        f"file copy -force $handoff/design_1.hwh $here/{name}.hwh",
        "",
    ]
    return "\n".join(lines)
