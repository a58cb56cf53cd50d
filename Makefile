# `make help` lists what there is. Nothing has to be installed first but Python 3.11 to 3.14.

UV_VERSION := 0.13.8
UV         := .vigil/uv-$(UV_VERSION)/bin/uv
BIN        := .venv/bin
STAMP      := .venv/.set-up
TESTS      := tests $(if $(wildcard bench/*.py),bench)
# A stand-in in a test need not be of the type that it stands in for.
LOOSE      := --no-warn-unused-ignores --implicit-reexport --disable-error-code=arg-type \
              --disable-error-code=comparison-overlap --disable-error-code=import-untyped

# A Python to use instead of the first fitting one on the PATH.
PYTHON ?=
# Real patients for the tests. A test that needs them is skipped, with this path, where they are not.
export VIGIL_DATA ?= $(CURDIR)/../shared/data
# The machine's certificates rather than uv's own: a company's proxy is trusted where the machine
# trusts it. UV_SYSTEM_CERTS=0 where the machine has none.
export UV_SYSTEM_CERTS ?= 1
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint unit integration soak encoders format setup clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

demo: setup ## A ward to watch [DATA=recorded patients] [ARGS="--headless --json --for 60"]
	@exec $(BIN)/vigil demo $(if $(DATA),--data "$(DATA)") $(ARGS)

test: lint unit integration ## What proves it; make soak has more

lint: setup ## Style, types, Dockerfile, compose file
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/mypy --cache-dir .mypy_cache/tests $(LOOSE) $(TESTS)
	$(UV) lock --check --quiet
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

# One test a core: OpenMP's own threads would only fight over them.
unit: setup ## Tests without a broker, on all cores
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --durations=10 tests/unit tests/topology

integration: setup ## Tests against a real Kafka, with kills and cuts
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not soak" -n 2 --dist loadfile --durations=10 tests/integration
	$(BIN)/pytest -m "not soak" --durations=10 tests/faults

soak: setup ## What takes minutes more: drift to promotion, pagers that stall, further faults
	$(BIN)/pytest -m soak tests/integration tests/faults

# In a folder of its own: torch is gigabytes, and nothing else here wants it.
encoders: setup ## The int8 encoder against the original on torch [installs gigabytes]
	UV_PROJECT_ENVIRONMENT=.vigil/chat $(UV) sync --frozen --quiet --extra chat
	.vigil/chat/bin/pytest tests/unit/test_encoders_agree.py

format: setup ## Put the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove what set-up and the tools made; a local Kafka's data stays
	rm -rf .venv .vigil/uv-* .vigil/chat .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -path ./.git -prune -o -name __pycache__ -prune -exec rm -rf {} +

setup: $(STAMP) ## Done by the others when it is needed
	@$(if $(WAS_SET_UP),:,echo "set-up up to date" >&2)

# Says of a Python why it will not do. It must parse in any Python that people still have.
define CHECK_PYTHON
import sys
if not (3, 11) <= sys.version_info < (3, 15):
    sys.exit("is Python %d.%d" % sys.version_info[:2])
try:
    import ensurepip, venv
except ImportError:
    sys.exit("lacks venv, which Debian and Ubuntu keep in python%d.%d-venv" % sys.version_info[:2])
endef

$(STAMP): export CHECK_PYTHON := $(CHECK_PYTHON)
$(STAMP): pyproject.toml uv.lock
	$(eval WAS_SET_UP := yes)
	@set -eu; exec >&2; began=$$(date +%s); refused=; \
	for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14 python); do \
	    why="not found"; command -v "$$python" >/dev/null && \
	        why=$$("$$python" -c "$$CHECK_PYTHON" 2>&1) && break; \
	    refused="$$refused  $$python: $$(echo "$$why" | tail -n 1)\n"; python=; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "Vigil needs Python 3.11 to 3.14. Looked for:"; printf '%b' "$$refused"; \
	    echo "Install one, or name yours: make PYTHON=/path/to/python3.12 ..."; exit 1; \
	fi; \
	[ -x $(UV) ] || { \
	    rm -rf .vigil/uv-*; \
	    "$$python" -m venv .vigil/uv-$(UV_VERSION) && \
	    .vigil/uv-$(UV_VERSION)/bin/python -m pip install --quiet uv==$(UV_VERSION); \
	} && $(UV) sync --frozen --quiet --python "$$python" || { \
	    echo "Set-up failed. If it was a certificate: name your company's in SSL_CERT_FILE (uv)"; \
	    echo "and PIP_CERT (pip). If it was the network: PyPI must answer, through HTTPS_PROXY where"; \
	    echo "there is a proxy. Then run make again: it goes on where it stopped."; exit 1; \
	}; \
	if [ "$$(uname)" = Linux ]; then \
	    $(BIN)/python -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2>/dev/null || \
	    echo "warning: LightGBM lacks libgomp; to train models: apt-get install libgomp1"; \
	fi; \
	touch $@; echo "set-up took $$(($$(date +%s) - began)) s"
