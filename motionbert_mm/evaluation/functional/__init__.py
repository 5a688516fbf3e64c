"""Pure NumPy functions behind the metrics."""
from motionbert_mm.evaluation.functional.averaging import mean_by_clip, mean_by_frame, mean_by_group
from motionbert_mm.evaluation.functional.keypoint_eval import (
    AUC_THRESHOLDS,
    MPI_INF_3DHP_GROUPS,
    acceleration_error,
    auc,
    group_joints,
    joint_errors,
    mpjpe,
    mpjve,
    n_mpjpe,
    p_mpjpe,
    pck,
    score_by_group,
)
from motionbert_mm.evaluation.functional.matching import check_finite, match_frames, visible_joints
from motionbert_mm.evaluation.functional.merging import merge_frames, merge_windows

__all__ = ['AUC_THRESHOLDS', 'MPI_INF_3DHP_GROUPS', 'acceleration_error', 'auc', 'check_finite', 'group_joints',
           'joint_errors', 'match_frames', 'mean_by_clip', 'mean_by_frame', 'mean_by_group', 'merge_frames',
           'merge_windows', 'mpjpe', 'mpjve', 'n_mpjpe', 'p_mpjpe', 'pck', 'score_by_group', 'visible_joints']
