"""Read the body models SMPL+H and SMPL-X, their DMPLs and joint regressors, as plain arrays.

The files are read here and not by the ``smplx`` package, which opens them with pickle enabled, cuts SMPL+H to 10 shape
coefficients and, without MANO's hand components, refuses the SMPL+H that AMASS was made with.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from motionbert_mm.io import safe_pickle
from motionbert_mm.io.plain_files import read_npy, read_npz

# Number of joints and file names, as AMASS and as smplx lay them out; smplx adds a folder named for the model.
BODY_KINDS = {'smplh': 52, 'smplx': 55}
GENDERS = ('male', 'female', 'neutral')
_LAYOUTS = ('{gender}/model.npz', '{KIND}_{GENDER}.npz', '{kind}/{KIND}_{GENDER}.npz', '{kind}/{gender}/model.npz',
            '{KIND}_{GENDER}.pkl', '{kind}/{KIND}_{GENDER}.pkl')
_KEYS = ('v_template', 'shapedirs', 'posedirs', 'J_regressor', 'kintree_table', 'weights')
# SMPL-X keeps coefficients of the face behind those of the shape: total -> shape. Source: smplx, class SMPLX.
_SMPLX_SHAPES = {20: 10, 400: 300}
# A regressor's rows are means of vertices.
_ROW_SUM_TOLERANCE = 0.01
DOWNLOAD = 'download it again'


@dataclass(frozen=True)
class Body:
    """A skinned body of V vertices and J joints in its rest pose.

    Attributes:
        template: (V, 3) metres.
        shape_dirs: (V, 3, K) metres per shape coefficient; DMPL coefficients, where wanted, come last.
        pose_dirs: (V, 3, 9 * (J - 1)) metres per entry of the rotation matrices minus identity.
        joint_regressor: (J, V) joints as means of vertices.
        parents: (J,) parent of each joint, -1 for the root.
        skin_weights: (V, J).
    """

    template: np.ndarray
    shape_dirs: np.ndarray
    pose_dirs: np.ndarray
    joint_regressor: np.ndarray
    parents: np.ndarray
    skin_weights: np.ndarray

    @property
    def num_joints(self) -> int:
        """Number of joints J."""
        return len(self.parents)


def find_body(folder: Union[str, Path], kind: str, gender: str) -> Path:
    """Return the file of a body model, or raise a FileNotFoundError that lists where it was looked for."""
    names = [layout.format(kind=kind, KIND=kind.upper(), gender=gender, GENDER=gender.upper()) for layout in _LAYOUTS]
    for name in names:
        if (Path(folder) / name).is_file():
            return Path(folder) / name
    raise FileNotFoundError(f'{folder} has no {kind} body of gender {gender!r}; expected one of {", ".join(names)} '
                            '(docs/data.md says where to get it)')


def read_body(path: Union[str, Path], kind: str, num_betas: int, dmpls: Optional[np.ndarray] = None) -> Body:
    """Read a body model.

    Args:
        path: .npz, or a .pkl of plain arrays.
        kind: a key of ``BODY_KINDS``.
        num_betas: shape coefficients to keep.
        dmpls: (V, 3, D) from ``read_dmpls``, appended to the shape coefficients.

    Raises:
        ValueError: a torn file, missing arrays, shapes that contradict each other, too few coefficients.
    """
    arrays = _read_pickle(path) if str(path).endswith('.pkl') else read_npz(path, DOWNLOAD, required=_KEYS, optional=())
    arrays = {key: np.asarray(arrays[key], np.float64) for key in _KEYS}
    vertices, joints = len(arrays['v_template']), BODY_KINDS[kind]
    expected = {'v_template': (vertices, 3), 'shapedirs': (vertices, 3, None),
                'posedirs': (vertices, 3, 9 * (joints - 1)), 'J_regressor': (joints, vertices),
                'kintree_table': (2, joints), 'weights': (vertices, joints)}
    for key, shape in expected.items():
        got = arrays[key].shape
        if len(got) != len(shape) or any(size not in (None, found) for size, found in zip(shape, got)):
            raise ValueError(f'{path}: {key} has shape {got}, a {kind} body of {vertices} vertices has {shape}; '
                             'is it another body model?')
    shape_dirs = arrays['shapedirs']
    if kind == 'smplx':
        shape_dirs = shape_dirs[..., :_SMPLX_SHAPES.get(shape_dirs.shape[-1])]
    if shape_dirs.shape[-1] < num_betas:
        raise ValueError(f'{path} has {shape_dirs.shape[-1]} shape coefficients, {num_betas} are wanted; take the '
                         'extended model, or ask for fewer (--num-betas)')
    shape_dirs = shape_dirs[..., :num_betas]
    if dmpls is not None:
        if len(dmpls) != vertices:
            raise ValueError(f'{path} has {vertices} vertices, the DMPLs have {len(dmpls)}; they go with SMPL and '
                             'SMPL+H only')
        shape_dirs = np.concatenate([shape_dirs, dmpls], axis=-1)
    parents = arrays['kintree_table'][0].astype(np.int64)
    parents[0] = -1  # files write 2 ** 32 - 1
    return Body(arrays['v_template'], shape_dirs, arrays['posedirs'], arrays['J_regressor'], parents,
                arrays['weights'])


def read_dmpls(folder: Union[str, Path], gender: str, num_dmpls: int) -> np.ndarray:
    """Read the soft-tissue directions (V, 3, num_dmpls) of a gender.

    Raises:
        FileNotFoundError, ValueError: no such file, torn, or too few directions.
    """
    path = Path(folder) / gender / 'model.npz'
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist; expected the DMPLs of gender {gender!r}')
    directions = np.asarray(read_npz(path, DOWNLOAD, required=('eigvec',), optional=())['eigvec'], np.float64)
    if directions.ndim != 3 or directions.shape[1] != 3 or directions.shape[-1] < num_dmpls:
        raise ValueError(f'{path}: eigvec has shape {directions.shape}, expected (V, 3, {num_dmpls} or more)')
    return directions[..., :num_dmpls]


def read_regressor(path: Union[str, Path], num_joints: int) -> np.ndarray:
    """Read a joint regressor (num_joints, V) from an .npy.

    Raises:
        FileNotFoundError: no such file.
        ValueError: torn, another shape, or rows that are no means of vertices.
    """
    regressor = read_npy(path, f'save the joint regressor as a dense array ({num_joints}, V)')
    if regressor.dtype.kind not in 'fiu':
        raise ValueError(f'{path} has dtype {regressor.dtype}, expected numbers')
    regressor = regressor.astype(np.float64)
    if regressor.ndim != 2 or len(regressor) != num_joints:
        raise ValueError(f'{path} has shape {regressor.shape}, expected ({num_joints}, V): one row for each joint')
    sums = regressor.sum(axis=1)
    if not np.abs(sums - 1).max() < _ROW_SUM_TOLERANCE:
        worst = int(np.abs(sums - 1).argmax())
        raise ValueError(f'{path}: row {worst} sums to {sums[worst]:.3g}; each row must be a mean of vertices, sum 1')
    return regressor


def _read_pickle(path: Union[str, Path]) -> Mapping[str, Any]:
    """Read a body model from a pickle of plain arrays."""
    try:
        content = safe_pickle.load(path)
    except safe_pickle.UnsafePickleError as error:
        raise ValueError(f'{error}. Body models of chumpy or scipy objects are not read; take the .npz of the same '
                         'model (docs/data.md)') from None
    missing = [key for key in _KEYS if key not in content] if isinstance(content, dict) else _KEYS
    if missing:
        raise ValueError(f'{path} lacks {", ".join(missing)}; expected a body model')
    return content
