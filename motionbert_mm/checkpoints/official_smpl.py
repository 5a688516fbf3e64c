"""SMPL as the official MotionBERT code saves it with its mesh weights, made of the licensed files."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Union

import numpy as np
import torch
from torch import Tensor

from motionbert_mm.io.body_files import find_body, read_body, read_regressor
from motionbert_mm.layers.skinning import float_tensor
from motionbert_mm.structures.body import REGRESSED, Body, check_vertices
from motionbert_mm.structures.skeleton import get_skeleton

# Official: names in data/mesh, and the rows of the second.
REGRESSOR, EXTRA_REGRESSOR, NUM_EXTRA = 'J_regressor_h36m_correct.npy', 'J_regressor_extra.npy', 9
NUM_BETAS = 10
BODY_SUFFIXES = ('.npz', '.pkl')
# Official: parameters of the smplx package that the model passes by; lib/model/model_mesh.py gives them 64 rows.
UNUSED = dict(betas=NUM_BETAS, global_orient=3, body_pose=69)
UNUSED_ROWS = 64


def body_files(place: Union[str, os.PathLike]) -> dict:
    """Return the arguments of ``BodyModel`` for files under their official names, which need not exist.

    Args:
        place: the folder that holds the neutral SMPL and ``J_regressor_h36m_correct.npy``, or the former's path in it.
    """
    return dict(path=os.fspath(place), regressor=(_folder(place) / REGRESSOR).as_posix())


def official_smpl(place: Union[str, os.PathLike]) -> dict[str, Tensor]:
    """Return the state dict of SMPL in lib/utils/utils_smpl.py, as of smplx 0.1.28.

    Args:
        place: the folder that holds the neutral SMPL, ``J_regressor_h36m_correct.npy`` and ``J_regressor_extra.npy``,
            as the official ``data/mesh``, or the path of the first in it.

    Raises:
        FileNotFoundError, ValueError: a file is missing or torn, or of another body.
        ImportError: the smplx package is missing.
    """
    folder = _folder(place)
    body = read_body(find_body(folder, 'smpl', 'neutral') if folder == Path(place) else place, 'smpl', NUM_BETAS)
    arrays = {'shapedirs': float_tensor(body.shape_dirs),
              'faces_tensor': torch.from_numpy(np.array(body.faces, np.int64)),
              'v_template': float_tensor(body.template), 'J_regressor': float_tensor(body.joint_regressor),
              'posedirs': float_tensor(body.pose_dirs.reshape(-1, body.pose_dirs.shape[-1]).T),
              'parents': torch.tensor(body.parents), 'lbs_weights': float_tensor(body.skin_weights),
              'J_regressor_extra': _regressor(folder, EXTRA_REGRESSOR, NUM_EXTRA, body),
              'J_regressor_h36m': _regressor(folder, REGRESSOR, get_skeleton(REGRESSED).num_joints, body),
              'vertex_joint_selector.extra_joints_idxs': _extra_vertices()}
    unused = {name: torch.zeros(UNUSED_ROWS, width) for name, width in UNUSED.items()}
    return {**unused, **arrays}


def _folder(place: Union[str, os.PathLike]) -> Path:
    place = Path(place)
    return place.parent if place.suffix in BODY_SUFFIXES else place


def _regressor(folder: Path, name: str, num_joints: int, body: Body) -> Tensor:
    regressor = read_regressor(folder / name, num_joints)
    check_vertices(regressor, body)
    return float_tensor(regressor)


def _extra_vertices() -> Tensor:
    """Return the vertices that smplx takes for joints of face, feet and hands."""
    try:
        from smplx.vertex_ids import vertex_ids
        from smplx.vertex_joint_selector import VertexJointSelector
    except ImportError as error:
        raise ImportError(f'the layout of SMPL in official checkpoints is that of the smplx package ({error}); '
                          "pip install 'motionbert_mm[smpl]'") from None
    return VertexJointSelector(vertex_ids=vertex_ids['smplh']).extra_joints_idxs
