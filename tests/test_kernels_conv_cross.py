"""Convolutions and dense tails cross-compiled for ARM: NEON equals the scalar reference under qemu."""

from __future__ import annotations

import pytest
from test_kernels_cross import FLAGS, NATIVE, ROOT, TARGETS, need, output

pytestmark = pytest.mark.cross


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_neon_convolutions_equal_scalar(target, tmp_path):
    compiler, emulator = TARGETS[target]
    need(compiler)
    need(emulator[0])
    path = tmp_path / target
    sources = [str(p) for p in sorted((ROOT / "csrc").glob("*.c"))]
    command = [compiler] + FLAGS + ["-static", str(NATIVE / "check_conv.c")] + sources + ["-o", str(path)]
    status, text = output(command)
    assert status == 0, text
    status, text = output(emulator + [str(path)])
    assert status == 0, text
    assert "neon\n0 differences" in text, text
