# Everything a new machine needs: `make search` or `make test`. Python 3.11 or later.
PYTHON ?= python3
BIN = .venv/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: search test lint benchmark clean

search: .venv/installed
	$(BIN)/nas search digits

test: .venv/tested
	$(BIN)/python -m pytest -q -n 2

lint: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmark: .venv/installed
	$(BIN)/python tests/benchmarks/main_job.py

# torch first and by its pinned version: another package's wish for it must not bring a different build.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) install -c constraints.txt torch==2.13.0
	$(PIP) install -c constraints.txt -e .
	touch $@

.venv/tested: .venv/installed
	$(PIP) install -c constraints.txt -e '.[test]'
	touch $@

clean:
	rm -rf .venv build *.egg-info
