"""Bones of the people that this package makes up: proportions of an adult, and coefficients that change them.

Body axes are those of SMPL: x to the person's left, y up, z forward; at rest the arms are stretched out sideways.
"""
from __future__ import annotations

import numpy as np

from motionbert_mm.structures.skeleton import get_skeleton

SMPL = get_skeleton('smpl24')
MEAN_STATURE = 1705.0  # mm
# Rest offsets from the parent joint as shares of the stature, left side only; round numbers from
# anthropometry (thigh .245, shank .246, upper arm .17, forearm .147, shoulder height .82 of the stature).
REST_OFFSETS = {
    'left_hip': (.056, -.030, .0), 'left_knee': (.0, -.245, .0), 'left_ankle': (.0, -.246, .0),
    'left_foot': (.0, -.033, .076), 'spine1': (.0, .045, .0), 'spine2': (.0, .050, .0),
    'spine3': (.0, .070, .0), 'neck': (.0, .080, .0), 'left_collar': (.0, .080, .0), 'head': (.0, .068, .022),
    'left_shoulder': (.096, -.008, .0), 'left_elbow': (.168, .0, .0), 'left_wrist': (.147, .0, .0),
    'left_hand': (.050, .0, .0)}
HEAD_TOP = (.0, .080, -.012)  # in the axes of the head joint
MIRROR = np.diag([-1.0, 1.0, 1.0])  # left and right in body axes
# Human3.6M joint <- joint of SMPL; the root is the middle of the hips, the head is a point of the skull.
H36M_SOURCES = (0, 2, 5, 8, 1, 4, 7, 6, 12, 15, 15, 16, 18, 20, 17, 19, 21)

# The bones that end in these joints are what each shape coefficient lengthens, on both sides.
SHAPES = {
    'hips': ('left_hip',), 'thigh': ('left_knee',), 'shank': ('left_ankle',), 'foot': ('left_foot',),
    'spine': ('spine1', 'spine2', 'spine3'), 'neck': ('neck', 'left_collar'), 'head': ('head', 'head_top'),
    'shoulders': ('left_shoulder',), 'upper_arm': ('left_elbow',), 'forearm': ('left_wrist', 'left_hand')}
UNIT = 0.05  # share of its mean length by which one unit lengthens a bone; people then differ by about one unit
# The 24 joints and the top of the head.
POINTS = (*SMPL.joints, 'head_top')
_PARENTS = (*SMPL.parents, SMPL.index('head'))


def mean_offsets() -> np.ndarray:
    """Return the points (25, 3) relative to their parents of the person of mean stature, mm."""
    offsets = np.zeros((len(POINTS), 3))
    for joint, share in (*REST_OFFSETS.items(), ('head_top', HEAD_TOP)):
        offsets[POINTS.index(joint)] = np.array(share) * MEAN_STATURE
        if joint.startswith('left_'):
            offsets[POINTS.index(joint.replace('left_', 'right_'))] = MIRROR @ offsets[POINTS.index(joint)]
    return offsets


def offset_dirs() -> np.ndarray:
    """Return by how much each shape coefficient changes these offsets: (25, 3, 10) mm per unit."""
    offsets, directions = mean_offsets(), np.zeros((len(POINTS), 3, len(SHAPES)))
    for number, joints in enumerate(SHAPES.values()):
        for joint in {*joints, *(name.replace('left_', 'right_') for name in joints)}:
            directions[POINTS.index(joint), :, number] = UNIT * offsets[POINTS.index(joint)]
    return directions


def place(offsets: np.ndarray) -> np.ndarray:
    """Add up offsets (25, ...) from the root to each point; the root keeps its own."""
    places = offsets.copy()
    for point, parent in enumerate(_PARENTS):
        if parent >= 0:
            places[point] += places[parent]
    return places


def fit_betas(offsets: np.ndarray, head_top: np.ndarray) -> np.ndarray:
    """Return the shape coefficients (10,) that come closest to the bones of a person, by least squares.

    Args:
        offsets: (24, 3) mm, rest position of every SMPL joint relative to its parent.
        head_top: (3,) mm, relative to the head joint.
    """
    change = np.concatenate([offsets, head_top[None]]) - mean_offsets()
    return np.linalg.lstsq(offset_dirs().reshape(-1, len(SHAPES)), change.reshape(-1), rcond=None)[0]
