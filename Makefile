# Everything runs in .venv, which the first target that needs it sets up and later ones keep.

PYTHON ?= python3
STACK ?= prod
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help rehearse access test lint types bench seen preview up constraints clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(INSTALLED): requirements.txt requirements-dev.txt constraints.txt
	@echo "Setting up $(VENV), which takes a minute or two the first time" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

rehearse: $(INSTALLED) ## bring STACK up on an embedded AWS, act ADR040 out, prove who can do what
	@$(BIN)/python -m rehearsal --stack $(STACK)

access: $(INSTALLED) ## print what is proved of STACK and who can do what, in Markdown for a pull request
	@$(BIN)/python -m rehearsal --stack $(STACK) --markdown

test: $(INSTALLED) ## run the tests
	$(BIN)/python -m pytest --quiet --numprocesses 2

lint: $(INSTALLED) ## check format and style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(INSTALLED) ## check types
	$(BIN)/mypy

bench: $(INSTALLED) ## measure the program's time per repository
	@$(BIN)/python -m benchmarks

seen: $(INSTALLED) ## with an AWS account: who would be denied what they have done so far, by CloudTrail
	@$(BIN)/python -m rehearsal --stack $(STACK) --plan-only --json \
	  | $(BIN)/python -m registry seen --plan -

preview: $(INSTALLED) ## with the Pulumi CLI and an AWS account: what an update of STACK would do
	pulumi preview --refresh --diff --stack $(STACK)

up: $(INSTALLED) ## with the Pulumi CLI and an AWS account: update STACK
	pulumi up --refresh --stack $(STACK)

constraints: ## resolve all dependencies anew
	@$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	@: > constraints.txt # requirements.txt names it: the old pins would bind the new ones
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header \
	  --output-file constraints.txt requirements-dev.txt

clean: ## remove what was set up and cached
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
