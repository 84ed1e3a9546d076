# Two commands matter to a newcomer: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-rest test-all lint bench venv lock clean

demo: venv
	$(BIN)/samenloop demo

test: venv
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" tests/unit tests/live tests/browser

# What test-all adds to test.
test-rest: venv
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow tests/unit tests/live tests/browser

test-all: test test-rest

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: venv
	$(BIN)/python tests/benchmarks/chain.py
	$(BIN)/python tests/benchmarks/engine.py
	$(BIN)/python tests/benchmarks/identity.py

venv: $(STAMP)

$(STAMP): requirements/all.txt pyproject.toml views/package-lock.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Samenloop needs Python 3.11 or newer: set PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv and pip are missing: install them (Debian: apt install python3-venv python3-pip)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/all.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	$(BIN)/python views/fetch_vendor.py
	@touch $(STAMP)

lock:
	uv pip compile pyproject.toml --all-extras --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-emit-find-links --quiet -o requirements/all.txt
	uv pip compile pyproject.toml --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-emit-find-links --quiet -o requirements/base.txt

clean:
	rm -rf $(VENV) views/samenloop_views/static/vendor
