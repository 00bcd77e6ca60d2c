# The only set-up anyone needs: `make demo` and `make test` install what is missing.
PYTHON ?= python3.11
BIN := .venv/bin
# Two threads on two busy cores were 10 to 30 times slower than one.
export OMP_NUM_THREADS ?= 1
# Processes of the tests, each of up to two gigabytes; 0 is this one alone. With 2 they take seven minutes, but once a
# worker was lost on the way.
WORKERS ?= 0

.PHONY: install demo check test test-all matrix docs bench bench-faults bench-sizing bench-gpu bench-watch bench-watch-faults bench-maft clean

install: .venv/.installed

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.installed: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

# What a user needs; the frameworks and trackers that only tests need are a gigabyte more.
.venv/.demo: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[examples]"
	touch $@

# A healthy run, then the same run with one mistake. The second one ends in exit code 1, and that is right.
demo: .venv/.demo
	$(BIN)/gonogo run examples/digits.py:subject --out .gonogo/demo/healthy
	$(BIN)/gonogo run examples/broken/digits_leak.py:subject --out .gonogo/demo/broken; test $$? -eq 1
	@echo
	@echo "GO:    .gonogo/demo/healthy/report.html"
	@echo "NO-GO: .gonogo/demo/broken/report.html"

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python tools/sizes.py
	$(BIN)/python tools/generate.py --check

test: install
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal

test-all: install
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not gpu"

# The detection matrix, rewritten: review the difference like code.
matrix: install
	$(BIN)/gonogo selftest > tests/golden/matrix.txt; cat tests/golden/matrix.txt

docs: install
	$(BIN)/python tools/generate.py

bench: install
	$(BIN)/python benchmarks/bench_overhead.py
	$(BIN)/python benchmarks/bench_checks.py

# What is found and what is accused wrongly, on programs written by strangers to the checks: half an hour.
bench-faults: install
	$(BIN)/python benchmarks/bench_faults.py

# Memory predictions against real peaks, with other tools on the same steps.
bench-sizing: install
	$(BIN)/pip install --quiet -c constraints.txt -e ".[peers]"
	$(BIN)/python benchmarks/bench_sizing.py

# The same on this machine's own card: 24 configurations, predicted before they are measured. Ten minutes.
bench-gpu: install
	$(BIN)/python benchmarks/bench_gpu.py

# What watching costs on a step of ten million parameters, and the capture of attention likewise: idle machines only.
bench-watch: install
	$(BIN)/python benchmarks/bench_watch.py
	$(BIN)/python benchmarks/bench_attention.py

# Faults of training loops, and loops of many manners without one, under `gonogo watch`.
bench-watch-faults: install
	$(BIN)/python benchmarks/bench_watch_faults.py

# MAFT against its baselines: three seeds of seven variants, forty minutes.
bench-maft: install
	$(BIN)/python benchmarks/bench_maft.py

clean:
	rm -rf .venv .gonogo build src/*.egg-info
