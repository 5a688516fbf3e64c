"""A skinned body of the SMPL family as plain arrays, and the order of the rows of its Human3.6M regressor."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from motionbert_mm.structures.skeleton import get_skeleton

REGRESSED = 'h36m'  # skeleton of the joints that a regressor (17, V) makes of vertices
_LIMBS = tuple(f'{side}_{joint}' for side in ('right', 'left')
               for joint in ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist'))
_LEGS, _ARMS = ('hip', 'knee', 'ankle'), ('shoulder', 'elbow', 'wrist')


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
        faces: (F, 3) vertices of each triangle, anticlockwise as seen from outside; None where nobody draws the body.
    """

    template: np.ndarray
    shape_dirs: np.ndarray
    pose_dirs: np.ndarray
    joint_regressor: np.ndarray
    parents: np.ndarray
    skin_weights: np.ndarray
    faces: Optional[np.ndarray] = None

    @property
    def num_joints(self) -> int:
        """Number of joints J."""
        return len(self.parents)


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
    skeleton, own = get_skeleton(REGRESSED), get_skeleton('smpl24')  # joints 0 to 21 are those of SMPL
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
