# Everything the project does, by name; each target installs what it needs and is quick when that is there.

PYTHON ?= /usr/bin/python3
PREFIX ?= /opt/yarn-kata-runtime
DESTDIR ?=
VENV := build/venv
BIN := $(VENV)/bin

.PHONY: demo test unit integration lint native install down clean bench-runtime

demo: $(VENV)/ready native ## two tenants' Spark in sandboxes on a real YARN cluster
	$(BIN)/python -m integration.demo

test: lint unit integration ## everything that must hold

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/mypy

unit: $(VENV)/ready native
	$(BIN)/python -m pytest tests

integration: $(VENV)/ready native
	$(BIN)/python -m pytest integration/tests

bench-runtime: $(VENV)/ready native ## this runtime beside runc and nvidia-container-runtime
	$(BIN)/python -m bench.runtime

native: $(VENV)/ready ## the launcher and the init, beside the package's sources
	$(BIN)/python yarn_kata_runtime/native/build.py

# The virtual environment of the people's commands, and the launcher as /usr/bin/yarn-kata-runtime.
install:
	$(PYTHON) -m venv $(DESTDIR)$(PREFIX)
	$(DESTDIR)$(PREFIX)/bin/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(DESTDIR)$(PREFIX)/bin/python -m pip install --quiet --no-deps --force-reinstall .
	install -d $(DESTDIR)/usr/bin
	ln -sfn $(PREFIX)/lib/$(notdir $(realpath $(PYTHON)))/site-packages/yarn_kata_runtime/native/launcher \
		$(DESTDIR)/usr/bin/yarn-kata-runtime

$(VENV)/ready: requirements-dev.lock | packages
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-dev.lock
	touch $@

packages: ## Debian's packages that the tests and the cluster need; installs what is missing only
	@integration/install-packages

down: $(VENV)/ready ## remove all that demo and test started; downloads and images stay
	$(BIN)/python -m integration.cluster down

clean: ## down, and the downloads and images too
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m integration.cluster clean; fi
	rm -rf build
