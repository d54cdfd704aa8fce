# Every target makes .venv and installs what it needs, so that `make demo` and `make test` are all a newcomer runs.
PYTHON ?= python3
BIN := .venv/bin
# Two processes take half the time; whole files each, as tests of one file use the same kernels, compiled once.
SHARED := --numprocesses 2 --dist loadfile
.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-bounds bench quality lint clean

help:  ## show what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

.venv/.installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

.venv/.bench: .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

.venv/.quality: .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[quality]'
	@touch $@

demo: .venv/.installed  ## train on the logs and the CSV in data/, and find the faults in new ones
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh data/demo.sh

test: .venv/.installed  ## all tests but the slow ones
	$(BIN)/python -m pytest $(SHARED)

test-slow: .venv/.installed  ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

test-bounds: .venv/.installed  ## the engine's tests with every index of every kernel checked, which takes a compilation of its own
	NUMBA_BOUNDSCHECK=1 $(BIN)/python -m pytest $(SHARED) tests/plugrad

bench: .venv/.bench  ## training steps and inference beside PyTorch and JAX
	$(BIN)/python tests/benchmarks/training_steps.py --output bench-output

quality: .venv/.quality  ## how well faults are found, on the embedded data and, where it is, on real data, beside others
	$(BIN)/python tests/benchmarks/quality.py
	$(BIN)/python tests/benchmarks/faults.py
	$(BIN)/python tests/benchmarks/grouping.py
	$(BIN)/python tests/benchmarks/hdfs.py
	$(BIN)/python tests/benchmarks/adbench.py
	$(BIN)/python tests/benchmarks/nab.py

lint: .venv/.installed  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:  ## remove what the targets made
	rm -rf .venv build demo-output bench-output
