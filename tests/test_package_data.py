"""A wheel carries every file of the package, not only the Python ones."""
from pathlib import Path

import setuptools  # noqa: F401 (provides distutils from Python 3.12 on)

from tests.generated import ROOT


def test_setup_lists_every_data_file_of_the_package(monkeypatch):
    from distutils.core import run_setup
    monkeypatch.chdir(ROOT)
    package = ROOT / 'motionbert_mm'
    listed = {Path(name) for pattern in run_setup('setup.py', stop_after='init').package_data['motionbert_mm']
              for name in package.glob(pattern)}
    data = {path for path in package.rglob('*') if path.is_file() and path.suffix not in ('.py', '.pyc')}
    assert listed == data and package / 'datasets' / 'detector_noise.json' in data
