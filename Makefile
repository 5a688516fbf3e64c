# Everything runs in a virtual environment of its own, .venv/, made from the interpreter PYTHON.
# `make demo` needs the runtime only; `make test` adds the real MMPose and MMAction2 hosts.
# tools/setup_hosts.sh installs it, and reads these variables, here with what it takes by default:
# PYTHON=python3 TORCH='torch==2.13.0' TORCHVISION='torchvision==0.28.0' TORCH_INDEX=
# Another wheel, e.g.: TORCH='torch==2.8.0' TORCHVISION='torchvision==0.23.0'
# TORCH_INDEX=https://download.pytorch.org/whl/cpu

VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint clean env env-test
.DELETE_ON_ERROR:

demo: env
	$(BIN)/python tools/demo.py --out demo_out

test: env-test
	$(BIN)/python -m pytest --numprocesses auto --dist loadscope

lint: env-test
	$(BIN)/ruff check .

clean:
	rm -rf $(VENV) demo_out work_dirs build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

env: $(VENV)/.runtime
env-test: $(VENV)/.hosts

$(VENV)/.runtime: setup.py requirements/runtime.txt requirements/optional.txt tools/setup_hosts.sh
	tools/setup_hosts.sh $(VENV) runtime
	@touch $@

$(VENV)/.hosts: $(VENV)/.runtime requirements/hosts.txt requirements/hosts_imports.txt requirements/tests.txt tests/host_shims.py
	tools/setup_hosts.sh $(VENV) hosts tests
	@touch $@
