"""Read old pickles of body models, whose arrays are wrapped in chumpy or scipy objects, without running either.

Nothing of these packages is imported: their classes are replaced by stand-ins that keep what the pickle says about an
object, and ``as_array`` computes from it what the object would have been. What such files hold: the official SMPL of
Python 2 has ``chumpy.ch.Ch`` (a plain array ``x``) and ``scipy.sparse.csc.csc_matrix``; models of the same family have
``chumpy.reordering.Select`` and ``Reshape`` (a choice and another shape of array ``a``). Source: chumpy, ch.py and
reordering.py.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any, Union

import numpy as np

from motionbert_mm.io import safe_pickle
from motionbert_mm.io.safe_pickle import StandIn

_MAX_DENSE = 2**28  # entries of a sparse matrix written out; a regressor of SMPL-X has 2 ** 19


class _Wrapped(StandIn):
    """chumpy.ch.Ch: a number or an array."""

    def array(self) -> np.ndarray:
        """Return the array."""
        return as_array(self.field('x'))


class _Selected(StandIn):
    """chumpy.reordering.Select: some entries of another array."""

    def array(self) -> np.ndarray:
        """Return the entries."""
        chosen = as_array(self.field('a')).reshape(-1)[as_array(self.field('idxs'))]
        return chosen.reshape(self.field('preferred_shape')) if 'preferred_shape' in self.state else chosen


class _Reshaped(StandIn):
    """chumpy.reordering.Reshape: another array in another shape."""

    def array(self) -> np.ndarray:
        """Return the array in its new shape."""
        return as_array(self.field('a')).reshape(self.field('newshape'))


class _SparseColumns(StandIn):
    """scipy.sparse.csc_matrix: column by column, the rows that are not zero."""

    def array(self) -> np.ndarray:
        """Write it out."""
        return self.dense(*self.shape())

    def shape(self) -> tuple[int, int]:
        """Return the shape of the matrix."""
        rows, columns = (int(size) for size in self.field('_shape'))
        if not (0 <= rows and 0 <= columns and rows * columns <= _MAX_DENSE):
            raise ValueError(f'a sparse matrix has shape ({rows}, {columns}), expected at most {_MAX_DENSE} entries')
        return rows, columns

    def dense(self, minor: int, major: int) -> np.ndarray:
        """Write out a matrix (minor, major) whose entries are listed along its second axis."""
        data, indices, ends = (as_array(self.field(name)) for name in ('data', 'indices', 'indptr'))
        counts = np.diff(ends)
        fits = (data.ndim == indices.ndim == ends.ndim == 1 and data.dtype.kind in 'fiu'
                and indices.dtype.kind in 'iu' and ends.dtype.kind in 'iu' and len(ends) == major + 1
                and ends[0] == 0 and (counts >= 0).all() and len(data) == len(indices) == ends[-1])
        if not fits or not ((indices >= 0) & (indices < minor)).all():
            raise ValueError(f'a sparse matrix of {len(data)} entries contradicts its shape {minor} x {major}')
        matrix = np.zeros((minor, major), data.dtype)
        np.add.at(matrix, (indices, np.repeat(np.arange(major), counts)), data)
        return matrix


class _SparseRows(_SparseColumns):
    """scipy.sparse.csr_matrix: row by row, the columns that are not zero."""

    def array(self) -> np.ndarray:
        """Write it out."""
        return self.dense(*self.shape()[::-1]).T


class _Ignored(StandIn):
    """A formula of chumpy; it may stand in an entry that nobody asks for."""


# scipy 1.8 put an underscore before the names of its modules.
_STAND_INS = {
    ('chumpy.ch', 'Ch'): _Wrapped, ('chumpy.reordering', 'Select'): _Selected,
    ('chumpy.reordering', 'Reshape'): _Reshaped,
    **{(f'scipy.sparse.{private}{kind}', f'{kind}_{sort}'): stand_in for private in ('', '_')
       for kind, stand_in in (('csc', _SparseColumns), ('csr', _SparseRows)) for sort in ('matrix', 'array')},
    **{('chumpy.ch', name): _Ignored for name in ('MatVecMult', 'ChHandle', 'ChLambda', 'Term')},
    **{('chumpy.ch_ops', name): _Ignored for name in ('add', 'subtract', 'multiply', 'divide')},
}


def load(path: Union[str, Path], wanted: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read arrays of a pickled dictionary, whether they are plain or wrapped.

    Args:
        path: the file, any protocol, Python 2 or 3.
        wanted: names of the arrays; those that the file lacks are left out.

    Raises:
        FileNotFoundError: no such file.
        ValueError: torn, no dictionary, an object of another class than these, a wrapped array that makes no sense.
    """
    content = safe_pickle.load(path, stand_ins=_STAND_INS)
    if not isinstance(content, dict):
        raise ValueError(f'{path} holds an object of type {type(content).__name__}, expected a dictionary of arrays')
    arrays = {}
    for name in wanted:
        if name in content:
            try:
                arrays[name] = as_array(content[name])
            except (ValueError, TypeError, IndexError, RecursionError) as error:
                raise ValueError(f'{path}: {name} cannot be made an array ({error}); download the file again') from None
    return arrays


def as_array(value: Any) -> np.ndarray:
    """Return the array that a plain value or a stand-in is.

    Raises:
        ValueError, TypeError, IndexError, RecursionError: it is none, or contradicts itself.
    """
    if isinstance(value, _Ignored) or not isinstance(value, (StandIn, np.ndarray, np.generic, int, float, list, tuple)):
        raise ValueError(f'it is an object of type {type(value).__name__}')
    array = value.array() if isinstance(value, StandIn) else np.asarray(value)
    if array.dtype.kind not in 'biuf':
        raise ValueError(f'it has dtype {array.dtype}, expected numbers')
    return array
