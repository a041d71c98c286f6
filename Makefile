# make setup   install everything into .venv
# make study   set up, then run the study (PROFILE=quick by default; see README for more)
#              FRESH=1 does those runs again that other code made
# make test    set up, then run every test
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

.PHONY: setup study test faults lab figures report weights benchmark lint clean

setup: $(SETUP)
	@echo "ready: $(BIN)/lkca --help, or source $(BIN)/activate and then lkca --help"

study: $(SETUP)
	$(BIN)/python -m lkca study $(STUDY) --profile $(PROFILE) --jobs $(JOBS) $(if $(FRESH),--fresh)

# The notebooks, those that train first: the last process to end should not be a long one.
LONG := $(patsubst %,notebooks/%.ipynb,visual quickstart your_scene speed)
NOTEBOOKS := $(LONG) $(filter-out $(LONG),$(sort $(wildcard notebooks/*.ipynb)))

# Lint, tests and notebooks; all of it whatever fails, the exit status the worst, pytest's closing line the last. Tests and
# notebooks go side by side, a file or notebook to a process (loadscope), each process with one thread: two processes of
# two threads on two cores are slower. Notebooks take their results from a copy, so that nothing of the checkout changes.
test: export OMP_NUM_THREADS := 1
test: export LKCA_RUNS := $(CURDIR)/.cache/nbval/runs
test: export LKCA_OUTPUT := $(CURDIR)/.cache/nbval
test: $(SETUP)
	@rm -rf .cache/nbval && mkdir -p .cache/nbval && cp -r results .cache/nbval/
	@worst=0; step() { echo "$$*"; "$$@" || { status=$$?; [ $$status -le $$worst ] || worst=$$status; }; }; \
	step $(BIN)/ruff check lkca tests benchmarks; \
	step $(BIN)/lint-imports; \
	step $(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder --timeout=900 \
		--nbval-lax --nbval-current-env --nbval-cell-timeout=600 $(NOTEBOOKS) tests; \
	exit $$worst

# Kills, full disks, flipped bits, damaged files and hostile servers, all of them; `make test` takes a sample.
faults: export OMP_NUM_THREADS := 1
faults: export LKCA_FAULTS := full
faults: $(SETUP)
	$(BIN)/python -m pytest -m faults tests/faults

lab: $(SETUP)
	$(BIN)/jupyter lab notebooks

figures: $(SETUP)
	$(BIN)/python -m lkca figures $(STUDY) --profile $(PROFILE) --jobs $(JOBS)

report: $(SETUP)
	$(BIN)/python -m lkca report --profile $(PROFILE)

# The weights in the box, trained anew on made scenes: about half an hour on one core; goes on where it was stopped.
weights: export OMP_NUM_THREADS := 1
weights: $(SETUP)
	$(BIN)/python -m lkca weights --kind made

# Speed, as ratios, into results/; a quiet machine, please. Whether training in bfloat16 ends elsewhere is measured by
# `bench_precision.py --quality`, what a GPU gives by `bench_gpu.py`.
benchmark: export OMP_WAIT_POLICY := ACTIVE
benchmark: $(SETUP)
	$(BIN)/python benchmarks/bench_training.py --csv results/bench_training.csv
	$(BIN)/python benchmarks/bench_groups.py --csv results/bench_groups.csv
	$(BIN)/python benchmarks/bench_upsamplers.py --csv results/bench_upsamplers.csv
	$(BIN)/python benchmarks/bench_growth.py --csv results/speed/growth.csv
	$(BIN)/python benchmarks/bench_layers.py --csv results/bench_layers.csv
	$(BIN)/python benchmarks/bench_inference.py --csv results/bench_inference.csv
	$(BIN)/python benchmarks/bench_precision.py --csv results/bench_precision.csv
	$(BIN)/python benchmarks/targets.py

lint: $(SETUP)
	$(BIN)/ruff check lkca tests benchmarks
	$(BIN)/lint-imports
	$(BIN)/ruff format --check lkca tests benchmarks

$(SETUP): requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lkca needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

clean:
	rm -rf .venv .cache .snakemake site
