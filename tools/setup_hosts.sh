#!/usr/bin/env bash
# Make an environment with MMPose and MMAction2 from nothing but Python and gcc: tools/setup_hosts.sh VENV [PART...]
# Parts: runtime, hosts (both by default), tests. Variables: PYTHON, TORCH, TORCHVISION, TORCH_INDEX as for make, and
# MMCV=full, which builds the compiled operators of mmcv (ten minutes) instead of taking mmcv-lite.
set -euo pipefail
if [ $# -lt 1 ]; then sed -n '2,4s/^# //p' "$0" >&2; exit 2; fi
case $1 in /*) venv=$1 ;; *) venv=$PWD/$1 ;; esac
shift
cd "$(dirname "$0")/.."
# torch asks for setuptools without an upper bound; mmengine needs pkg_resources, gone in 82.
setuptools='setuptools>=65,<82'

pip() { "$venv/bin/python" -m pip "$1" --quiet --disable-pip-version-check "${@:2}"; }

# mmengine goes in without its dependencies: it asks for opencv-python, whose wheel needs a desktop's
# libraries; the headless build serves the same imports.
install_runtime() {
  echo "Installing the runtime into $venv (torch is the large part) ..."
  "${PYTHON:-python3}" -m venv "$venv"
  pip install --upgrade pip "$setuptools" wheel
  pip install "${TORCH:-torch==2.13.0}" "$setuptools" numpy ${TORCH_INDEX:+--index-url "$TORCH_INDEX"}
  pip install scipy einops matplotlib pillow tqdm addict pyyaml rich termcolor yapf opencv-python-headless "$setuptools"
  pip install --no-deps mmengine==0.10.7
  pip install --no-deps --no-build-isolation -e .
}

install_hosts() {
  echo 'Installing the hosts mmpose and mmaction2 ...'
  pip install -r requirements/hosts_imports.txt "$setuptools"
  pip install --no-deps --no-build-isolation --no-binary xtcocotools -r requirements/hosts.txt \
    "${TORCHVISION:-torchvision==0.28.0}"
  if [ "${MMCV:-lite}" = full ]; then install_operators; fi
}

# The two distributions of mmcv overwrite each other. The build was tried with this setuptools.
install_operators() {
  pip uninstall -y mmcv-lite
  pip install 'setuptools<80' wheel ninja
  mmcv=$(sed -n 's/^mmcv-lite\(==[^ ]*\).*/mmcv\1/p' requirements/hosts.txt)
  MMCV_WITH_OPS=1 pip install --no-deps --no-build-isolation "$mmcv"
}

# The shims stand in for what mmcv-lite and the wheel of mmaction2 lack, so that tests need not ask for repairs.
install_tests() {
  echo 'Installing the test tools ...'
  pip install -r requirements/tests.txt "$setuptools"
  packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
  cp tests/host_shims.py "$packages/"
  echo 'import host_shims' > "$packages/host_shims.pth"
}

if [ $# = 0 ]; then set -- runtime hosts; fi
for part in "$@"; do
  case $part in
    runtime|hosts|tests) "install_$part" ;;
    *) echo "there is no part $part; expected runtime, hosts or tests" >&2; exit 2 ;;
  esac
done
