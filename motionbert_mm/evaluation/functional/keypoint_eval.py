"""Errors between predicted and true joint positions, one value per frame.

Points are (..., J, C) in any unit, millimetres in this package; ``...`` are frames, or clips and frames. The functions
compare what they get: subtract the root first (Human3.6M protocol 1). They compute in float64.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional

import numpy as np

from motionbert_mm.geometry.alignment import procrustes_align, scale_align
from motionbert_mm.structures.skeleton import get_skeleton

# Millimetres. Official MPI-INF-3DHP: 0:5:150, with 0, which no error is below: a perfect prediction has AUC 96.77.
AUC_THRESHOLDS = np.arange(31) * 5.0

# The joints that the official MPI-INF-3DHP evaluation scores, of skeleton mpi_inf_3dhp17, in its table's columns;
# pelvis, spine and head are left out. Official: mpii_get_pck_auc_joint_groups.m.
MPI_INF_3DHP_GROUPS = {
    'head': ('head_top',),
    'neck': ('neck',),
    'shoulders': ('right_shoulder', 'left_shoulder'),
    'elbows': ('right_elbow', 'left_elbow'),
    'wrists': ('right_wrist', 'left_wrist'),
    'hips': ('right_hip', 'left_hip'),
    'knees': ('right_knee', 'left_knee'),
    'ankles': ('right_ankle', 'left_ankle'),
}


def joint_errors(pred: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Measure the distance of every joint.

    Args:
        pred: (..., J, C).
        target: (..., J, C).

    Returns:
        (..., J) distances in the unit of the points.

    Raises:
        ValueError: shapes that differ.
    """
    pred, target = _pair(pred, target)
    return np.linalg.norm(pred - target, axis=-1)


def mpjpe(pred: np.ndarray, target: np.ndarray, weight: Optional[np.ndarray] = None) -> np.ndarray:
    """Average the joint distances of each frame (mean per-joint position error).

    Args:
        pred: (..., J, C).
        target: (..., J, C).
        weight: (..., J) factors of the distances (MPM's wmpjpe; the mean is not divided by their sum), or None.

    Returns:
        (...) in the unit of the points.
    """
    errors = joint_errors(pred, target)
    return (errors if weight is None else errors * weight).mean(axis=-1)


def complete(pred: np.ndarray, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Put predicted joints where some were hidden into the truth of the others, as MPM's completion is scored.

    Args:
        pred: (..., J, C).
        target: (..., J, C).
        mask: (..., J) bool, True = hidden.

    Returns:
        (..., J, C); its :func:`mpjpe` is the error of the hidden joints divided by all J.
    """
    pred, target = _pair(pred, target)
    return np.where(mask[..., None], pred, target)


def p_mpjpe(pred: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Average the joint distances after aligning each frame by scale, rotation and translation (protocol 2).

    Arguments and result as in :func:`mpjpe`. The rotation is proper: a mirrored pose stays mirrored.
    """
    pred, target = _pair(pred, target)
    return mpjpe(procrustes_align(pred, target), target)


def n_mpjpe(pred: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Average the joint distances after the best scale of each predicted frame about the origin (protocol 3).

    Arguments and result as in :func:`mpjpe`.
    """
    pred, target = _pair(pred, target)
    return mpjpe(scale_align(pred, target), target)


def mpjve(pred: np.ndarray, target: np.ndarray, fps: Optional[float] = None) -> np.ndarray:
    """Average the distances between joint velocities (mean per-joint velocity error).

    Args:
        pred: (..., T, J, C), consecutive frames.
        target: (..., T, J, C).
        fps: frames per second; None measures per frame.

    Returns:
        (..., T - 1), entry t between frames t and t + 1; mm per frame, or mm/s with ``fps``. Empty for one frame.
    """
    pred, target = _pair(pred, target)
    errors = mpjpe(np.diff(pred, axis=-3), np.diff(target, axis=-3))
    return errors if fps is None else errors * fps


def acceleration_error(pred: np.ndarray, target: np.ndarray, fps: Optional[float] = None) -> np.ndarray:
    """Average the distances between joint accelerations.

    Args:
        pred: (..., T, J, C), consecutive frames.
        target: (..., T, J, C).
        fps: frames per second; None measures per frame.

    Returns:
        (..., T - 2), entry t around frame t + 1; mm per frame squared, or mm/s^2 with ``fps``. Empty for two frames.
    """
    pred, target = _pair(pred, target)
    errors = mpjpe(np.diff(pred, n=2, axis=-3), np.diff(target, n=2, axis=-3))
    return errors if fps is None else errors * fps ** 2


def pck(pred: np.ndarray, target: np.ndarray, threshold: float = 150.0) -> np.ndarray:
    """Count the joints that are nearer than ``threshold`` (strictly, as the official 3DHP evaluation).

    Args:
        pred: (..., J, C).
        target: (..., J, C).
        threshold: in the unit of the points.

    Returns:
        (...) percent of the J joints.
    """
    return 100.0 * (joint_errors(pred, target) < threshold).mean(axis=-1)


def auc(pred: np.ndarray, target: np.ndarray, thresholds: Sequence[float] = AUC_THRESHOLDS) -> np.ndarray:
    """Average the PCK over thresholds.

    Args:
        pred: (..., J, C).
        target: (..., J, C).
        thresholds: ascending, in the unit of the points.

    Returns:
        (...) percent.
    """
    limits = np.asarray(thresholds, dtype=np.float64)
    passed = len(limits) - np.searchsorted(limits, joint_errors(pred, target), side='right')
    return 100.0 * passed.mean(axis=-1) / len(limits)


def score_by_group(score: Callable[..., np.ndarray], pred: np.ndarray, target: np.ndarray,
                   groups: Mapping[str, Sequence[int]], **options: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Score each group of joints and all groups together, weighted by their number of joints.

    The official MPI-INF-3DHP table is ``score_by_group(pck, pred, target, group_joints())`` and the same with
    :func:`auc`, both averaged over frames.

    Args:
        score: :func:`pck`, :func:`auc` or another function of this module that averages joints.
        pred: (..., J, C).
        target: (..., J, C).
        groups: joint indices by group name.
        **options: passed to ``score``.

    Returns:
        (...) by group, and (...) of all groups.
    """
    scores = {name: score(pred[..., list(joints), :], target[..., list(joints), :], **options)
              for name, joints in groups.items()}
    total = sum(len(joints) for joints in groups.values())
    return scores, sum(scores[name] * len(joints) for name, joints in groups.items()) / total


def group_joints(groups: Mapping[str, Sequence[str]] = MPI_INF_3DHP_GROUPS,
                 skeleton: str = 'mpi_inf_3dhp17') -> dict[str, tuple[int, ...]]:
    """Look up the indices of named joint groups in a skeleton."""
    table = get_skeleton(skeleton)
    return {name: tuple(table.index(joint) for joint in joints) for name, joints in groups.items()}


def _pair(pred: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64, of equal shape."""
    pred, target = np.asarray(pred, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if pred.shape != target.shape:
        raise ValueError(f'prediction {pred.shape} and ground truth {target.shape} must have one shape (..., J, C); '
                         'convert both to one skeleton and one set of frames first')
    return pred, target
