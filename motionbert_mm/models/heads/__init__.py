"""Task heads."""
from motionbert_mm.models.heads.base import MotionHead
from motionbert_mm.models.heads.pose_lift import PoseLiftHead

__all__ = ['MotionHead', 'PoseLiftHead']
