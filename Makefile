.DEFAULT_GOAL := help
PYTHON ?= python3

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## compile the kernels in place, to run from the checkout
	$(PYTHON) setup.py egg_info build_ext --inplace

test: ## the fast tests
	$(PYTHON) -m pytest -m "not slow and not cross and not pynq and not notebook"

test-all: ## every test that this machine can run
	$(PYTHON) -m pytest

lint: ## ruff
	$(PYTHON) -m ruff check .

types: ## mypy
	$(PYTHON) -m mypy

check: lint types test ## what a commit must pass

asan: ## the kernels under AddressSanitizer and UBSan
	PYTHON=$(PYTHON) tools/sanitize.sh

campaign: ## faults by the thousand on the emulated board
	$(PYTHON) tools/campaign.py --faults 10000

fuzz: ## damaged input for every reader, a million cases
	$(PYTHON) tools/fuzz.py --cases 1000000

soak: ## an hour of streaming with faults
	$(PYTHON) tools/soak.py --minutes 60

bench: ## the speed of our Python API and of the convolutions beside their peers
	$(PYTHON) benchmarks/lfc.py
	$(PYTHON) benchmarks/dorefa.py --burst 0.1

dist: ## sdist and wheel into dist/
	$(PYTHON) -m build

clean: ## remove what a build leaves
	rm -rf build dist *.egg-info qnn_pynq/_kernels.c qnn_pynq/*.so

.PHONY: help build test test-all lint types check asan campaign fuzz soak bench dist clean
