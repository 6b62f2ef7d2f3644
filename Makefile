# Everything runs in .venv, which the first target that needs it sets up and later ones keep.

PYTHON ?= python3
STACK ?= prod
SINCE ?= 7d
VENV := .venv
BIN := $(VENV)/bin
PROGRAM := $(VENV)/.program
INSTALLED := $(VENV)/.installed

# One ARN a line; # begins a comment.
EXPECTED := $(addprefix --only ,$(shell sed 's/#.*//' expected-principals.txt 2> /dev/null))

# A build server answers no questions: CI=true, which GitHub Actions and buildspec.yml set.
ifdef CI
NO_QUESTIONS := --non-interactive --color never
YES := --yes
endif
WORKFLOWS := .github/workflows/*.yml template/.github/workflows/*.yml examples/ci/promote.yml
POLICIES := $(if $(wildcard policypack/PulumiPolicy.yaml),--policy-pack policypack)

# The local cloud: moto's server as AWS, and a folder for Pulumi's state. Real credentials stay out.
LOCAL := .local
ifneq ($(filter local,$(STACK) $(MAKECMDGOALS)),)
export PULUMI_BACKEND_URL := file://$(CURDIR)/$(LOCAL)
export PULUMI_CONFIG_PASSPHRASE := local
export AWS_ENDPOINT_URL := http://127.0.0.1:5005
export AWS_ACCESS_KEY_ID := local
export AWS_SECRET_ACCESS_KEY := local
export AWS_DEFAULT_REGION := eu-west-2
unexport AWS_PROFILE AWS_SESSION_TOKEN
endif

.DEFAULT_GOAL := help
.PHONY: help rehearse access test lint types bench would-deny who-can history live new preview up drift local local-down \
  constraints clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# What the command and the rehearsal need; and on top of it, what the tests and the checks need.
$(PROGRAM): requirements.txt requirements-rehearse.txt constraints.txt .ci/set_up.py
	@$(PYTHON) .ci/set_up.py $(VENV) requirements-rehearse.txt
	@touch $@

$(INSTALLED): $(PROGRAM) requirements-dev.txt
	@$(PYTHON) .ci/set_up.py $(VENV) requirements-dev.txt
	@touch $@

rehearse: $(PROGRAM) ## run STACK and ADR040's workflow on an embedded AWS, and print the evidence
	@$(BIN)/python -m container_images rehearse --stack $(STACK)

access: $(PROGRAM) ## print the claims about STACK and who can do what, in Markdown for a pull request
	@$(BIN)/python -m container_images rehearse --stack $(STACK) --markdown

test: $(INSTALLED) ## run the tests
	$(BIN)/python -m pytest --quiet --numprocesses 2 --dist worksteal

lint: $(INSTALLED) ## check format and style, and the CI workflows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/zizmor --offline --no-progress --quiet .github action.yml template examples/ci
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows $(WORKFLOWS)
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions action.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.gitlab-ci examples/ci/gitlab-promote.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml \
	  template/.github/dependabot.yml

types: $(INSTALLED) ## check types
	$(BIN)/mypy

bench: $(INSTALLED) ## measure the program, a move, the lifecycle simulation and who-can
	@$(BIN)/python -m benchmarks

would-deny: $(PROGRAM) ## with an AWS account: list who would be denied what they did in the last 90 days
	@$(BIN)/python -m container_images would-deny --stack $(STACK)

who-can: $(PROGRAM) ## with an AWS account: list who could move a tag; fail if expected-principals.txt lacks one
	@$(BIN)/python -m container_images who-can --stack $(STACK) $(EXPECTED)

history: $(PROGRAM) ## with an AWS account: fail if, by CloudTrail, anybody but the pipeline moved a tag of STACK
	@$(BIN)/python -m container_images history --stack $(STACK) --since $(SINCE) --fail-on-unexpected

live: $(INSTALLED) ## with a throw-away AWS account: try the guard in ACCOUNT, and delete everything again
	$(BIN)/python -m tests.live $(ACCOUNT)

new: export NAME = $(STACK)
new: ## copy Pulumi.starter.yaml to Pulumi.STACK.yaml
	@case "$$NAME" in ''|*[!A-Za-z0-9._-]*) \
	  echo "STACK is \"$$NAME\": a name has letters, digits and . _ -; make new STACK=name" >&2; \
	  exit 1; esac
	@if [ -e "Pulumi.$$NAME.yaml" ]; then \
	  echo "Pulumi.$$NAME.yaml exists; name a new stack: make new STACK=name" >&2; exit 1; fi
	@cp Pulumi.starter.yaml "Pulumi.$$NAME.yaml"
	@echo "Pulumi.$$NAME.yaml is yours to edit; then make rehearse STACK=$$NAME"

preview: $(PROGRAM) ## with the Pulumi CLI and an AWS account: show what an update of STACK would do
	pulumi preview --refresh --diff $(POLICIES) $(NO_QUESTIONS) --stack $(STACK)

up: $(PROGRAM) ## with the Pulumi CLI and an AWS account: update STACK (CI=true asks nothing)
	pulumi up --refresh $(YES) $(POLICIES) $(NO_QUESTIONS) --stack $(STACK)

drift: $(PROGRAM) ## with the Pulumi CLI and an AWS account: fail if AWS differs from STACK
	pulumi preview --refresh --diff --expect-no-changes $(POLICIES) $(NO_QUESTIONS) --stack $(STACK)

local: $(INSTALLED) local-down ## with the Pulumi CLI: update the stack local on moto's server, and move a tag
	@mkdir -p $(LOCAL)
	$(BIN)/python -m container_images.rehearsal.local start $(LOCAL)
	pulumi stack select --create local
	$(MAKE) up STACK=local CI=true
	$(BIN)/python -m container_images.rehearsal.local push
	$(BIN)/python -m container_images resolve app
	$(BIN)/python -m container_images move app prod-2222222-1764007200
	$(BIN)/python -m container_images resolve app
	@echo "It runs until make local-down. Meanwhile: make preview STACK=local, make drift STACK=local"

local-down: ## stop moto's server and remove the stack local
	@if [ -f $(LOCAL)/moto.pid ]; then pid=$$(cat $(LOCAL)/moto.pid); \
	  case "$$(ps -p "$$pid" -o command=)" in *moto.server*) kill "$$pid"; sleep 1 ;; esac; fi
	@rm -rf $(LOCAL)

constraints: ## resolve all dependencies again
	@$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$$(grep ^uv== requirements-dev.txt)"
	@: > constraints.txt # requirements.txt names it: the old pins would bind the new ones
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header \
	  --output-file constraints.txt requirements-dev.txt

clean: local-down ## remove .venv and the caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
