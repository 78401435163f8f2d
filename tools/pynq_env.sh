#!/usr/bin/env bash
# pynq_env.sh RELEASE FOLDER: a virtual environment with an unmodified pynq release, pinned as on its image,
# for `FOLDER/bin/python -m pytest -m pynq tests/boards` in a checkout whose C extension is built.
set -euo pipefail
release=${1:-} folder=${2:-}

interpreter() { # interpreter 3.8: the path of that CPython, or nothing
    local candidate
    for candidate in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python "$(command -v "python$1")"; do
        # pyenv's shims are on the path even where they lead nowhere.
        "$candidate" -c '' 2>/dev/null && echo "$candidate" && return
    done
    true
}

case $release in
    2.7.0) # the pins of the image itself
        version=3.8
        tools=(setuptools==44.0.0 wheel==0.34.2)
        pins=(numpy==1.20.3 cffi==1.14.5 pandas==1.3.3 pycparser==2.20 Pillow==7.0.0) ;;
    3.0.1 | 3.1.2) # numpy, cffi and Pillow as jammy's apt has them; pynqmetadata's image build is not on PyPI
        version=3.10
        tools=(setuptools==59.6.0 wheel==0.37.1)
        pins=(numpy==1.21.5 cffi==1.15.0 pycparser==2.19 pydantic==1.9.1 pynqmetadata==0.1.9 ipython==8.4.0
              nest-asyncio==1.5.5 Pillow==9.0.1) ;;
    4.0.0) # on a PC: there is no image for Zynq-7000
        version=3.11
        tools=("setuptools<81" wheel)
        pins=("numpy<2" "pycparser<3" Pillow) ;;
    *)
        echo "usage: $0 2.7.0|3.0.1|3.1.2|4.0.0 FOLDER" >&2
        exit 2 ;;
esac
[ -n "$folder" ] || { echo "usage: $0 $release FOLDER" >&2; exit 2; }
python=$(interpreter "$version")
[ -n "$python" ] || { echo "pynq $release wants CPython $version, which is not on this machine (pyenv)" >&2; exit 1; }

"$python" -m venv "$folder"
"$folder/bin/pip" install -q --upgrade "pip<25"
"$folder/bin/pip" install -q "${tools[@]}"
"$folder/bin/pip" install -q "${pins[@]}" pytest hypothesis
# Without isolation: its setup.py imports what the image has, and a newer setuptools would not read it.
"$folder/bin/pip" install -q --no-build-isolation "pynq==$release" "${tools[@]}" "${pins[@]}"
"$folder/bin/python" -c 'import sys, warnings; warnings.simplefilter("ignore"); import pynq; import pynq.lib.dma
print("pynq", pynq.__version__, "on Python", sys.version.split()[0])'
