"""Metrics for MMEngine's evaluator; one base does the plumbing of all."""
from motionbert_mm.evaluation.metrics.action import ActionMetric
from motionbert_mm.evaluation.metrics.base import MotionMetric, Window
from motionbert_mm.evaluation.metrics.mesh import MeshMetric
from motionbert_mm.evaluation.metrics.one_shot import OneShotMetric
from motionbert_mm.evaluation.metrics.pose2d import Pose2DMetric
from motionbert_mm.evaluation.metrics.pose3d import Pose3DMetric
from motionbert_mm.evaluation.metrics.score_dump import DumpScores
from motionbert_mm.evaluation.metrics.sequences import DrawPredictions, DumpPredictions
from motionbert_mm.evaluation.metrics.text_retrieval import TextRetrievalMetric

__all__ = ['ActionMetric', 'DrawPredictions', 'DumpPredictions', 'DumpScores', 'MeshMetric', 'MotionMetric',
           'OneShotMetric', 'Pose2DMetric', 'Pose3DMetric', 'TextRetrievalMetric', 'Window']
