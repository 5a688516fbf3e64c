"""Evaluation: pure functions and the metrics that MMEngine's Runner calls."""
from motionbert_mm.evaluation.metrics import MotionMetric, Pose2DMetric, Pose3DMetric

__all__ = ['MotionMetric', 'Pose2DMetric', 'Pose3DMetric']
