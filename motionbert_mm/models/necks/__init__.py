"""Necks: one feature layout out of another."""
from motionbert_mm.models.necks.branches import FeatureBranches
from motionbert_mm.models.necks.frame_tokens import FrameToJoints, JointsToFrame
from motionbert_mm.models.necks.pose_pooling import PosePooling
from motionbert_mm.models.necks.representation import RepresentationLayer
from motionbert_mm.models.necks.restore_frames import RestoreFrames
from motionbert_mm.models.necks.strided_reduction import StridedReduction

__all__ = ['FeatureBranches', 'FrameToJoints', 'JointsToFrame', 'PosePooling', 'RepresentationLayer', 'RestoreFrames',
           'StridedReduction']
