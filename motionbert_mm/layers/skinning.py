"""Linear blend skinning: vertices of a posed body.

The chain of joints is that of the smplx package, imported on first use. Its own ``lbs`` multiplies a matrix of 4 x 4
with every vertex of every frame, one product each, which takes most of its time, and reads the joints of the rest pose
off all vertices; here they are linear in the shape. Results are equal up to rounding.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Optional

import numpy as np
import torch
from torch import Tensor, nn

from motionbert_mm.structures.body import Body


class Skinning(nn.Module):
    """Pose a body (SMPL, Loper et al. 2015, section 3), in float32 at least, whatever autocast asks for.

    Its arrays are buffers that no checkpoint holds.

    Args:
        body: V vertices in metres, J joints, K shape coefficients.
        rows: vertices to pose; each is on its own, so that a few cost little. None is all.

    Raises:
        ImportError: the smplx package is missing.
    """

    def __init__(self, body: Body, rows: Optional[np.ndarray] = None) -> None:
        super().__init__()
        self._move_joints = _import_rigid_transform()
        # Walked by Python, so no buffer: on the CPU there is no wait for the device at each joint.
        self._parents = torch.tensor(body.parents)
        rows = slice(None) if rows is None else rows
        regressor = np.asarray(body.joint_regressor, np.float64)
        arrays = dict(
            template=body.template[rows], shape_dirs=_flat(body.shape_dirs[rows]),
            pose_dirs=_flat(body.pose_dirs[rows]), weights=body.skin_weights[rows],
            joints=regressor @ body.template, joint_dirs=_flat(np.tensordot(regressor, body.shape_dirs, axes=1)))
        for name, array in arrays.items():
            self.register_buffer(name, float_tensor(array), persistent=False)

    @property
    def num_vertices(self) -> int:
        """Number of vertices that are posed."""
        return len(self.template)

    def forward(self, rotations: Tensor, betas: Tensor) -> Tensor:
        """Return vertices (N, V, 3) in metres, in the axes of the root rotation, without translation.

        Args:
            rotations: (N, J, 3, 3) relative to the parent, the root's first.
            betas: (N, K).
        """
        dtype = torch.promote_types(rotations.dtype, torch.float32)
        with torch.autocast(rotations.device.type, enabled=False):  # half precision is off by centimetres
            rotations, betas = rotations.to(dtype).contiguous(), betas.to(dtype)
            arrays = {name: value.to(dtype) for name, value in self.named_buffers()}
            bent = (rotations[:, 1:] - torch.eye(3, dtype=dtype, device=rotations.device)).flatten(1)
            offsets = betas @ arrays['shape_dirs'] + bent @ arrays['pose_dirs']
            vertices = arrays['template'] + offsets.unflatten(1, (-1, 3))
            joints = arrays['joints'] + (betas @ arrays['joint_dirs']).unflatten(1, (-1, 3))
            _, moves = self._move_joints(rotations, joints, self._parents, dtype=dtype)
            moves = (arrays['weights'] @ moves[:, :, :3].flatten(2)).unflatten(-1, (3, 4))  # (N, V, 3, 4)
            return (moves[..., :3] * vertices.unsqueeze(-2)).sum(dim=-1) + moves[..., 3]


def float_tensor(array: np.ndarray) -> Tensor:
    """Copy an array into a float32 tensor."""
    return torch.from_numpy(np.array(array, np.float32, order='C'))


def _flat(directions: np.ndarray) -> np.ndarray:
    """Turn directions (V, 3, K) into rows (K, 3 * V)."""
    return directions.reshape(-1, directions.shape[-1]).T


def _import_rigid_transform() -> Callable:
    """Return the chain of joints of the smplx package."""
    try:
        from smplx.lbs import batch_rigid_transform
    except ImportError as error:
        raise ImportError(f'posing SMPL bodies needs the smplx package ({error}); '
                          "pip install 'motionbert_mm[smpl]'") from None
    return batch_rigid_transform
