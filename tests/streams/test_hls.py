"""The generated C++ under plain g++ against stub headers, and its own bench."""
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from stream_circuits import EXAMPLES, stream

from qnn_pynq import StreamOverlay
from qnn_pynq.errors import InputError
from qnn_pynq.streams import describe, parse_type
from qnn_pynq.streams.generate.folder import generate, vectors_text, write_vectors
from qnn_pynq.streams.generate.hls import header_source, kernel_source

STUBS = Path(__file__).resolve().parent / "stubs"


@pytest.fixture(scope="module")
def compiler():
    found = shutil.which("g++")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("g++ is not there: apt install g++")
        pytest.skip("needs g++")
    return found


def build(compiler, folder, name):
    """The folder's bench as a program."""
    program = folder / "bench"
    sources = [name + ending for ending in (".cpp", "_compute.cpp", "_bench.cpp")]
    flags = ["-std=c++11", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-label"]
    flags += ["-isystem", str(STUBS), "-o", str(program)]
    subprocess.run([compiler, *flags, *sources], cwd=str(folder), check=True)
    return program


def run(program, *arguments):
    return subprocess.run([str(program), *arguments], cwd=str(program.parent), capture_output=True, text=True)


@pytest.mark.parametrize("example", sorted(EXAMPLES))
def test_the_generated_files_compile_and_pass_their_bench(example, compiler, tmp_path):
    description = EXAMPLES[example]
    generate(description, tmp_path)
    done = run(build(compiler, tmp_path, description.name))
    words = 5 * sum(each.elements for each in description.outputs)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{description.name}: 5 samples, {words} words, 0 wrong\n"


@pytest.mark.parametrize("change", [
    ("out.last = beat == y_beats - 1 && end", "out.last = end && false"),
    ("out.last = beat == y_beats - 1 && end", "out.last = end || true"),
    ("beat == y_beats - 1 && end", "beat == y_beats - 1 || end"),
    ("beat < y_beats; ", "beat < y_beats - 1; "),
    ("x_sample[beat * x_lanes + lane] =", "x_sample[0] ="),
])
def test_a_circuit_that_breaks_its_protocol_fails_the_bench(change, compiler, tmp_path):
    generate(EXAMPLES["loopback"], tmp_path)
    kernel = tmp_path / "loopback.cpp"
    text = kernel.read_text()
    assert change[0] in text
    kernel.write_text(text.replace(*change))
    done = run(build(compiler, tmp_path, "loopback"))
    assert done.returncode == 1 and ("expected" in done.stderr or "TLAST" in done.stderr or "ends" in done.stderr)


def test_vectors_from_python_are_what_the_bench_compares_with(compiler, tmp_path):
    """The placeholder hands x on: vectors of that function pass, others fail, one word is enough."""
    description = EXAMPLES["odd_widths"]
    generate(description, tmp_path)
    program = build(compiler, tmp_path, "odd")
    x = np.array([[-4, 3.984375, 1, 0, 2], [0.5, 1.25, -1, 1, 1]])
    y = np.maximum(x[:, :2] % 2**20, 0)  # an unsigned type wraps
    write_vectors(description, tmp_path, {"x": x}, {"y": y})
    done = run(program)
    assert (done.returncode, done.stdout) == (0, "odd: 2 samples of vectors.txt, 4 words, 0 wrong\n".replace(
        "samples of vectors.txt, 4 words", "samples, 4 words of vectors.txt")), done.stderr
    y[1, 1] += 2.0**-7
    other = tmp_path / "other.txt"
    other.write_text(vectors_text(description, {"x": x}, {"y": y}))
    done = run(program, "other.txt")
    assert done.returncode == 1 and "element 1 of sample 1 is 160, expected 161" in done.stderr
    other.write_text("samples 3\n" + other.read_text().split("\n", 1)[1])
    assert run(program, "other.txt").returncode == 2
    assert run(program, "none.txt").returncode == 2


def test_the_authors_file_is_never_overwritten_and_the_others_are(tmp_path):
    first = generate(EXAMPLES["loopback"], tmp_path / "new" / "folder")
    mine = tmp_path / "new" / "folder" / "loopback_compute.cpp"
    assert mine in first and sorted(path.name for path in mine.parent.iterdir()) == [
        "block_design.tcl", "hls.tcl", "loopback.cpp", "loopback.h", "loopback.json",
        "loopback_bench.cpp", "loopback_compute.cpp"]
    mine.write_text("mine")
    (mine.parent / "loopback.h").write_text("old")
    again = generate(mine.parent / "loopback.json", mine.parent)
    assert mine not in again and mine.read_text() == "mine" and "old" not in (mine.parent / "loopback.h").read_text()
    assert not list(mine.parent.glob("*.part"))
    with pytest.raises(InputError, match="is a file; expected a folder"):
        generate(EXAMPLES["loopback"], mine)


def test_the_header_has_what_the_description_says():
    header = header_source(EXAMPLES["lanes"])
    for line in ("typedef ap_ufixed<8,0,AP_RND,AP_SAT> x_t;", "const int x_elements = 24;", "const int x_lanes = 8;",
                 "const int x_beats = 3;", "typedef ap_axiu<64, 0, 0, 0> x_beat; // data, keep, strb, last",
                 "typedef ap_axiu<16, 0, 0, 0> y_beat; // data, keep, strb, last",
                 "void lanes4(hls::stream<x_beat> &x, hls::stream<y_beat> &y);"):
        assert line in header
    kernel = kernel_source(EXAMPLES["started"])
    assert kernel.count("#pragma HLS INTERFACE axis") == 2 and kernel.count("#pragma HLS INTERFACE m_axi") == 2
    assert "const ap_uint" not in kernel and "const w_word *w" in kernel and "ap_uint<32> samples)" in kernel
    assert "#pragma HLS INTERFACE s_axilite port=return bundle=control" in kernel
    assert "#pragma HLS INTERFACE ap_ctrl_none port=return" in kernel_source(EXAMPLES["loopback"])


def test_a_title_stays_a_comment(compiler, tmp_path):
    hostile = describe("loopback", [stream("x")], [stream("y")], title="a\nint b = 1; */ \\ ??/ \u2028 c\\")
    generate(hostile, tmp_path)
    assert "// aint b = 1; */  /  c\n#ifndef" in (tmp_path / "loopback.h").read_text()
    assert run(build(compiler, tmp_path, "loopback")).returncode == 0


@pytest.mark.parametrize("inputs, outputs, message", [
    ({}, {"y": np.zeros((1, 3))}, "vectors of y: expected one array for each of x, y"),
    ({"x": np.zeros((2, 3))}, {"y": np.zeros((1, 3))}, "the same number"),
    ({"x": np.zeros(3)}, {"y": np.zeros(3)}, "expected samples first"),
    ({"x": np.full((1, 3), 99)}, {"y": np.zeros((1, 3))}, r"x\[0, 0\] is 99"),
])
def test_vectors_that_do_not_fit_are_refused(inputs, outputs, message):
    with pytest.raises(InputError, match=message):
        vectors_text(EXAMPLES["loopback"], inputs, outputs)


def test_a_network_in_cpp_agrees_with_its_python_twin(compiler, tmp_path):
    """The way of the tutorial: function, emulated board, vectors, C++; one weight off is found out."""
    rng = np.random.RandomState(4)
    fixed = parse_type("ap_fixed<16,6>")
    w1, w2 = (fixed.quantise(rng.normal(size=size)) for size in ((4, 8), (8, 3)))
    description = describe("iris", [stream("x", shape=(4,))], [stream("y", shape=(3,))])
    x = rng.uniform(-4, 4, (30, 4))
    with StreamOverlay(description, board="emulated",
                       twin=lambda one: fixed.quantise(np.maximum(one @ w1, 0)) @ w2) as circuit:
        y = circuit(x)
    generate(description, tmp_path)
    write_vectors(description, tmp_path, {"x": x}, {"y": y})
    source = """#include "iris.h"
static const double w1[4][8] = {%s}, w2[8][3] = {%s};
void iris_compute(const x_t x[x_elements], y_t y[y_elements])
{
    ap_fixed<16, 6> hidden[8];
    for (int k = 0; k < 8; k++) {
        double sum = 0; // exact: 26-bit products
        for (int i = 0; i < 4; i++)
            sum += x[i].to_double() * w1[i][k];
        hidden[k] = ap_fixed<16, 6>(sum > 0 ? sum : 0);
    }
    for (int k = 0; k < 3; k++) {
        double sum = 0;
        for (int i = 0; i < 8; i++)
            sum += hidden[i].to_double() * w2[i][k];
        y[k] = y_t(sum);
    }
}
"""
    def rows(weights):
        return ", ".join("{" + ", ".join(repr(float(weight)) for weight in row) + "}" for row in weights)

    (tmp_path / "iris_compute.cpp").write_text(source % (rows(w1), rows(w2)))
    done = run(build(compiler, tmp_path, "iris"))
    assert (done.returncode, done.stdout) == (0, "iris: 30 samples, 90 words of vectors.txt, 0 wrong\n"), done.stderr
    w2[3, 1] += 2.0**-10
    (tmp_path / "iris_compute.cpp").write_text(source % (rows(w1), rows(w2)))
    done = run(build(compiler, tmp_path, "iris"))
    assert done.returncode == 1 and "element 1 of sample" in done.stderr
