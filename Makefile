# Everything runs in a virtual environment of its own, .venv/, made from the interpreter PYTHON.
# `make demo` needs the runtime only; `make test` adds the real MMPose and MMAction2 hosts.
PYTHON ?= python3
# Override for another wheel, e.g. TORCH='torch==2.8.0' TORCHVISION='torchvision==0.23.0'
# TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH ?= torch==2.13.0
TORCHVISION ?= torchvision==0.28.0
TORCH_INDEX ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# torch asks for setuptools without an upper bound; mmengine needs pkg_resources, gone in 82.
SETUPTOOLS := "setuptools>=65,<82"

.PHONY: demo test lint clean env env-test
.DELETE_ON_ERROR:

demo: env
	$(BIN)/python tools/demo.py --out demo_out

test: env-test
	$(BIN)/python -m pytest

lint: env-test
	$(BIN)/ruff check .

clean:
	rm -rf $(VENV) demo_out work_dirs build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

env: $(VENV)/.runtime
env-test: $(VENV)/.hosts

# mmengine goes in without its dependencies: it asks for opencv-python, whose wheel needs a desktop's
# libraries; the headless build serves the same imports.
$(VENV)/.runtime: setup.py requirements/runtime.txt requirements/optional.txt Makefile
	@echo "Installing the runtime into $(VENV) (torch is the large part) ..."
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip $(SETUPTOOLS) wheel
	$(PIP) $(TORCH) $(SETUPTOOLS) numpy $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))
	$(PIP) scipy einops matplotlib pillow tqdm addict pyyaml rich termcolor yapf opencv-python-headless $(SETUPTOOLS)
	$(PIP) --no-deps mmengine==0.10.7
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# mmcv-lite stands in for mmcv: its compiled operators take ten minutes to build and no test calls one.
# xtcocotools is built from source, because its wheel is bound to numpy 1.
$(VENV)/.hosts: $(VENV)/.runtime requirements/tests.txt tests/host_shims.py
	@echo "Installing the test tools and the hosts mmpose and mmaction2 ..."
	$(PIP) -r requirements/tests.txt cython json_tricks munkres six importlib_metadata packaging platformdirs $(SETUPTOOLS)
	$(PIP) --no-deps mmcv-lite==2.1.0 mmdet==3.3.0 mmpose==1.3.2 mmaction2==1.2.0 $(TORCHVISION)
	$(PIP) --no-deps --no-build-isolation --no-binary xtcocotools xtcocotools==1.14.3
	cp tests/host_shims.py $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')/
	echo 'import host_shims' > $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')/host_shims.pth
	@touch $@
