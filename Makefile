# Needs CPython >= 3.11 with venv, pip and make; everything else is installed into .venv.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# The first interpreter that is new enough; chosen when a recipe needs it, so that `make clean` works without one.
find_python = for name in python3.13 python3.12 python3.11 python3; do \
	  if command -v "$$name" >/dev/null 2>&1 \
	    && "$$name" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	  then echo "$$name"; break; fi; done

.PHONY: demo test check bench bench-trackers bench-real-loop torture clean

demo: $(INSTALLED)
	$(BIN)/python examples/demo.py

test: $(INSTALLED)
	$(BIN)/python -m pytest

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(INSTALLED)
	$(BIN)/python benchmarks/run.py

# Installs other trackers, each below .envs, and makes the same calls to them.
bench-trackers: $(INSTALLED)
	$(BIN)/python benchmarks/trackers.py --install

# Installs torch and other trackers below .envs; eleven minutes of a loop with and without each.
bench-real-loop: $(INSTALLED)
	$(BIN)/python benchmarks/real_loop.py --install

torture: $(INSTALLED)
	$(BIN)/python scripts/torture.py

# The stamp is newer than pyproject.toml once the installation is complete, so that the next time nothing is done.
$(INSTALLED): pyproject.toml
	@set -e; \
	if [ ! -x $(BIN)/python ] || ! $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	  found="$$($(find_python))"; \
	  if [ -z "$$found" ]; then echo "Contexta needs CPython 3.11 or newer." >&2; exit 1; fi; \
	  echo "Setting up $(VENV) with $$found"; \
	  "$$found" -m venv --clear $(VENV); \
	fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	@touch $@

clean:
	@if [ -d demo-out/.contexta ] && [ -x $(BIN)/contexta ]; then \
	  $(BIN)/contexta --workspace demo-out/.contexta daemon stop >/dev/null 2>&1 || true; fi
	rm -rf $(VENV) .venv-stubs .venv-oldest .envs demo-out build dist
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
