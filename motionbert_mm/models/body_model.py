"""SMPL, or the synthetic body in its place: rotations and shape coefficients to vertices, vertices to joints."""
from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Optional, Union

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from motionbert_mm.geometry.rotation import matrix_to_rotation_6d
from motionbert_mm.io.body_files import find_body, read_body, read_mean_params, read_regressor
from motionbert_mm.layers.skinning import Skinning, float_tensor
from motionbert_mm.structures.body import REGRESSED, Body, check_vertices, order_regressor
from motionbert_mm.structures.skeleton import get_skeleton
from motionbert_mm.structures.synthetic_body import synthetic_body, synthetic_regressor

SYNTHETIC = 'synthetic'
NUM_JOINTS, NUM_BETAS = 24, 10
MM_PER_METRE = 1000.0


class BodyModel(nn.Module):
    """A body of 24 SMPL joints and 10 shape coefficients, by linear blend skinning.

    Nothing of it enters a checkpoint: all arrays are non-persistent buffers, without gradient.

    Args:
        path: 'synthetic', or a file of SMPL (.npz or .pkl), or a folder with the neutral one in a known layout.
        regressor: .npy (17, V) of Human3.6M joints; needed for a file, its rows may have the sides exchanged.
        mean_params: .npz with ``pose`` (144,), six numbers per joint, and ``shape`` (10,). Without it the mean is the
            rest pose, upright in a camera whose y points down, of mean shape.

    Raises:
        FileNotFoundError: no such file; the message says where to get it.
        ImportError: the smplx package is missing.
        ValueError: a file that is torn or of another body, or arguments that contradict each other.
    """

    def __init__(self, path: Union[str, Path], regressor: Optional[Union[str, Path]] = None,
                 mean_params: Optional[Union[str, Path]] = None) -> None:
        super().__init__()
        if str(path) == SYNTHETIC:
            if regressor is not None:
                raise ValueError(f"body_model: path='synthetic' brings its own regressor, got regressor={regressor!r}; "
                                 'leave it out, or give the path of an SMPL file')
            body, rows = synthetic_body(), synthetic_regressor()
        else:
            body, rows = _read(path, regressor)
        mean = (None, None) if mean_params is None else read_mean_params(mean_params)
        self._hold(body, rows, *mean)

    @classmethod
    def from_body(cls, body: Body, regressor: np.ndarray, mean_pose: Optional[np.ndarray] = None,
                  mean_betas: Optional[np.ndarray] = None) -> BodyModel:
        """Make the model of a body in memory.

        Args:
            body: 24 joints, at least 10 shape coefficients of which the first 10 are used.
            regressor: (17, V), rows in Human3.6M order.
            mean_pose: (144,) six numbers per joint, see ``rotation_6d_to_matrix``.
            mean_betas: (10,).
        """
        model = cls.__new__(cls)
        nn.Module.__init__(model)
        model._hold(body, regressor, mean_pose, mean_betas)
        return model

    def _hold(self, body: Body, regressor: np.ndarray, mean_pose: Optional[np.ndarray],
              mean_betas: Optional[np.ndarray]) -> None:
        """Keep the arrays, in metres as the files have them."""
        if body.num_joints != NUM_JOINTS or body.shape_dirs.shape[-1] < NUM_BETAS:
            raise ValueError(f'the body has {body.num_joints} joints and {body.shape_dirs.shape[-1]} shape '
                             f'coefficients, expected {NUM_JOINTS} and at least {NUM_BETAS}: take SMPL')
        check_vertices(regressor, body)
        body = replace(body, shape_dirs=body.shape_dirs[..., :NUM_BETAS])
        used = np.flatnonzero(regressor.any(axis=0))
        self._faces, self.skin, self.joint_skin = body.faces, Skinning(body), Skinning(body, used)
        arrays = dict(regressor=regressor, joint_regressor=regressor[:, used],
                      mean_pose=_rest_pose() if mean_pose is None else mean_pose,
                      mean_betas=np.zeros(NUM_BETAS) if mean_betas is None else mean_betas)
        for name, array in arrays.items():
            self.register_buffer(name, float_tensor(array), persistent=False)

    @property
    def num_vertices(self) -> int:
        """Number of vertices V."""
        return self.skin.num_vertices

    @property
    def faces(self) -> np.ndarray:
        """Vertices of each triangle (F, 3), anticlockwise as seen from outside."""
        if self._faces is None:
            raise ValueError('the body was read without faces; take a file with the array "f"')
        return self._faces

    def forward(self, rotations: Tensor, betas: Tensor) -> Tensor:
        """Return vertices (N, V, 3) in mm, in the axes of the root rotation, without translation.

        Args:
            rotations: (N, 24, 3, 3) relative to the parent, the root's first.
            betas: (N, 10).

        Raises:
            ValueError: other shapes.
        """
        _check_shapes(rotations, betas)
        return self.skin(rotations, betas) * MM_PER_METRE

    def joints(self, vertices: Tensor) -> Tensor:
        """Regress Human3.6M joints (..., 17, 3) from vertices (..., V, 3), in their unit."""
        return _regress(self.regressor, vertices)

    def pose_joints(self, rotations: Tensor, betas: Tensor) -> Tensor:
        """Return the joints (N, 17, 3) in mm of ``forward``; cheap, because few vertices count for them."""
        _check_shapes(rotations, betas)
        return _regress(self.joint_regressor, self.joint_skin(rotations, betas)) * MM_PER_METRE


def _check_shapes(rotations: Tensor, betas: Tensor) -> None:
    expected = (len(rotations), NUM_JOINTS, 3, 3), (len(rotations), NUM_BETAS)
    if (tuple(rotations.shape), tuple(betas.shape)) != expected:
        raise ValueError(f'rotations have shape {tuple(rotations.shape)} and betas {tuple(betas.shape)}, expected '
                         f'(N, {NUM_JOINTS}, 3, 3) and (N, {NUM_BETAS})')


def _regress(regressor: Tensor, vertices: Tensor) -> Tensor:
    """Take means of vertices, in float32 at least."""
    dtype = torch.promote_types(vertices.dtype, torch.float32)
    with torch.autocast(vertices.device.type, enabled=False):
        return regressor.to(dtype) @ vertices.to(dtype)


def _read(path: Union[str, Path], regressor: Optional[Union[str, Path]]) -> tuple[Body, np.ndarray]:
    """Read SMPL and its regressor, rows in Human3.6M order."""
    if regressor is None:
        raise ValueError(f'body_model: {path} needs regressor=..., the .npy (17, V) of Human3.6M joints, e.g. '
                         'J_regressor_h36m_correct.npy of MotionBERT (docs/mesh.md)')
    file = find_body(path, 'smpl', 'neutral') if Path(path).is_dir() else Path(path)
    body = read_body(file, 'smpl', NUM_BETAS)
    rows, note = order_regressor(read_regressor(regressor, get_skeleton(REGRESSED).num_joints), body)
    if note:
        print_log(f'{regressor}: {note}', logger='current', level=logging.WARNING)
    return body, rows


def _rest_pose() -> np.ndarray:
    """Return six numbers per joint (144,) of the rest pose, upright where y points down."""
    rotations = np.tile(np.eye(3), (NUM_JOINTS, 1, 1))
    rotations[0] = np.diag([1.0, -1.0, -1.0])
    return matrix_to_rotation_6d(rotations).reshape(-1)
