"""Facts about an environment: versions, what imports, which run-time repairs are needed."""
from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Optional

from motionbert_mm.doctor.probe import MARK

PACKAGES = ('motionbert_mm', 'torch', 'torchvision', 'numpy', 'scipy', 'matplotlib', 'setuptools', 'mmengine', 'mmcv',
            'mmcv-lite', 'mmdet', 'mmpose', 'mmaction2', 'xtcocotools', 'opencv-python', 'opencv-python-headless',
            'opencv-contrib-python', 'six', 'importlib_metadata', 'chumpy')
# What a user of skeletons imports of each package.
MODULES = {'torch': ['torch'], 'torchvision': ['torchvision'], 'chumpy': ['chumpy'], 'mmengine': ['mmengine.runner'],
           'mmcv': ['mmcv', 'mmcv.ops'], 'mmdet': ['mmdet.utils'], 'xtcocotools': ['xtcocotools.mask'],
           'mmpose': ['mmpose.datasets', 'mmpose.models', 'mmpose.visualization', 'mmpose.apis'],
           'mmaction': ['mmaction.datasets', 'mmaction.models', 'mmaction.apis']}
PATIENCE = 600  # seconds for one process; a first import from a network drive takes minutes


@dataclass(frozen=True)
class Facts:
    """What the diagnoses look at.

    Args:
        versions: of the packages that are installed.
        imports: module -> None, or the error with which its import ends.
        needed: names of the run-time repairs whose defects are here.
        cuda: CUDA version that torch is built for.
        has_gpu: whether torch finds one.
        python: version of Python.
        system: operating system and processor.
    """

    versions: Mapping[str, str]
    imports: Mapping[str, Optional[str]]
    needed: Sequence[str] = ()
    cuda: Optional[str] = None
    has_gpu: bool = False
    python: str = field(default_factory=platform.python_version)
    system: str = field(default_factory=platform.platform)

    def version(self, package: str) -> tuple[int, ...]:
        """Return the leading numbers of a version, () if it is not installed."""
        numbers = []
        for word in self.versions.get(package, '').split('+')[0].split('.'):
            if not word.isdigit():
                break
            numbers.append(int(word))
        return tuple(numbers)

    def as_dict(self) -> dict:
        """Return all fields."""
        return asdict(self)


def gather_facts() -> Facts:
    """Look at this environment; takes as long as importing the hosts."""
    modules = [module for package, names in MODULES.items() if is_found(package) for module in names]
    answers, _ = ask(['repairs'])
    return Facts(installed_versions(), try_imports(modules), **(answers[0] if answers else {}))


def is_found(package: str) -> bool:
    """Say whether a package is there, without importing it."""
    try:
        return importlib.util.find_spec(package) is not None
    except Exception:  # an import hook may refuse it in any way
        return False


def installed_versions() -> dict[str, str]:
    """Return the versions of those of ``PACKAGES`` that are installed."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def try_imports(modules: Iterable[str], *, with_repairs: bool = True) -> dict[str, Optional[str]]:
    """Import modules in processes of their own: one, and another after each failure.

    Args:
        modules: names.
        with_repairs: whether to apply the run-time repairs first without which hosts cannot be imported.

    Returns:
        Module -> None, or the error.
    """
    waiting, results = list(modules), {}
    while waiting:
        answers, end = ask(['repaired' if with_repairs else 'plain', *waiting])
        results.update((answer['module'], answer['error']) for answer in answers)
        if not answers or (answers[-1]['error'] is None and len(answers) < len(waiting)):
            results[waiting[len(answers)]] = end
        waiting = [module for module in waiting if module not in results]
    return results


def ask(arguments: Sequence[str]) -> tuple[list[dict], str]:
    """Run ``probe`` and return the lines of its answer, and how the process ended."""
    try:
        result = subprocess.run([sys.executable, '-m', 'motionbert_mm.doctor.probe', *arguments], capture_output=True,
                                text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return [], f'the process did not end in {PATIENCE} seconds'
    answers = [json.loads(line[len(MARK):]) for line in result.stdout.splitlines() if line.startswith(MARK)]
    last_words = ([line for line in result.stderr.splitlines() if line.strip()] or ['no message'])[-1]
    return answers, f'the process ended with status {result.returncode}: {last_words}'
