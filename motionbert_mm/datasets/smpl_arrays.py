"""SMPL parameters on their way into motion stores: shapes, units and what is refused."""
from __future__ import annotations

from typing import Any

import numpy as np

from motionbert_mm.datasets.pose_files import check_array
from motionbert_mm.structures.skeleton import get_skeleton

SMPL_SKELETON = 'smpl24'
NUM_SMPL_JOINTS = get_skeleton(SMPL_SKELETON).num_joints
NUM_BETAS = 10
# No axis-angle of the data sets turns more than once; degrees reach further.
MAX_ANGLE = 4 * np.pi


def read_pose(values: Any, place: str) -> np.ndarray:
    """Return the rotations (N, 24, 3) of an array (N, 72) of axis-angles in radians; NaN is left to the store.

    Raises:
        ValueError: another shape or no numbers, or angles in degrees.
    """
    pose = check_array(values, (None, 3 * NUM_SMPL_JOINTS), place).reshape(-1, NUM_SMPL_JOINTS, 3)
    largest = float(np.nanmax(np.abs(pose))) if np.isfinite(pose).any() else 0.0
    if largest > MAX_ANGLE:
        raise ValueError(f'{place} holds numbers up to {largest:.3g}, expected axis-angles in radians, below '
                         f'{MAX_ANGLE:.3g}; are they degrees?')
    return pose


def read_betas(values: Any, place: str) -> np.ndarray:
    """Return shape coefficients (N, 10); NaN is left to the store.

    Raises:
        ValueError: another shape or no numbers.
    """
    return check_array(values, (None, NUM_BETAS), place)
