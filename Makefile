# Two commands matter: `make demo` and `make test`. Each installs what it needs into .venv, once.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 4

.PHONY: demo test check lint types unit soak crash readme format clean

.venv/.made:
	$(PYTHON) -c 'import sys; sys.exit("ecs-rollout needs Python 3.11 or later; say make PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	touch $@

.venv/.lab: pyproject.toml .venv/.made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[lab]'
	touch $@

.venv/.test: pyproject.toml .venv/.made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[lab,test]'
	touch $@ .venv/.lab

demo: .venv/.lab
	$(BIN)/ecs-rollout demo

test: check
	$(BIN)/python -m pytest -n $(WORKERS) --ignore tests/unit

check: lint types unit

lint: .venv/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/shellcheck --shell=bash documents/src/*.sh
	$(BIN)/shellcheck orchestrator/lab/host_bin/*
	$(BIN)/shellcheck .ci/run tests/systemd/parts/*.sh
	$(BIN)/python -m orchestrator.cli.main documents check --local

types: .venv/.test
	$(BIN)/mypy

unit: .venv/.test
	$(BIN)/python -m pytest -n $(WORKERS) tests/unit

# The long suites, whole; what was tried and found stands in SOAK.md.
soak: .venv/.test
	$(BIN)/python -m tests.soak

# Controllers killed at every call, and stopped and overtaken at some: hours on two cores, minutes are a sample in CI.
crash: .venv/.test
	$(BIN)/python -m tests.crash.whole --workers $(WORKERS)
	$(BIN)/python -m tests.crash.whole --workers $(WORKERS) --stop --points 12

readme: .venv/.test
	$(BIN)/python -m tests.readme

format: .venv/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
