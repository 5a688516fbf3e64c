"""Evaluation: pure functions and the metrics that MMEngine's Runner calls."""
from motionbert_mm.evaluation.metrics import (
    ActionMetric,
    MeshMetric,
    MotionMetric,
    OneShotMetric,
    Pose2DMetric,
    Pose3DMetric,
    TextRetrievalMetric,
)

__all__ = ['ActionMetric', 'MeshMetric', 'MotionMetric', 'OneShotMetric', 'Pose2DMetric', 'Pose3DMetric',
           'TextRetrievalMetric']
