"""Opening the FPGA: each cause of "No Devices Found" with its remedy, on machines described by a folder."""
from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from qnn_pynq.boards import open_board
from qnn_pynq.boards.zynq import device as zynq_device
from qnn_pynq.errors import BoardUnavailableError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(zynq_device, "ROOT", tmp_path)
    for name in ("XILINX_XRT", "PYNQ_REMOTE_DEVICES", "BOARD"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def zynq(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Root on a Z1 with the image's environment."""
    for path, content in (("proc/device-tree/compatible", b"digilent,zynq-zybo\0xlnx,zynq-7000\0"),
                          ("sys/class/fpga_manager/fpga0/state", b"operating\n")):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    monkeypatch.setattr(zynq_device.os, "geteuid", lambda: 0)
    monkeypatch.setenv("XILINX_XRT", "/usr")
    return root


@pytest.fixture
def fake_pynq(monkeypatch: pytest.MonkeyPatch) -> type:
    """A pynq whose active device is what the test says."""
    class Meta(type):
        answer: object = RuntimeError("No Devices Found")

        @property
        def active_device(cls) -> object:
            if isinstance(cls.answer, Exception):
                raise cls.answer
            return cls.answer

    class Device(metaclass=Meta):
        pass

    for name in ("pynq", "pynq.pl_server", "pynq.pl_server.device"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["pynq.pl_server.device"].Device = Device  # type: ignore[attr-defined]
    return Meta


def refused() -> str:
    with pytest.raises(BoardUnavailableError) as caught:
        open_board("zynq")
    return str(caught.value)


def test_a_user_who_is_not_root_is_told_how_to_become_it(zynq, monkeypatch):
    monkeypatch.setattr(zynq_device.os, "geteuid", lambda: 1000)
    for name in (None, "auto", "zynq"):
        with pytest.raises(BoardUnavailableError, match="needs root.*sudo -i"):
            open_board(name)


def test_a_shell_without_xrt_is_told_what_to_source(zynq, monkeypatch):
    monkeypatch.delenv("XILINX_XRT")
    for name in (None, "auto", "zynq"):
        with pytest.raises(BoardUnavailableError, match="XILINX_XRT is not set.*xrt_setup.sh"):
            open_board(name)


def test_a_python_without_pynq_is_told_which_one_has_it(zynq, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynq", None)
    monkeypatch.setitem(sys.modules, "pynq.pl_server.device", None)
    assert "pynq cannot be imported" in refused() and "image's own Python" in refused()


def test_an_xrt_that_is_not_there_is_told_from_a_missing_pynq(zynq, monkeypatch):
    class Loader:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name.startswith("pynq"):
                raise OSError("libxrt_core.so: cannot open shared object file")

    for name in [name for name in sys.modules if name.split(".")[0] == "pynq"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Loader, *sys.meta_path])
    assert "no XRT library" in refused() and "libxrt_core.so" in refused()


def test_a_pynq_that_was_imported_too_early_is_told_from_a_pc(zynq, fake_pynq):
    assert "imported before XILINX_XRT was set" in refused()


def test_a_pc_is_told_to_emulate(root, fake_pynq):
    assert not zynq_device.fpga_present()
    assert "this machine has no FPGA" in refused() and "board='emulated'" in refused()
    assert open_board().emulated


def test_a_remote_board_that_is_off_and_a_variable_that_came_too_late(root, fake_pynq, monkeypatch):
    monkeypatch.setenv("PYNQ_REMOTE_DEVICES", "192.168.2.99")
    fake_pynq.answer = RuntimeError("Failed to connect to remote device")
    assert "no PYNQ.remote board answers at 192.168.2.99" in refused() and "7967" in refused()
    fake_pynq.answer = RuntimeError("No Devices Found")
    assert "set before pynq is imported" in refused() and "3.1" in refused()


def test_the_boards_name_comes_from_the_device_the_variable_or_the_device_tree(root, monkeypatch):
    def named(name):
        return zynq_device.board_name(types.SimpleNamespace(name=name))

    assert named("Pynq-Z2") == "Pynq-Z2" and named("") == ""
    monkeypatch.setenv("BOARD", "Pynq-Z1")
    assert named("Unknown") == "Pynq-Z1" and named("Pynq-ZU") == "Pynq-ZU"
    monkeypatch.delenv("BOARD")
    (root / "proc/device-tree/chosen").mkdir(parents=True)
    (root / "proc/device-tree/chosen/pynq_board").write_bytes(b"Pynq-Z2\0")
    assert named("") == "Pynq-Z2"
