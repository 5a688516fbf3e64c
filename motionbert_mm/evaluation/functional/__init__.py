"""Pure NumPy functions behind the metrics."""
from motionbert_mm.evaluation.functional.averaging import mean_by_clip, mean_by_frame, mean_by_group, mean_where
from motionbert_mm.evaluation.functional.classification import (
    EXEMPLAR_RULES,
    class_precision,
    class_recall,
    confusion_matrix,
    mean_class_accuracy,
    nearest_exemplar,
    nearest_mean,
    top_k_accuracy,
)
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
from motionbert_mm.evaluation.functional.mesh_eval import BODY_JOINTS, body_joint_errors, mpve
from motionbert_mm.evaluation.functional.retrieval import (
    Places,
    chance_places,
    find_places,
    median_rank,
    recall_at,
    retrieve,
    unit_features,
)
from motionbert_mm.evaluation.functional.steps import steady_steps, undefined_first

__all__ = ['AUC_THRESHOLDS', 'BODY_JOINTS', 'EXEMPLAR_RULES', 'MPI_INF_3DHP_GROUPS', 'Places', 'acceleration_error',
           'auc', 'body_joint_errors', 'chance_places', 'check_finite', 'class_precision', 'class_recall', 'complete',
           'confusion_matrix', 'find_places', 'group_joints', 'hidden_joints', 'joint_errors', 'match_frames',
           'mean_by_clip', 'mean_by_frame', 'mean_by_group', 'mean_class_accuracy', 'mean_where', 'median_rank',
           'merge_frames', 'merge_windows', 'mpjpe', 'mpjve', 'mpve', 'n_mpjpe', 'nearest_exemplar', 'nearest_mean',
           'p_mpjpe', 'pck', 'recall_at', 'retrieve', 'score_by_group', 'steady_steps', 'top_k_accuracy',
           'undefined_first', 'unit_features', 'visible_joints']
