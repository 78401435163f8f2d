#!/usr/bin/env bash
# The C kernels under AddressSanitizer and UndefinedBehaviorSanitizer: build them so in a copy, and run their tests.
#
# usage: PYTHON=python3 tools/sanitize.sh [pytest arguments]
#
# Needs gcc with libasan and libubsan, and Python with numpy, cffi, Pillow, pytest, hypothesis and setuptools. Leaks are
# not looked for: CPython itself has some.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
copy=build/sanitize
mkdir -p "$copy"
rm -rf "$copy/csrc" "$copy/tests" # whatever has another name now
cp -rpu qnn_pynq csrc tests overlays params setup.py setup.cfg pyproject.toml README.md "$copy"
cd "$copy"
if [ qnn_pynq/_kernels.abi3.so -nt .built ]; then rm -f qnn_pynq/_kernels.abi3.so; fi # the plain one, copied
# Faster to compile, and no check is optimised away.
if grep -q '"-O3"' qnn_pynq/_build.py; then sed -i 's/"-O3"/"-O1"/' qnn_pynq/_build.py; fi
if [ ! -e qnn_pynq/_kernels.abi3.so ] || [ ! -e .built ] || [ -n "$(find csrc qnn_pynq/_build.py -newer .built)" ]; then
    rm -rf build qnn_pynq/_kernels.abi3.so
    CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g" \
        "$python" setup.py -q build_ext --inplace
    touch .built
fi
export LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

must_die() { # must_die WHAT CODE: a check that cannot fail is none
    if "$python" -c "import numpy as np; from qnn_pynq._kernels import ffi, lib
words = np.zeros(1024, np.uint64); p = ffi.cast('char *', words.ctypes.data); out = np.zeros(4096, np.int64)
q = ffi.cast('void *', out.ctypes.data); $2" 2>log; then
        echo "$1: not noticed"
        exit 1
    fi
    grep -qE "$1" log || { cat log; exit 1; }
}
must_die "heap-buffer-overflow" "lib.qnn_highest_class(p, 2048, 1023, 10, 8, q)"
must_die "misaligned address" "lib.qnn_highest_class(p + 1, 8, 1023, 10, 8, q)"

"$python" -m pytest -q -p no:cacheprovider -m "not cross" tests/kernels "$@"
