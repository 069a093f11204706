# `make demo` shows the whole program on synthetic data; `make test` checks it. Both set everything up.

PYTHON ?= python3
VENV ?= .venv
DEMO_DIR ?= runs/demo
STUDY_DIR ?= runs/study
CURVE_DIR ?= runs/curve
BIN := $(VENV)/bin

# Stamps, written only after success: the environment, and one per set of extras, renewed when the
# requirements change.
VENV_STAMP := $(VENV)/.made
BASE_STAMP := $(VENV)/.installed-base
DEV_STAMP := $(VENV)/.installed-dev

CONSTRAINTS = $(shell $(BIN)/python -c 'import os, sys; f = "constraints-%d.%d.txt" % sys.version_info[:2]; print("-c " + f if os.path.exists(f) else "")')
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile $(CONSTRAINTS)

# pip compiles one file after the other, for half of the time that it takes. Some packages hold
# templates that are not Python: what cannot be compiled is left alone.
COMPILE = $(BIN)/python -m compileall -qq -j 0 -x /tests/ $(VENV)/lib >/dev/null 2>&1 || true

# torch and TensorFlow crash in one process on some machines: tests that import torch run apart.
WITH_TORCH = tests/models tests/interop tests/baselines
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow" --durations=10

# Much of the time of these tests is XLA's compilation: half of it is saved without its optimiser and
# with its older code generator. The long checks and the notebooks run what it makes otherwise. XLA
# ends a process that brings a flag it does not know, so they are tried first.
XLA_FAST = --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false
FAST_COMPILATION = $(shell XLA_FLAGS="$(XLA_FAST)" $(BIN)/python -c "import jax; jax.devices()" >/dev/null 2>&1 && echo 'XLA_FLAGS="$(XLA_FAST)"')

# pip takes a package that was half written (kill -9) for a whole one, as its metadata may have come
# first: after an installation that was cut off, all packages are written again.
CUT_OFF := $(VENV)/.installing
define install
	@again=$$([ ! -e $(CUT_OFF) ] || echo --ignore-installed); touch $(CUT_OFF); \
		set -x; $(PIP_INSTALL) $$again $(1)
	@$(COMPILE); rm $(CUT_OFF)
endef

.PHONY: help demo study curve test test-slow lint format clean

help:
	@echo "make demo   set up, then synthetic notes to scored models (minutes; DEMO_DIR=$(DEMO_DIR))"
	@echo "make study  the same at a size where the question can be answered (about an hour)"
	@echo "make curve  after make study: scores against training data, 36 runs (about 57 minutes)"
	@echo "make test   set up, then style checks, tests and notebooks; make test-slow: the long checks"
	@echo "make lint   style checks alone; make format applies the formatter"

# What was begun and not ended (kill -9) is made anew. A .venv that somebody made by hand stays as it is.
$(VENV_STAMP):
	@if [ -e $(VENV)/.begun ]; then rm -rf $(VENV); fi
	@[ -e $(BIN)/python ] || $(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else "error: Python 3.11 to 3.13 is needed, this is %d.%d; say make PYTHON=python3.11" % v)'
	@[ -e $(BIN)/python ] || { mkdir -p $(VENV) && touch $(VENV)/.begun && $(PYTHON) -m venv $(VENV); }
	@# a newer pip is faster
	@[ ! -e $(VENV)/.begun ] || $(BIN)/python -m pip install --quiet --no-compile --upgrade pip || true
	@rm -f $(VENV)/.begun; touch $@

$(BASE_STAMP): setup.py $(wildcard constraints-*.txt) | $(VENV_STAMP)
	@echo "Installing clinical_t5x and what it needs into $(VENV) (about two minutes, once) ..."
	$(call install,-e .)
	@touch $@

$(DEV_STAMP): setup.py $(wildcard constraints-*.txt) | $(VENV_STAMP)
	@echo "Installing clinical_t5x with its test tools into $(VENV) (about three minutes, once) ..."
	$(call install,-e '.[dev]')
	@touch $@ $(BASE_STAMP)

demo: $(BASE_STAMP)
	$(BIN)/python -m clinical_t5x.demo --out $(DEMO_DIR)

study: $(BASE_STAMP)
	$(BIN)/python -m clinical_t5x.demo --preset study --out $(STUDY_DIR)

# The model that make study pre-trained, against its twin from scratch; goes on where it was stopped.
curve: $(BASE_STAMP)
	$(BIN)/python -m clinical_t5x.grid --preset curve --out $(CURVE_DIR) --data_dir $(STUDY_DIR)/data \
		--model scratch=none --model pretrained=$(STUDY_DIR)/runs/pretrain

test: lint
	$(FAST_COMPILATION) $(PYTEST) $(WITH_TORCH)
	$(FAST_COMPILATION) $(PYTEST) $(addprefix --ignore ,$(WITH_TORCH))
	$(BIN)/python -m pytest -n 2 --nbmake notebooks

# Long checks: longer kill series, larger samples, real sizes.
test-slow: $(DEV_STAMP)
	$(BIN)/python -m pytest -m slow tests

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(DEV_STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf runs build dist *.egg-info
