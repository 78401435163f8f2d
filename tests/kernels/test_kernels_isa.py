"""The choice of an instruction set."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from qnn_pynq import kernels
from qnn_pynq.errors import KernelError


@pytest.fixture(autouse=True)
def _restore_isa():
    before = kernels.isa_active()
    yield
    kernels.set_isa(before)


def test_scalar_is_always_there_and_the_fastest_is_chosen():
    assert kernels.isa_built()[0] == kernels.isa_supported()[0] == "scalar"
    assert set(kernels.isa_supported()) <= set(kernels.isa_built())
    assert kernels.set_isa(None) == kernels.isa_active() == kernels.isa_supported()[-1]


def test_the_build_has_what_belongs_to_its_processor():
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64") and sys.maxsize > 2**32:
        # compilers that know no VPOPCNTDQ leave avx512 out
        assert kernels.isa_built() in (("scalar", "avx2"), ("scalar", "avx2", "avx512"))
    elif machine in ("aarch64", "arm64", "armv7l"):
        assert kernels.isa_built() == ("scalar", "neon")
    else:
        assert kernels.isa_built() == ("scalar",)


@pytest.mark.parametrize("name", kernels.isa_supported())
def test_each_can_be_forced(name, monkeypatch):
    assert kernels.set_isa(name) == kernels.isa_active() == name
    monkeypatch.setenv("QNN_PYNQ_ISA", name)
    assert kernels.set_isa(None) == name


def test_a_wrong_name_says_what_there_is(monkeypatch):
    with pytest.raises(KernelError, match="'sse9', which this build does not know: use one of scalar"):
        kernels.set_isa("sse9")
    monkeypatch.setenv("QNN_PYNQ_ISA", "AVX2")
    with pytest.raises(KernelError, match="QNN_PYNQ_ISA asks for .* 'AVX2'.*use one of scalar"):
        kernels.set_isa(None)


def test_a_set_that_the_processor_lacks_is_refused(monkeypatch):
    from qnn_pynq.kernels import _isa

    with monkeypatch.context() as patch:
        patch.setattr(_isa, "isa_supported", lambda: ("scalar",))
        patch.setattr(_isa, "_BUILT", ("scalar", "other"))
        with pytest.raises(KernelError, match="'other', which this processor lacks: use one of scalar"):
            kernels.set_isa("other")


def test_the_variable_counts_at_first_use():
    code = "from qnn_pynq import kernels; print(kernels.isa_active())"
    environment = dict(os.environ, QNN_PYNQ_ISA="scalar", PYTHONPATH=os.pathsep.join(sys.path))
    assert subprocess.check_output([sys.executable, "-c", code], env=environment).decode().strip() == "scalar"
    environment["QNN_PYNQ_ISA"] = "none"
    done = subprocess.run([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, check=False)
    assert done.returncode and b"use one of scalar" in done.stderr
