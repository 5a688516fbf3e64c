"""Read the body models SMPL, SMPL+H and SMPL-X, their DMPLs, regressors and mean parameters, as plain arrays.

The files are read here and not by the ``smplx`` package, which opens them with pickle enabled, cuts SMPL+H to 10 shape
coefficients and, without MANO's hand components, refuses the SMPL+H that AMASS was made with.
"""
from __future__ import annotations

from pathlib import Path
from typing import Optional, Union

import numpy as np

from motionbert_mm.io import chumpy_pickles
from motionbert_mm.io.plain_files import read_npy, read_npz
from motionbert_mm.structures.body import Body

# Number of joints and file names, as AMASS and as smplx lay them out; smplx adds a folder named for the model.
BODY_KINDS = {'smpl': 24, 'smplh': 52, 'smplx': 55}
GENDERS = ('male', 'female', 'neutral')
_LAYOUTS = ('{gender}/model.npz', '{KIND}_{GENDER}.npz', '{kind}/{KIND}_{GENDER}.npz', '{kind}/{gender}/model.npz',
            '{KIND}_{GENDER}.pkl', '{kind}/{KIND}_{GENDER}.pkl')
# Names in the downloads of SMPL and of SMPLify, and the folder that the former unpacks to.
_SMPL_LAYOUTS = tuple(f'{folder}{name}_{{letter}}_lbs_10_207_0_v{version}.pkl' for folder in ('', 'smpl/models/')
                      for name in ('basicmodel', 'basicModel') for version in ('1.1.0', '1.0.0'))
_LETTERS = {'male': 'm', 'female': 'f', 'neutral': 'neutral'}
_SOURCES = {'smpl': 'SMPL is free for research: register at https://smpl.is.tue.mpg.de, download it, and put its file '
                    'there (docs/mesh.md)'}
_KEYS = ('v_template', 'shapedirs', 'posedirs', 'J_regressor', 'kintree_table', 'weights')
# SMPL-X keeps coefficients of the face behind those of the shape: total -> shape. Source: smplx, class SMPLX.
_SMPLX_SHAPES = {20: 10, 400: 300}
_MEAN_SIZES = {'pose': 144, 'shape': 10}
# A regressor's rows are means of vertices.
_ROW_SUM_TOLERANCE = 0.01
DOWNLOAD = 'download it again'


def find_body(folder: Union[str, Path], kind: str, gender: str) -> Path:
    """Return the file of a body model, or raise a FileNotFoundError that lists where it was looked for."""
    layouts = (*_LAYOUTS, *_SMPL_LAYOUTS) if kind == 'smpl' else _LAYOUTS
    names = [layout.format(kind=kind, KIND=kind.upper(), gender=gender, GENDER=gender.upper(), letter=_LETTERS[gender])
             for layout in layouts]
    for name in names:
        if (Path(folder) / name).is_file():
            return Path(folder) / name
    raise FileNotFoundError(f'{folder} has no {kind} body of gender {gender!r}; expected one of {", ".join(names)} '
                            f'({_SOURCES.get(kind, "docs/data.md says where to get it")})')


def read_body(path: Union[str, Path], kind: str, num_betas: int, dmpls: Optional[np.ndarray] = None) -> Body:
    """Read a body model.

    Args:
        path: .npz, or a .pkl, whose arrays may be wrapped in objects of chumpy and scipy.
        kind: a key of ``BODY_KINDS``.
        num_betas: shape coefficients to keep.
        dmpls: (V, 3, D) from ``read_dmpls``, appended to the shape coefficients.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a torn file, missing arrays, shapes that contradict each other, too few coefficients.
    """
    arrays = read_body_arrays(path, kind)
    faces = _checked_faces(path, arrays.pop('f'), len(arrays['v_template'])) if 'f' in arrays else None
    arrays = {key: np.asarray(array, np.float64) for key, array in arrays.items()}
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
    if not all(0 <= parent < joint for joint, parent in enumerate(parents[1:], start=1)):
        raise ValueError(f'{path}: kintree_table lists the parents {parents.tolist()}; each joint must come after its '
                         f'parent; {DOWNLOAD}')
    return Body(arrays['v_template'], shape_dirs, arrays['posedirs'], arrays['J_regressor'], parents,
                arrays['weights'], faces)


def read_body_arrays(path: Union[str, Path], kind: str) -> dict[str, np.ndarray]:
    """Read the arrays of a body model by the names in its file; ``f``, the faces, may be missing.

    Args:
        path: .npz, or a .pkl, whose arrays may be wrapped in objects of chumpy and scipy.
        kind: a key of ``BODY_KINDS``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a torn file, missing arrays, no numbers.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path}: no such file, expected a {kind} body model; {_SOURCES.get(kind, DOWNLOAD)}')
    if str(path).endswith('.pkl'):
        arrays = chumpy_pickles.load(path, (*_KEYS, 'f'))
    else:
        arrays = read_npz(path, DOWNLOAD, required=_KEYS, optional=('f',))
    missing = [key for key in _KEYS if key not in arrays]
    if missing:
        raise ValueError(f'{path} lacks {", ".join(missing)}; expected a body model')
    for key, array in arrays.items():
        if array.dtype.kind not in 'biuf' or not np.isfinite(array).all():
            raise ValueError(f'{path}: {key} has dtype {array.dtype} or holds NaN or infinity, expected numbers; '
                             f'{DOWNLOAD}')
    return arrays


def _checked_faces(path: Union[str, Path], faces: np.ndarray, vertices: int) -> np.ndarray:
    """Return faces as (F, 3) int64, or raise a ValueError."""
    is_table = faces.ndim == 2 and faces.shape[1] == 3 and faces.dtype.kind in 'iu'
    if not is_table or not ((faces >= 0) & (faces < vertices)).all():
        raise ValueError(f'{path}: f has shape {faces.shape} of {faces.dtype}, expected (F, 3) numbers of its '
                         f'{vertices} vertices; {DOWNLOAD}')
    return faces.astype(np.int64)


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


def read_mean_params(path: Union[str, Path]) -> tuple[np.ndarray, np.ndarray]:
    """Read the mean pose (144,), six numbers per joint, and the mean shape coefficients (10,) of SMPL from an .npz.

    Raises:
        FileNotFoundError: no such file.
        ValueError: torn, missing arrays, other sizes, NaN.
    """
    arrays = read_npz(path, 'take smpl_mean_params.npz (docs/mesh.md)', required=tuple(_MEAN_SIZES), optional=())
    for key, size in _MEAN_SIZES.items():
        if arrays[key].size != size or arrays[key].dtype.kind not in 'fiu' or not np.isfinite(arrays[key]).all():
            raise ValueError(f'{path}: {key} has shape {arrays[key].shape} of {arrays[key].dtype} or holds NaN, '
                             f'expected {size} numbers; take smpl_mean_params.npz (docs/mesh.md)')
    pose, shape = (arrays[key].reshape(-1).astype(np.float64) for key in _MEAN_SIZES)
    return pose, shape
