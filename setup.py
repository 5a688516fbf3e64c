"""Packaging of motionbert_mm; requirements live in requirements/."""
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def read_lines(name: str) -> list:
    """Return the requirement lines of a file without comments and blanks."""
    lines = (line.split('#')[0].strip() for line in (ROOT / name).read_text(encoding='utf-8').splitlines())
    return [line for line in lines if line]


def read_extras(name: str) -> dict:
    """Return ``{extra: requirements}`` from the ``[extra]`` sections of a file."""
    extras, section = {}, None
    for line in read_lines(name):
        if line.startswith('['):
            section = line.strip('[]')
            extras[section] = []
        else:
            extras[section].append(line)
    return extras


def read_version() -> str:
    """Return the version without importing the package."""
    for line in (ROOT / 'motionbert_mm' / '__init__.py').read_text(encoding='utf-8').splitlines():
        if line.startswith('__version__'):
            return line.split("'")[1]
    raise RuntimeError('motionbert_mm/__init__.py has no __version__')


setup(
    name='motionbert_mm',
    version=read_version(),
    description='Pretraining, lifting, completion, action, mesh and text for skeleton motion, on MMEngine',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['motionbert_mm', 'motionbert_mm.*']),
    package_data={'motionbert_mm': ['datasets/detector_noise.json']},
    python_requires='>=3.9',
    install_requires=read_lines('requirements/runtime.txt'),
    extras_require=read_extras('requirements/optional.txt'),
)
