"""Builder of the C extension qnn_pynq._kernels; setup.py names it as cffi_modules.

One set of flags for all files: the code of an instruction set carries its own target attributes, so the
extension runs on any x86-64 and any armhf, and picks the fastest code when it is first used.
"""

import os

from cffi import FFI

__all__ = ["ffibuilder"]

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCES = sorted(name[:-2] for name in os.listdir(os.path.join(ROOT, "csrc")) if name.endswith(".c"))
HEADERS = sorted(name for name in os.listdir(os.path.join(ROOT, "csrc")) if name.endswith(".h"))

ffibuilder = FFI()
with open(os.path.join(ROOT, "csrc", "api.h")) as api:
    ffibuilder.cdef(api.read())
ffibuilder.set_source(
    "qnn_pynq._kernels",
    '#include "kernels.h"',
    # relative to setup.py's folder, as setuptools wants them
    sources=["csrc/" + name + ".c" for name in SOURCES],
    depends=["csrc/" + name for name in HEADERS],
    include_dirs=["csrc"],
    extra_compile_args=["-O3", "-std=gnu99"],
)

if __name__ == "__main__":
    ffibuilder.compile(tmpdir=ROOT, verbose=True)
