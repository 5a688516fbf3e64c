"""The commands that repair an environment; the versions are those of requirements/hosts.txt."""
from __future__ import annotations

import re
from typing import Optional

PINS = {'mmcv-lite': '2.1.0', 'mmdet': '3.3.0', 'mmpose': '1.3.2', 'mmaction2': '1.2.0', 'xtcocotools': '1.14.3'}
PIP = 'python -m pip'
# The build of mmcv 2.1.0 was tried with this setuptools.
FULL_MMCV = (f'{PIP} uninstall -y mmcv mmcv-lite && {PIP} install "setuptools<80" wheel ninja && '
             f'MMCV_WITH_OPS=1 {PIP} install --no-deps --no-build-isolation --no-cache-dir mmcv=={PINS["mmcv-lite"]}')
SOURCE_XTCOCOTOOLS = (f'{PIP} install cython "setuptools<82" && {PIP} install --force-reinstall --no-deps '
                      f'--no-build-isolation --no-binary xtcocotools xtcocotools=={PINS["xtcocotools"]}')
SOURCE_MMACTION = (f'{PIP} install --no-deps --no-build-isolation -e '
                   f'"git+https://github.com/open-mmlab/mmaction2.git@v{PINS["mmaction2"]}#egg=mmaction2"')
# MMAction2's requirements/multimodal.txt asks for this version or a later one, later ones removed what it imports.
OLD_TRANSFORMERS = f'{PIP} install timm "transformers==4.28.0"'
TORCH_WHEELS = 'https://download.pytorch.org/whl'


def install(*packages: str) -> str:
    """Return the command that installs packages with what they need."""
    return f'{PIP} install {" ".join(packages)}'


def install_alone(*packages: str) -> str:
    """Return the command that installs pinned packages without what they declare, which can often not be installed."""
    return f'{PIP} install --no-deps {" ".join(f"{package}=={PINS[package]}" for package in packages)}'


def matching_torchvision(torch: Optional[str], cuda: Optional[str]) -> str:
    """Return the command that installs the torchvision that belongs to a torch.

    Args:
        torch: its version; torchvision 0.(N + 15) belongs to torch 2.N.
        cuda: CUDA version that it is built for; None for a CPU build.
    """
    found = re.match(r'2\.(\d+)\.(\d+)', torch or '')
    number = f'==0.{int(found[1]) + 15}.{found[2]}' if found else ''
    build = f'cu{cuda.replace(".", "")}' if cuda else 'cpu'
    return f'{PIP} install --force-reinstall --no-deps torchvision{number} --index-url {TORCH_WHEELS}/{build}'
