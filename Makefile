# make demo    train the digits through the public API, write learning_curves.png
# make test    the whole test suite
# make check   linters, import contracts, types
# make exhaustive   the elementary functions on all 2**32 float32 values, some minutes
# make cuda-check   without a GPU: the CUDA target in the simulator (make cuda-simulate), and every kernel compiled for every architecture, minutes
# make bench   the benchmarks beside NumPy, less than 5 minutes; make bench-peers: the environment of all peers
# make wheel   a wheel in $(DIST)/ with kernels compiled ahead for x86-64 Linux, some minutes; UNITS="matmul-float32 ..." compiles fewer
# Each makes its own environment in $(VENV) on first use. PYTHON=... chooses the interpreter (3.11 or newer).

VENV ?= .venv
DIST ?= dist
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PYTHON ?= $(shell for python in python3 python python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$python && break; done)

.PHONY: demo test exhaustive check cuda-check cuda-simulate bench bench-peers wheel clean

demo: $(VENV)/.plot
	$(BIN)/python -m fastnn demo

test: $(VENV)/.test
	$(BIN)/python -m pytest

exhaustive: $(VENV)/.test
	$(BIN)/python -m pytest -s --timeout=0 tests/exhaustive --exhaustive

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

cuda-simulate: $(VENV)/.test
	NUMBA_ENABLE_CUDASIM=1 $(BIN)/python -m pytest tests/kernels/cuda tests/kernels/functions/test_on_gpu.py tests/kernels/functions/test_device_arrays.py \
		tests/fastnn/engine/test_cuda.py
	NUMBA_ENABLE_CUDASIM=256 $(BIN)/python -m pytest tests/kernels/cuda/test_execute.py tests/kernels/cuda/test_interpreter.py

cuda-check: cuda-simulate $(VENV)/.cuda-check
	$(BIN)/python -m pytest tests/kernels/cuda/test_compile.py
	$(BIN)/python -m fastnn_kernels.cuda.check

bench: $(VENV)/.bench
	$(BIN)/python -m pytest benchmarks --benchmark-only

bench-peers:
	$(PYTHON) benchmarks/setup_peers.py .venv-peers

wheel: $(VENV)/.test
	$(BIN)/python -m fastnn_kernels.cpu.prebuilt $(UNITS)
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir $(DIST) .

$(VENV)/.%: pyproject.toml
	@test -n "$(PYTHON)" || { echo "fastnn needs Python 3.11 or newer, and found none; with one elsewhere: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"fastnn needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[$*]"
	@touch $@

clean:
	rm -rf $(VENV) build dist kernels/fastnn_kernels/cpu/prebuilt/x86-64-* learning_curves.png .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
