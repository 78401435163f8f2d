"""What is known of the machine, from its files."""

from __future__ import annotations

from pathlib import Path

import pytest
from faked_host import Z1, machine, pc, z1

from qnn_pynq.diagnosis.host import Host, numbers


@pytest.mark.parametrize(
    "text, expected",
    [("1.17.4", (1, 17, 4)), ("4.0.0rc1", (4, 0, 0)), ("2.0", (2, 0)), ("dev", ()), ("3.1.2.post1", (3, 1, 2))],
)
def test_versions_are_compared_by_their_numbers(text: str, expected: tuple[int, ...]) -> None:
    assert numbers(text) == expected


def test_a_board_is_recognised_and_a_pc_is_none(tmp_path: Path) -> None:
    host = z1(tmp_path)
    assert host.on_board and host.zynq7000 and host.board == "Pynq-Z1"
    assert not pc(tmp_path / "pc").on_board and pc(tmp_path / "pc").board is None


@pytest.mark.parametrize(
    "kernel, ubuntu, image",
    [
        ("5.4.0-xilinx-v2020.2", "20.04", (2, 7)),
        ("5.15.19-xilinx-v2022.1", "22.04", (3, 0)),
        ("6.6.10-xilinx-v2024.1-g12", "22.04", (3, 1)),
        ("5.4.0-xilinx-v2020.1", "18.04", (2, 6)),
        ("5.10.0-own", "20.04", (2, 7)),  # an own kernel on an image: its Ubuntu tells
        ("5.15.0-own", "22.04", None),
        ("6.1.0-xilinx-v2031.1", "32.04", None),
    ],
)
def test_the_image_is_known_by_its_kernel_or_its_ubuntu(
    tmp_path: Path, kernel: str, ubuntu: str, image: tuple[int, int] | None
) -> None:
    files = {"proc/sys/kernel/osrelease": kernel, "etc/os-release": f'VERSION_ID="{ubuntu}"\n'}
    assert z1(tmp_path, files).image == image


def test_the_greeting_of_the_console_tells_the_ubuntu_too(tmp_path: Path) -> None:
    host = Host(machine(tmp_path, {"etc/issue": "PynqLinux, based on Ubuntu 20.04 \\n \\l\n"}), {})
    assert host.ubuntu == "20.04" and host.image == (2, 7)


def test_what_is_installed_is_looked_up_without_importing_it(tmp_path: Path) -> None:
    host = Host(tmp_path, {})
    assert host.version("numpy") and host.version("no-such-distribution") is None
    folder = host.package_folder("numpy")
    assert folder is not None and folder.name == "numpy" and host.package_folder("no_such_package") is None


def test_the_faked_board_has_what_the_checks_read(tmp_path: Path) -> None:
    host = z1(tmp_path)
    assert host.kernel == Z1["proc/sys/kernel/osrelease"].strip()
    assert host.meminfo("CmaTotal") == 128 and host.meminfo("NoSuchLine") is None
