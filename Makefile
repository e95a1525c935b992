# Everything that a developer or a new user does; `make help` lists it.
# Only make and Python 3.11 or later are needed: the rest goes into .venv.

VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := snapq/constraints.txt
EXAMPLE := examples/efficientnet-lite0
MODEL := $(EXAMPLE)/model/efficientnet_lite0.onnx
DATA := $(EXAMPLE)/data/validation.csv
FASHION := examples/fashion-mnist
FOREST := examples/forest
SMOLLM2 := examples/smollm2
WORKERS ?= 2

PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=$(CONSTRAINTS) $(BIN)/python -m pip
# Stamps: made when a step is done, older than what the step depends on when it must be done again.
INSTALLED := $(VENV)/.installed
TOOLS := $(VENV)/.tools

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo fashion forest llm test test-fast coverage lint format wheel docs reference lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(INSTALLED) ## Install snapq into .venv

demo: $(MODEL) $(DATA) ## Deploy EfficientNet-Lite0 from end to end, without a device
	$(BIN)/snapq run $(EXAMPLE)/deploy.yaml

fashion: $(FASHION)/model/resnet.onnx ## Train, prune and deploy a classifier of Fashion-MNIST
	$(BIN)/snapq run $(FASHION)/deploy.yaml

forest: $(FOREST)/model/forest.onnx ## Train and deploy a forest and an SVM of scikit-learn
	$(BIN)/snapq run $(FOREST)/deploy.yaml
	$(BIN)/snapq run $(FOREST)/machine.yaml

llm: $(SMOLLM2)/model/SmolLM2-135M-Instruct.Q4_1.gguf ## Take SmolLM2-135M from its weights to a package, and let it answer
	$(BIN)/snapq llm init $< --out $(SMOLLM2)/data/float --force
	$(BIN)/snapq llm quantize $(SMOLLM2)/data/float --text $(SMOLLM2)/chats.txt --out $(SMOLLM2)/data/w8a16 --device qcs9075 --force
	$(BIN)/snapq llm evaluate $(SMOLLM2)/data/w8a16 --float $(SMOLLM2)/data/float --text $(SMOLLM2)/held_out.txt --device qcs9075
	$(BIN)/snapq llm package $(SMOLLM2)/data/w8a16 --out $(SMOLLM2)/data/chat --device qcs9075 --force
	$(BIN)/snapq llm check $(SMOLLM2)/data/chat --float $(SMOLLM2)/data/float --tokens 8 --prompt "Why is the sky blue?"

test: $(TOOLS) ## Install what the tests need and run all of them
	@scripts/install_test_packages.sh
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --durations 10

test-fast: $(TOOLS) ## Run the tests that are neither slow nor need a board: under 90 seconds
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow and not board"

# A target of its own: before Python 3.12 counting lines costs up to half of the tests' time again.
coverage: $(TOOLS) ## Run all tests, and say which lines they did not reach
	@scripts/install_test_packages.sh
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --cov --cov-report term-missing

lint: $(TOOLS) ## Check style, types and the import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(TOOLS) ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

wheel: $(TOOLS) ## Build the wheel into dist/, and try it in an environment of its own
	$(BIN)/python scripts/try_wheel.py dist

docs: $(TOOLS) ## Build docs/ into build/docs; a broken link fails
	$(BIN)/python scripts/reference.py --check
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs build/docs
	$(BIN)/python scripts/check_links.py

reference: $(INSTALLED) ## Write the pages of docs/reference/ that are made from the program
	$(BIN)/python scripts/reference.py

lock: ## Refresh the pinned versions to the newest ones that fit pyproject.toml
	@python="$$(scripts/find_python.sh)" && "$$python" scripts/lock.py $(CONSTRAINTS)

clean: ## Remove .venv, caches and what the example made (runs/ stays)
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	rm -rf $(EXAMPLE)/model $(EXAMPLE)/data $(FASHION)/model $(FASHION)/data $(FOREST)/model $(FOREST)/data
	rm -rf $(SMOLLM2)/model $(SMOLLM2)/data

$(BIN)/python:
	@python="$$(scripts/find_python.sh)" && "$$python" -m venv --clear $(VENV)

$(INSTALLED): pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	@echo "Installing snapq into $(VENV), with libraries of about 600 MB"
	@$(PIP) install --quiet --upgrade pip
	@$(PIP) install --quiet --editable .
	@touch $@

$(TOOLS): $(INSTALLED)
	@echo "Installing the tools of tests and checks into $(VENV)"
	@$(PIP) install --quiet --group dev
	@PIP_CONSTRAINT=$(CONSTRAINTS) scripts/install_torch.sh $(BIN)/python
	@touch $@

$(MODEL): $(EXAMPLE)/build_model.py $(EXAMPLE)/checkpoint.py $(EXAMPLE)/wheels.py | $(INSTALLED)
	$(BIN)/python $(EXAMPLE)/build_model.py
	@touch $@

$(DATA): $(EXAMPLE)/fetch_data.py $(EXAMPLE)/wheels.py | $(INSTALLED)
	$(BIN)/python $(EXAMPLE)/fetch_data.py
	@touch $@

$(FASHION)/model/resnet.onnx: $(FASHION)/train_model.py $(FASHION)/fetch_data.py | $(INSTALLED)
	@PIP_CONSTRAINT=$(CONSTRAINTS) scripts/install_torch.sh $(BIN)/python
	$(BIN)/python $(FASHION)/train_model.py
	@touch $@

$(SMOLLM2)/model/SmolLM2-135M-Instruct.Q4_1.gguf: $(SMOLLM2)/fetch_model.py | $(INSTALLED)
	@$(PIP) install --quiet gguf safetensors tokenizers onnxruntime-genai
	$(BIN)/python $(SMOLLM2)/fetch_model.py
	@touch $@

$(FOREST)/model/forest.onnx: $(FOREST)/train.py | $(INSTALLED)
	@$(PIP) install --quiet "scikit-learn>=1.4" "skl2onnx>=1.18"
	$(BIN)/python $(FOREST)/train.py
	@touch $@
