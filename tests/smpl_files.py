"""SMPL's files at full size with made-up numbers: .npz, and the pickle of Python 2 with chumpy and scipy objects."""
from __future__ import annotations

import io
import pickle
import struct
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Optional

import numpy as np
import pytest
import scipy.sparse

from motionbert_mm.structures.skeleton import get_skeleton

NUM_VERTICES, NUM_FACES = 6890, 13776
SMPL = get_skeleton('smpl24')
# Human3.6M joint -> joints of SMPL whose vertices make it.
H36M_FROM = {'spine': ('spine2',), 'thorax': ('neck',), 'nose': ('neck', 'head')}


def smpl_arrays(num_betas: int = 10, num_vertices: int = NUM_VERTICES, seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays under the names, in the shapes and of the types of SMPL's file."""
    rng = np.random.default_rng(seed)
    joints = SMPL.num_joints
    regressor = np.zeros((joints, num_vertices))
    for row in regressor:
        row[rng.choice(num_vertices, 8, replace=False)] = rng.dirichlet(np.ones(8))
    weights = np.zeros((num_vertices, joints))
    for column in rng.integers(joints, size=(4, num_vertices)):
        weights[np.arange(num_vertices), column] += 0.25
    tree = np.stack([SMPL.parents, np.arange(joints)]).astype(np.uint32)  # the root's parent wraps round, as in files
    return dict(v_template=rng.normal(scale=0.4, size=(num_vertices, 3)),
                shapedirs=rng.normal(scale=0.01, size=(num_vertices, 3, num_betas)),
                posedirs=rng.normal(scale=0.001, size=(num_vertices, 3, 207)), J_regressor=regressor,
                kintree_table=tree, weights=weights,
                f=rng.integers(num_vertices, size=(2 * (num_vertices - 2), 3)).astype(np.uint32))


def h36m_regressor(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """A Human3.6M regressor (17, V) of these arrays, right leg first."""
    rows = [np.mean([arrays['J_regressor'][SMPL.index(part)] for part in H36M_FROM.get(joint, (joint,))], axis=0)
            for joint in get_skeleton('h36m').joints]
    return np.stack(rows)


def write_regressor(folder: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Write the regressor beside the body."""
    np.save(folder / 'J_regressor_h36m_correct.npy', h36m_regressor(arrays))
    return folder / 'J_regressor_h36m_correct.npy'


class OldObjects:
    """Classes that pickle under the names of chumpy and of old scipy, without either.

    Args:
        monkeypatch: registers the modules while the test runs.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch, self._modules = monkeypatch, {}

    def make(self, name: str, **state: Any) -> Any:
        """Return an object of the class ``module.Class`` with these attributes."""
        module, _, kind = name.rpartition('.')
        for place in (module.partition('.')[0], module):
            if place not in self._modules and place != 'scipy':
                self._modules[place] = ModuleType(place)
                self._monkeypatch.setitem(sys.modules, place, self._modules[place])
        if not hasattr(self._modules[module], kind):
            setattr(self._modules[module], kind, type(kind, (), {'__module__': module, '__qualname__': kind}))
        thing = getattr(self._modules[module], kind)()
        vars(thing).update(state)
        return thing

    def forget(self) -> None:
        """Take the modules away again."""
        for place in self._modules:
            self._monkeypatch.delitem(sys.modules, place)
        self._modules.clear()

    def chumpy(self, array: np.ndarray) -> Any:
        """Return an array inside chumpy.ch.Ch, with what else a Ch of Python 2 keeps."""
        return self.make('chumpy.ch.Ch', x=array, _dirty_vars={'x'}, _itr=None, _depends_on_deps={},
                         _make_dense=False, _make_sparse=False)

    def sparse(self, array: np.ndarray) -> Any:
        """Return an array as scipy.sparse.csc.csc_matrix."""
        matrix = scipy.sparse.csc_matrix(array)
        return self.make('scipy.sparse.csc.csc_matrix', _shape=matrix.shape, maxprint=50, data=matrix.data,
                         indices=matrix.indices, indptr=matrix.indptr)

    def smpl(self, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
        """Return what the official pickle holds: the arrays wrapped as there, and entries that nobody reads."""
        wrapped = {**arrays, 'J_regressor': self.sparse(arrays['J_regressor']),
                   'J': self.make('chumpy.ch.MatVecMult', mtx=None), 'bs_style': 'lbs', 'bs_type': 'lrotmin'}
        return {**wrapped, **{key: self.chumpy(arrays[key])
                              for key in ('v_template', 'shapedirs', 'posedirs', 'weights')}}


class _Python2Pickler(pickle._Pickler):
    """Writes bytes as the strings that they are in Python 2."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_bytes(self, content: bytes) -> None:
        """Write the opcode BINSTRING."""
        self.write(b'T' + struct.pack('<i', len(content)) + content)
        self.memoize(content)

    dispatch[bytes] = save_bytes


def dump(path: Path, content: Any, protocol: Optional[int] = None) -> Path:
    """Write a pickle, as Python 2 does where no protocol is given."""
    if protocol is None:
        stream = io.BytesIO()
        _Python2Pickler(stream, 2).dump(content)
        path.write_bytes(stream.getvalue())
    else:
        path.write_bytes(pickle.dumps(content, protocol))
    return path
