"""A PYNQ-Z1 as a folder with a few files, for the doctor's checks; each test breaks one thing about it."""

from __future__ import annotations

from pathlib import Path

from qnn_pynq.diagnosis.host import Host

PYNQ_ENVIRON = {"XILINX_XRT": "/usr", "BOARD": "Pynq-Z1"}
Z1 = {
    "proc/device-tree/chosen/pynq_board": "Pynq-Z1\0",
    "proc/device-tree/compatible": "digilent,pynq\0xlnx,zynq-7000\0",
    "proc/device-tree/model": "Pynq-Z1\0",
    "proc/meminfo": "MemAvailable: 301044 kB\nCmaTotal: 131072 kB\nCmaFree: 120000 kB\n",
    "proc/sys/kernel/osrelease": "6.6.10-xilinx-v2024.1-g1234567\n",
    "etc/os-release": 'NAME="Ubuntu"\nVERSION_ID="22.04"\n',
    "home/xilinx/REVISION": "Release 2025_07_01 abcdef\nBoard 2025_07_01 abcdef\n",
    "sys/class/fpga_manager/fpga0/name": "Xilinx Zynq FPGA Manager\n",
    "sys/class/fpga_manager/fpga0/state": "operating\n",
    "usr/lib/libxrt_core.so": "",
    "usr/local/share/pynq-venv/bin/python3": "",
}


def machine(root: Path, files: dict[str, str]) -> Path:
    """`root` with these files in it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


class FakedHost(Host):
    """A host whose facts and installed distributions are given."""

    def __init__(
        self, root: Path, environ: dict[str, str] | None = None, versions: dict[str, str] | None = None
    ) -> None:
        super().__init__(root, PYNQ_ENVIRON if environ is None else environ)
        self.uid, self.machine = 0, "armv7l"
        self.prefix = "/usr/local/share/pynq-venv"
        self.versions = {"pynq": "3.1.2", "pycparser": "2.21", "numpy": "1.21.5"} if versions is None else versions
        self.packages = root / "packages"
        self.companions = ["pynqmetadata", "pynqutils"]

    def version(self, distribution: str) -> str | None:
        return self.versions.get(distribution)

    def package_folder(self, name: str) -> Path | None:
        return self.packages / name if name in self.companions or (self.packages / name).is_dir() else None


def z1(root: Path, files: dict[str, str] | None = None, **options: dict[str, str]) -> FakedHost:
    """A healthy PYNQ-Z1 with image 3.1, but for `files`."""
    return FakedHost(machine(root, {**Z1, **(files or {})}), **options)


def pc(root: Path, **options: dict[str, str]) -> FakedHost:
    """A PC, or anything else without a device tree."""
    host = FakedHost(root, **{"environ": {}, "versions": {}, **options})
    host.uid, host.machine, host.prefix = 1000, "x86_64", "/usr"
    return host
