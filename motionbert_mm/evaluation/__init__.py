"""Evaluation: pure functions and the metrics that MMEngine's Runner calls."""
from motionbert_mm.evaluation.metrics import ActionMetric, MotionMetric, OneShotMetric, Pose2DMetric, Pose3DMetric

__all__ = ['ActionMetric', 'MotionMetric', 'OneShotMetric', 'Pose2DMetric', 'Pose3DMetric']
