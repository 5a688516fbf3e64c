"""Joints read off the skin of a posed body, as MotionBERT makes Human3.6M joints of AMASS.

A regressor gives every joint as a mean of vertices. Only vertices that it uses are posed: skinning treats each vertex
on its own, and the joints of the body, which need all vertices of the rest shape, are linear in the shape.
"""
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from motionbert_mm.io.body_files import Body
from motionbert_mm.structures.skeleton import get_skeleton

SKELETON = 'h36m'
_LIMBS = tuple(f'{side}_{joint}' for side in ('right', 'left')
               for joint in ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist'))
_LEGS, _ARMS = ('hip', 'knee', 'ankle'), ('shoulder', 'elbow', 'wrist')


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
        self._skin = _import_lbs()
        body, regressor = reduce_body(body, regressor)
        self._regressor = _tensor(regressor)
        self._arrays = dict(
            v_template=_tensor(body.template), shapedirs=_tensor(body.shape_dirs),
            posedirs=_tensor(body.pose_dirs.reshape(-1, body.pose_dirs.shape[-1]).T),
            J_regressor=_tensor(body.joint_regressor), parents=torch.from_numpy(body.parents),
            lbs_weights=_tensor(body.skin_weights))

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
            vertices, _ = self._skin(_tensor(shape[part]), _tensor(pose[part]).flatten(1), **self._arrays)
            joints = torch.einsum('nv,fvc->fnc', self._regressor, vertices)
            chunks.append(joints.numpy() + translation[part, None].astype(np.float32))
        return np.concatenate(chunks)


def reduce_body(body: Body, regressor: np.ndarray) -> tuple[Body, np.ndarray]:
    """Leave out the vertices without weight in a regressor (N, V); its result stays the same.

    The joints of the rest shape become vertices of their own, from which the new joint regressor picks them.
    """
    used = np.flatnonzero(regressor.any(axis=0))
    joints, count = body.joint_regressor, body.num_joints
    reduced = Body(
        template=np.concatenate([body.template[used], joints @ body.template]),
        shape_dirs=np.concatenate([body.shape_dirs[used], np.tensordot(joints, body.shape_dirs, axes=1)]),
        pose_dirs=np.concatenate([body.pose_dirs[used], np.zeros((count, *body.pose_dirs.shape[1:]))]),
        joint_regressor=np.concatenate([np.zeros((count, len(used))), np.eye(count)], axis=1),
        parents=body.parents,
        skin_weights=np.concatenate([body.skin_weights[used], np.zeros((count, count))]))
    return reduced, np.concatenate([regressor[:, used], np.zeros((len(regressor), count))], axis=1)


def order_regressor(regressor: np.ndarray, body: Body) -> tuple[np.ndarray, str]:
    """Bring the rows of a regressor (17, V) into Human3.6M order, if they have its sides exchanged.

    Regressors of that name come in two orders: rows 1 to 3 are the right leg in one, the left leg in the other (SPIN,
    VIBE). The rest pose tells: every hip, knee, ankle, shoulder, elbow and wrist must lie at the body's own.

    Returns:
        The regressor, and a sentence on what was exchanged or an empty one.

    Raises:
        ValueError: made for another number of vertices, or the rows are in no order that this can repair.
    """
    check_vertices(regressor, body)
    skeleton, own = get_skeleton(SKELETON), get_skeleton('smpl24')  # joints 0 to 21 are those of SMPL
    rows = [skeleton.index(joint) for joint in _LIMBS]
    places = (body.joint_regressor @ body.template)[[own.index(joint) for joint in _LIMBS]]
    distances = np.linalg.norm((regressor @ body.template)[rows][:, None] - places, axis=-1)
    found = [_LIMBS[nearest] for nearest in distances.argmin(axis=1)]
    for swapped in ((), _LEGS, _ARMS, (*_LEGS, *_ARMS)):
        order = [skeleton.flip_indices[row] if joint.partition('_')[2] in swapped else row
                 for row, joint in enumerate(skeleton.joints)]
        if [found[rows.index(order[row])] for row in rows] == list(_LIMBS):
            limbs = ' and '.join(name for name, joints in (('legs', _LEGS), ('arms', _ARMS)) if joints[0] in swapped)
            return regressor[order], (f'rows of the regressor were exchanged: it has the left and right {limbs} in '
                                      'each other\'s place' if limbs else '')
    listed = ', '.join(f'row {row} ({joint}) lies at {nearest}'
                       for row, joint, nearest in zip(rows, _LIMBS, found) if joint != nearest)
    raise ValueError(f'the regressor is not in Human3.6M order: {listed}; expected rows '
                     f'{", ".join(skeleton.joints)}')


def check_vertices(regressor: np.ndarray, body: Body) -> None:
    """Refuse a regressor of another mesh."""
    if regressor.shape[1] != len(body.template):
        raise ValueError(f'the regressor has {regressor.shape[1]} columns, the body {len(body.template)} vertices; '
                         'SMPL and SMPL+H have 6890, SMPL-X has 10475: take the regressor of this body')


def _import_lbs() -> Callable:
    """Return linear blend skinning of the smplx package."""
    try:
        from smplx.lbs import lbs
    except ImportError as error:
        raise ImportError(f'posing SMPL bodies needs the smplx package ({error}); '
                          "pip install 'motionbert_mm[smpl]'") from None
    return lbs


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))
