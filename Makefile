# make study   set up, then run the study (PROFILE=quick by default; docs/batch-and-clusters.md has more)
# make test    set up, then run every test and every notebook
# Everything is installed into .venv from requirements.txt; nothing outside this folder is touched.

PYTHON ?= python3
PROFILE ?= quick
STUDY ?= all
JOBS ?= 2

BIN := .venv/bin
SETUP := .venv/installed

export JUPYTER_PLATFORM_DIRS := 1
# Two processes of two threads on two cores are several times slower than two of one: idle threads must not spin.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: setup study test faults lab figures benchmark coverage lint clean

setup: $(SETUP)
	@echo "ready: $(BIN)/lkca --help and $(BIN)/sharpen --help"

study: $(SETUP)
	$(BIN)/lkca study $(STUDY) --profile $(PROFILE) --jobs $(JOBS)

# Lint, tests and notebooks. Every step runs even if an earlier one fails; the exit status is the worst one, and pytest's
# summary comes last. Tests and notebooks run side by side, a file or notebook to a process (loadscope), each with one
# thread. Notebooks take their results from a copy, so that nothing in the checkout changes.
test: export OMP_NUM_THREADS := 1
test: export LKCA_RUNS := $(CURDIR)/.cache/nbval/runs
test: export LKCA_OUTPUT := $(CURDIR)/.cache/nbval
test: $(SETUP)
	@rm -rf .cache/nbval && mkdir -p .cache/nbval && cp -r results .cache/nbval/
	@worst=0; step() { echo "$$*"; "$$@" || { status=$$?; [ $$status -le $$worst ] || worst=$$status; }; }; \
	step $(BIN)/ruff check lkca sharpen tests benchmarks; \
	step $(BIN)/lint-imports; \
	step $(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder --timeout=900 \
		--nbval-lax --nbval-current-env --nbval-cell-timeout=600 notebooks tests; \
	exit $$worst

# Kills, full disks, flipped bits and damaged files, all of them; `make test` takes a sample.
faults: export OMP_NUM_THREADS := 1
faults: export LKCA_FAULTS := full
faults: $(SETUP)
	$(BIN)/python -m pytest -m faults tests/faults

lab: $(SETUP)
	$(BIN)/jupyter lab notebooks

figures: $(SETUP)
	$(BIN)/lkca figures $(STUDY) --profile $(PROFILE) --jobs $(JOBS)

# Speed, as ratios measured side by side, into results/. Needs a quiet machine.
benchmark: export OMP_WAIT_POLICY := ACTIVE
benchmark: $(SETUP)
	$(BIN)/python benchmarks/bench_training.py --csv results/bench_training.csv
	$(BIN)/python benchmarks/bench_layers.py --csv results/bench_layers.csv
	$(BIN)/python benchmarks/bench_inference.py --rounds 3 --sizes 16 32 --csv results/bench_inference.csv
	$(BIN)/python benchmarks/bench_sharpen.py --csv results/bench_sharpen.csv

coverage: export OMP_NUM_THREADS := 1
coverage: $(SETUP)
	$(BIN)/python -m pytest -n 2 --dist loadscope --cov --cov-report=term:skip-covered tests

lint: $(SETUP)
	$(BIN)/ruff check lkca sharpen tests benchmarks
	$(BIN)/ruff format --check lkca sharpen tests benchmarks
	$(BIN)/lint-imports

$(SETUP): requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lkca needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

clean:
	rm -rf .venv .cache .snakemake
