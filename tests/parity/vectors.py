"""Recorded inputs and outputs of the official implementations, read from the directory ``PARITY_DIR``."""
from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

DEFAULT_DIR = Path(__file__).resolve().parents[1] / 'data' / 'parity'
PARITY_DIR = Path(os.environ.get('PARITY_DIR') or DEFAULT_DIR).resolve()


@dataclass(frozen=True)
class Vector:
    """One file: options (meta), inputs and outputs by name, official weights by official name."""

    name: str
    meta: dict[str, Any]
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    state_dict: dict[str, torch.Tensor]


def load_vector(name: str) -> Vector:
    """Read a vector; a file missing from the default directory is a failure, elsewhere a skip."""
    return _read(_present(f'{name}.npz'))


def load_listing(name: str) -> dict[str, Any]:
    """Read names, shapes and counts of the official models at full size; the file follows the rule of the vectors."""
    return json.loads(_present(f'{name}.json').read_text(encoding='utf-8'))


def load_licensed_vector(name: str) -> Vector:
    """Read a vector that may not be kept in this repository; a missing file is a skip everywhere."""
    path = PARITY_DIR / f'{name}.npz'
    if not path.is_file():
        pytest.skip(f'{path} is missing: it follows from the numbers of official parameter files, whose licence keeps '
                    'it out of this repository; set PARITY_DIR to a directory that has it')
    return _read(path)


def vector_cases(name: str, *keys: str) -> list[Any]:
    """List the cases that ``meta`` holds under ``keys``, for ``pytest.mark.parametrize``.

    Without the file there is one case, None, so that the test itself runs into ``load_vector`` and reports it.
    """
    path = PARITY_DIR / f'{name}.npz'
    if not path.is_file():
        return [None]
    cases = _read(path).meta
    for key in keys:
        cases = cases[key]
    return list(cases)


def assert_close(actual: Any, expected: Any, relative: float = 1e-6) -> None:
    """Compare shapes, and values to a tolerance relative to the largest expected magnitude."""
    actual, expected = (np.asarray(array, np.float64) for array in (actual, expected))
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=relative * np.abs(expected).max(initial=0.0))


def assert_identical(actual: Any, expected: Any) -> None:
    """Compare containers at any depth: equal keys in equal order, equal types of tensors, equal bits."""
    if isinstance(expected, dict):
        assert list(actual) == list(expected)
        for key, value in expected.items():
            assert_identical(actual[key], value)
    elif isinstance(expected, torch.Tensor):
        assert actual.dtype == expected.dtype and torch.equal(actual, expected)
    elif isinstance(expected, (list, tuple)):
        assert len(actual) == len(expected)
        for pair in zip(actual, expected):
            assert_identical(*pair)
    else:
        assert actual == expected


def _present(name: str) -> Path:
    """Return the path of a file; one missing from the default directory is a failure, elsewhere a skip."""
    path = PARITY_DIR / name
    if not path.is_file():
        reason = f'parity file {path} is missing'
        pytest.fail(reason) if PARITY_DIR == DEFAULT_DIR else pytest.skip(reason)
    return path


@lru_cache(maxsize=4)
def _read(path: Path) -> Vector:
    with np.load(path, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files if key != 'meta'}
        meta = json.loads(str(file['meta']))
    groups = {group: {key[len(group) + 1:]: array for key, array in arrays.items() if key.startswith(f'{group}/')}
              for group in ('in', 'out', 'sd')}
    state_dict = {key: torch.from_numpy(array) for key, array in groups['sd'].items()}
    return Vector(path.stem, meta, groups['in'], groups['out'], state_dict)
