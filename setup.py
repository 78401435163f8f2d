from setuptools import setup

setup(cffi_modules=["qnn_pynq/_build.py:ffibuilder"])
