# Every target sets up what it needs: a virtual environment in .venv and pinned packages. A second run is instant.
#   make PYTHON=python3.12 ...   another interpreter        make test ARGS="-k skeleton"   a part of the tests

PYTHON ?= python3
VENV   ?= .venv
ARGS   ?=

BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check install --quiet
PINS    := pyproject.toml setup.py constraints.txt
# One thread per process: pytest runs two processes beside each other.
PYTEST  := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

.PHONY: help demo test test-full test-slow gpu-test lint format type bench bench-readme clean

help: ## Show this list.
	@sed -n 's/^\([a-z-]*\):.*## /\1 /p' Makefile | while read -r name text; do printf '  make %-13s %s\n' "$$name" "$$text"; done

demo: $(VENV)/.demo ## See the whole chain run on the bundled model (no torch needed).
	@$(BIN)/maskclr-edge demo $(ARGS)

test: $(VENV)/.dev ## Run the tests: under ten minutes on two cores.
	@$(PYTEST) -m "not full and not slow and not gpu" $(ARGS)

test-full: $(VENV)/.dev ## Run the slower checks: full-size model, builder matrix, fuzzing.
	@$(PYTEST) -m "(full or hypothesis) and not gpu" --hypothesis-profile=full $(ARGS)

test-slow: $(VENV)/.dev ## Run what takes minutes each: PyCUDA on the stand-in GPU, compiled peers, actions learned from a video.
	@$(PYTEST) -m "slow and not gpu" $(ARGS)

gpu-test: $(VENV)/.dev ## Run the checks that need an NVIDIA GPU; each says why where it cannot.
	@$(PIP) -c $(VENV)/constraints.txt cuda-bindings
	@$(BIN)/python -m pytest -m gpu -s tests/gpu $(ARGS)

lint: $(VENV)/.dev ## Check style and formatting.
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

format: $(VENV)/.dev ## Put the code into the project's format.
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

type: $(VENV)/.dev ## Check types.
	@$(BIN)/mypy

bench: $(VENV)/.demo ## Measure the bundled model on this machine's runners.
	@$(BIN)/maskclr-edge bench bundled $(ARGS)

bench-readme: $(VENV)/.demo ## Write the README's tables from the newest results in benchmarks/results.
	@$(BIN)/python benchmarks/readme.py

clean: ## Remove the virtual environment and caches.
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "maskclr-edge needs Python 3.10 or newer, and '$(PYTHON)' is not: name another with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "no virtual environment could be made in $(VENV); on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@

# A torch that is already in the environment (say, a CPU build) is kept, whatever its version.
$(VENV)/constraints.txt: $(VENV)/.made $(PINS)
	@if $(BIN)/python -c 'import torch' 2>/dev/null; then grep -v '^torch==' constraints.txt; else cat constraints.txt; fi > $@

$(VENV)/.demo: $(VENV)/constraints.txt
	@echo "Installing what the demo needs into $(VENV) (about 300 MB to download, once; it takes a few minutes)"
	@$(PIP) -c $(VENV)/constraints.txt -e '.[export,openvino,rtx]'
	@touch $@

$(VENV)/.dev: $(VENV)/constraints.txt
	@echo "Installing what development needs into $(VENV), torch included (once; it takes some minutes)"
	@$(PIP) -c $(VENV)/constraints.txt -e '.[all,dev]'
	@touch $@ $(VENV)/.demo
