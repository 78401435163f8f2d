"""Convolutions and dense tails cross-compiled for ARM: NEON equals the scalar reference under qemu; instructions."""

from __future__ import annotations

import re

import pytest
from test_kernels_cross import FLAGS, NATIVE, ROOT, TARGETS, counter, need, output  # noqa: F401

# executed instructions of DoReFa-Net's first convolution (224 x 224 x 3, 12 x 12 stride 4, 68 outputs, 16-bit
# weights); the budget of the issue is 37 million for the Cortex-A9
BUDGETS = {"armhf": 37_000_000, "armhf-gcc11": 37_000_000, "aarch64": 41_500_000}

pytestmark = pytest.mark.cross


@pytest.fixture(scope="module", params=sorted(TARGETS))
def program(request, tmp_path_factory):
    """(target, emulator, path of the test program)"""
    compiler, emulator = TARGETS[request.param]
    need(compiler)
    need(emulator[0])
    path = tmp_path_factory.mktemp("native") / request.param
    sources = [str(p) for p in sorted((ROOT / "csrc").glob("*.c"))]
    command = [compiler] + FLAGS + ["-static", str(NATIVE / "check_conv.c")] + sources + ["-o", str(path)]
    status, text = output(command)
    assert status == 0, text
    return request.param, emulator, path


def test_neon_convolutions_equal_scalar(program):
    _, emulator, path = program
    status, text = output(emulator + [str(path)])
    assert status == 0, text
    assert "neon\n0 differences" in text, text


def test_instructions_of_the_first_convolution(program, counter):  # noqa: F811
    target, emulator, path = program

    def executed(pictures):
        status, text = output(emulator + counter + [str(path), "count", str(pictures)])
        assert status == 0, text
        assert "neon 16-bit" in text, text
        found = re.search(r"executed (\d+)", text)
        assert found, text
        return int(found.group(1))

    each = executed(2) - executed(1)  # what does not depend on the pictures cancels out
    print(target, each, "instructions per picture")
    assert 21_000_000 < each <= BUDGETS[target]
