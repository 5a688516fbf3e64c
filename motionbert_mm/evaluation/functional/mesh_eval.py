"""Errors of posed bodies, one value per frame: of their vertices, and of the joints that are read off them.

Joints are the 17 of Human3.6M, regressed from the vertices of prediction and truth alike. Everything is in millimetres
and relative to the pelvis of each frame, joint 0 of the 17.
"""
from __future__ import annotations

import numpy as np

from motionbert_mm.evaluation.functional.keypoint_eval import mpjpe, p_mpjpe
from motionbert_mm.structures.skeleton import get_skeleton

SKELETON = get_skeleton('h36m')
# The 14 joints that bodies are compared by (HMR, SPIN, Pose2Mesh): all but pelvis, spine and nose.
# Official: evaluate_mesh in lib/utils/utils_mesh.py of MotionBERT.
BODY_JOINTS = tuple(row for row, joint in enumerate(SKELETON.joints) if joint not in ('root', 'spine', 'nose'))


def mpve(pred: np.ndarray, target: np.ndarray, pred_joints: np.ndarray, target_joints: np.ndarray) -> np.ndarray:
    """Average the distances of the vertices of each frame (mean per-vertex error), pelvis on pelvis.

    Args:
        pred: (F, V, 3) mm.
        target: (F, V, 3) mm.
        pred_joints: (F, 17, 3) mm, in the axes of ``pred``.
        target_joints: (F, 17, 3) mm, in the axes of ``target``.

    Returns:
        (F,) mm.
    """
    return mpjpe(pred - pred_joints[:, SKELETON.root, None], target - target_joints[:, SKELETON.root, None])


def body_joint_errors(pred: np.ndarray, target: np.ndarray) -> dict[str, np.ndarray]:
    """Average the distances of the joints of each frame, as they are and after the best similarity transform.

    Args:
        pred: (F, 17, 3) mm, relative to the pelvis.
        target: (F, 17, 3) mm, relative to the pelvis.

    Returns:
        (F,) mm by name: ``MPJPE`` and ``PA-MPJPE`` over ``BODY_JOINTS``, ``MPJPE/17`` and ``PA-MPJPE/17`` over all.
    """
    some = [points[:, BODY_JOINTS] for points in (pred, target)]
    return {'MPJPE': mpjpe(*some), 'PA-MPJPE': p_mpjpe(*some),
            'MPJPE/17': mpjpe(pred, target), 'PA-MPJPE/17': p_mpjpe(pred, target)}
