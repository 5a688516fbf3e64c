"""Pure NumPy functions behind the metrics."""
from motionbert_mm.evaluation.functional.averaging import mean_by_clip, mean_by_frame, mean_by_group, mean_where
from motionbert_mm.evaluation.functional.keypoint_eval import (
    AUC_THRESHOLDS,
    MPI_INF_3DHP_GROUPS,
    acceleration_error,
    auc,
    complete,
    group_joints,
    joint_errors,
    mpjpe,
    mpjve,
    n_mpjpe,
    p_mpjpe,
    pck,
    score_by_group,
)
from motionbert_mm.evaluation.functional.matching import check_finite, hidden_joints, match_frames, visible_joints
from motionbert_mm.evaluation.functional.merging import merge_frames, merge_windows
from motionbert_mm.evaluation.functional.retrieval import (
    Places,
    chance_places,
    find_places,
    median_rank,
    recall_at,
    retrieve,
    unit_features,
)

__all__ = ['AUC_THRESHOLDS', 'MPI_INF_3DHP_GROUPS', 'Places', 'acceleration_error', 'auc', 'chance_places',
           'check_finite', 'complete', 'find_places', 'group_joints', 'hidden_joints', 'joint_errors', 'match_frames',
           'mean_by_clip', 'mean_by_frame', 'mean_by_group', 'mean_where', 'median_rank', 'merge_frames',
           'merge_windows', 'mpjpe', 'mpjve', 'n_mpjpe', 'p_mpjpe', 'pck', 'recall_at', 'retrieve', 'score_by_group',
           'unit_features', 'visible_joints']
