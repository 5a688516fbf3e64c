"""Necks: one feature layout out of another."""
from motionbert_mm.models.necks.frame_tokens import FrameToJoints, JointsToFrame
from motionbert_mm.models.necks.representation import RepresentationLayer
from motionbert_mm.models.necks.restore_frames import RestoreFrames
from motionbert_mm.models.necks.strided_reduction import StridedReduction

__all__ = ['FrameToJoints', 'JointsToFrame', 'RepresentationLayer', 'RestoreFrames', 'StridedReduction']
