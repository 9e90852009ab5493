# Two commands set everything up: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Two processes, each with whole files, whose fixtures are made once. Threads of both would wait for each other.
SPREAD := -n 2 --dist loadfile
test test-fast: export OMP_NUM_THREADS := 1

.PHONY: demo test test-fast lint types readme pages wheel-check clean

demo: $(VENV)/.installed
	$(BIN)/dabench eval

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(SPREAD)

test-fast: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(SPREAD) -m "not slow"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

readme: $(VENV)/.installed-dev
	$(BIN)/python docs/build_readme.py

# What is made from protocols, catalogue and records; tests fail when it is stale.
pages: $(VENV)/.installed-dev
	$(BIN)/python docs/build_protocols.py
	$(BIN)/python docs/build_models.py
	$(BIN)/python docs/build_leaderboard.py

# Build the wheel and use it the way a stranger would: clean environment, another folder.
wheel-check: $(VENV)/.installed-dev
	rm -rf build dist build-wheel-check
	$(BIN)/python -m build --wheel --outdir dist .
	$(PYTHON) -m venv build-wheel-check
	build-wheel-check/bin/pip install --quiet --disable-pip-version-check dist/*.whl
	cd build-wheel-check && bin/dabench ls models && bin/dabench ls protocols && bin/dabench doctor && bin/dabench eval
	rm -rf build-wheel-check

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "dabench needs Python 3.11 or newer; try: make demo PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV) build dist build-wheel-check *.egg-info
