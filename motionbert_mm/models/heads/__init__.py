"""Task heads."""
from motionbert_mm.models.heads.action import ActionHead, EmbeddingHead
from motionbert_mm.models.heads.base import MotionHead
from motionbert_mm.models.heads.frame_pose import FramePoseHead
from motionbert_mm.models.heads.masked_pose import MaskedPoseHead
from motionbert_mm.models.heads.mesh import MeshHead
from motionbert_mm.models.heads.mesh_refine import MeshRefineHead
from motionbert_mm.models.heads.pose_lift import PoseLiftHead
from motionbert_mm.models.heads.refined_pose import RefinedPoseHead
from motionbert_mm.models.heads.text import TextAlignHead

__all__ = ['ActionHead', 'EmbeddingHead', 'FramePoseHead', 'MaskedPoseHead', 'MeshHead', 'MeshRefineHead', 'MotionHead',
           'PoseLiftHead', 'RefinedPoseHead', 'TextAlignHead']
