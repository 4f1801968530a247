# make lab    sets up and opens JupyterLab on SR_VAE_4x.ipynb
# make check  sets up and runs what can be checked in about three minutes
# make test   sets up and runs everything that can be checked
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ROOT_FLAG := $(if $(filter 0,$(shell id -u)),--allow-root)
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb))
WORKERS ?= 2
# Each file's tests stay together, since they share models and kernels; files begin in the order of tests/conftest.py.
# SRVAE_STEPS shortens the run in Training.ipynb.
PYTEST := env -u SRVAE_BENCHMARKS SRVAE_STEPS=8 $(BIN)/python -m pytest -ra -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: help setup lab check test lint notebooks figures benchmark

help:
	@echo "make lab        open JupyterLab on SR_VAE_4x.ipynb (prints the address where there is no browser)"
	@echo "make check      lint, spelling and the quick tests, in about three minutes"
	@echo "make test       lint, spelling, tests, and all notebooks run and compared with their saved numbers"
	@echo "make notebooks  run all notebooks and save their outputs"
	@echo "make figures    draw all figures into data/figures"
	@echo "make benchmark  time and memory on this machine"

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), 'Python 3.11 or newer is needed: make PYTHON=python3.12 ...'"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@

lab: setup
	$(BIN)/jupyter lab $(ROOT_FLAG) --ServerApp.root_dir=notebooks --LabApp.default_url=/lab/tree/SR_VAE_4x.ipynb

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

check: lint
	$(PYTEST) -m "not slow" tests

test: lint
	$(PYTEST) --nbval-lax --nbval-current-env --nbval-cell-timeout 300 tests notebooks

notebooks: setup
	for notebook in $(NOTEBOOKS); do \
	  $(BIN)/jupyter nbconvert --to notebook --execute --inplace \
	    --ExecutePreprocessor.store_widget_state=False --ExecutePreprocessor.record_timing=False $$notebook || exit 1; \
	done

figures: setup
	$(BIN)/srvae draw

benchmark: setup
	$(BIN)/srvae evaluate speed
	$(BIN)/srvae evaluate memory
