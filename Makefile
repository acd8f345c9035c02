# Every target sets up what it needs; setting up costs nothing when it is up to date.
RECIPE ?= demo
RUN ?= runs/$(basename $(notdir $(RECIPE)))
NAME ?= stream
EXPERIMENT ?= all
SIZE ?= smoke
ARGS ?=
PYTHON ?= python3

VENV := .venv
READY := $(VENV)/.ready
LC_DATA := $(VENV)/bin/lc-data
STAGES := ingest filter dedupe bucket balance augment pack pretrain sft

.DEFAULT_GOAL := help
.PHONY: help setup demo run plan $(STAGES) climb evaluate report verify bench experiment doctor test test-all lint format schemas clean

help: ## Show this list
	@echo "make TARGET [RECIPE=name or file] [RUN=folder] [ARGS='-o key=value']"; echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"lc_data needs Python 3.11 or newer, this is {sys.version.split()[0]}; try make PYTHON=python3.11")'
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[pipeline,dev]'
	@touch $@

# Other projects' code, which only these benches need.
PEERS := $(if $(filter filter sketch chain,$(NAME)),$(VENV)/.peers)
$(VENV)/.peers: $(READY)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@touch $@

# Their own pins exclude ours (numpy, huggingface_hub, exact versions of everything): they run with ours all the same.
PEERS += $(if $(filter pack stream,$(NAME)),$(VENV)/.unresolved)
$(VENV)/.unresolved: $(READY) peers.txt
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r peers.txt
	@touch $@

setup: $(READY) ## Make the environment in .venv

demo: $(READY) ## From raw documents to trained steps and a report, on this machine's own packages
	$(LC_DATA) run demo --out runs/demo $(ARGS)
	@echo "open runs/demo/report/index.html"

run: $(READY) ## Run a whole recipe
	$(LC_DATA) run $(RECIPE) --out $(RUN) $(ARGS)

plan: $(READY) ## Say what a recipe would give, before anything is written, or why it cannot
	$(LC_DATA) plan $(RECIPE) --out $(RUN) $(ARGS)

ingest: $(READY) ## Read sources into document shards
filter: $(READY) ## Keep the documents that pass the rules
dedupe: $(READY) ## Remove exact and near duplicates
bucket: $(READY) ## Tokenise and sort into length buckets
balance: $(READY) ## Plan how often each domain and length is seen
augment: $(READY) ## Make documents into rows that teach long dependencies, where the recipe asks for it
pack: $(READY) ## Plan the rows
pretrain: $(READY) ## Train on the packed corpus
sft: $(READY) ## Fine-tune on the packed dialogues
$(STAGES):
	$(LC_DATA) $@ $(RECIPE) --out $(RUN) $(ARGS)

climb: $(READY) ## Train several lengths in turn, as the recipe's ladder says
	$(LC_DATA) climb $(RECIPE) --out $(RUN) $(ARGS)

evaluate: $(READY) ## Measure the run's checkpoints on held-out documents
	$(LC_DATA) run $(RECIPE) --out $(RUN) --to evaluate $(ARGS)

report: $(READY) ## Write the report of RUN
	$(LC_DATA) report $(RUN) $(ARGS)

verify: $(READY) ## Check every file, ledger and plan of RUN
	$(LC_DATA) verify $(RUN) $(ARGS)

bench: $(READY) $(PEERS) ## Measure NAME (filter, sketch, dedupe, language, tokenize, chain, plan, augment, pack, stream, train) beside its reference
	$(LC_DATA) bench $(NAME) $(ARGS)

experiment: $(READY) ## Re-run published claims in miniature: EXPERIMENT (all, boundaries, rope_base, ...) at SIZE
	$(LC_DATA) experiment $(EXPERIMENT) --size $(SIZE) $(ARGS)

doctor: $(READY) ## Say what this machine has
	$(LC_DATA) doctor $(ARGS)

test: $(READY) ## Run the default tests
	$(VENV)/bin/python -m pytest $(ARGS)

test-all: $(READY) ## Run the slow tests too
	$(VENV)/bin/python -m pytest -m 'not gpu and not peers' $(ARGS)

lint: $(READY) ## Check style and types
	$(VENV)/bin/ruff check lc_data tests
	$(VENV)/bin/ruff format --check lc_data tests
	$(VENV)/bin/mypy

format: $(READY) ## Apply the style
	$(VENV)/bin/ruff check --fix lc_data tests
	$(VENV)/bin/ruff format lc_data tests

schemas: $(READY) ## Write schemas/ anew from the code
	$(VENV)/bin/python -m lc_data.schemas schemas

clean: ## Remove the environment and the default runs
	rm -rf $(VENV) runs
