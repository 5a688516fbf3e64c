"""Joints read off the skin of a posed body, as MotionBERT makes Human3.6M joints of AMASS.

A regressor gives every joint as a mean of vertices. Only vertices that it uses are posed: skinning treats each vertex
on its own, and the joints of the body, which need all vertices of the rest shape, are linear in the shape.
"""
from __future__ import annotations

import numpy as np
import torch

from motionbert_mm.geometry.rotation import axis_angle_to_matrix
from motionbert_mm.layers.skinning import Skinning, float_tensor
from motionbert_mm.structures.body import Body, check_vertices


class RegressedJoints:
    """Pose a body and regress its joints, a chunk of frames at a time.

    Args:
        body: the body.
        regressor: (N, V) joints as means of its vertices.
        batch_frames: frames per chunk; bounds the memory.

    Raises:
        ImportError: the smplx package is missing.
        ValueError: the regressor was made for another number of vertices.
    """

    def __init__(self, body: Body, regressor: np.ndarray, *, batch_frames: int = 512) -> None:
        check_vertices(regressor, body)
        self.num_joints, self.num_shapes = body.num_joints, body.shape_dirs.shape[-1]
        self.batch_frames = batch_frames
        used = np.flatnonzero(regressor.any(axis=0))
        self._regressor, self._skin = float_tensor(regressor[:, used]), Skinning(body, used)

    @torch.inference_mode()
    def __call__(self, pose: np.ndarray, shape: np.ndarray, translation: np.ndarray) -> np.ndarray:
        """Return joints (F, N, 3) in metres, in the world of the translation.

        Args:
            pose: (F, J, 3) axis-angle of the body's joints, radians.
            shape: (F, K) shape coefficients, DMPL coefficients last.
            translation: (F, 3) metres.
        """
        chunks = []
        for start in range(0, len(pose), self.batch_frames):
            part = slice(start, start + self.batch_frames)
            rotations = axis_angle_to_matrix(float_tensor(pose[part]))
            vertices = self._skin(rotations, float_tensor(shape[part]))
            joints = torch.einsum('nv,fvc->fnc', self._regressor, vertices)
            chunks.append(joints.numpy() + translation[part, None].astype(np.float32))
        return np.concatenate(chunks)
