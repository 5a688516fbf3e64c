"""Backbones: (N, T, J, C_in) -> (N, T', J', D), one model per file."""
from motionbert_mm.models.backbones.action_pose import ActionPoseEncoder
from motionbert_mm.models.backbones.dstformer import DSTformer
from motionbert_mm.models.backbones.dstformer_variants import (
    ParallelStreamTransformer,
    SeriesAttentionTransformer,
    SpaceTimeTransformer,
    TimeSpaceTransformer,
)
from motionbert_mm.models.backbones.mpm import MPMEncoder
from motionbert_mm.models.backbones.poseformer import PoseFormer
from motionbert_mm.models.backbones.pstmo import PSTMOEncoder
from motionbert_mm.models.backbones.tcn import TemporalConvNet

__all__ = ['ActionPoseEncoder', 'DSTformer', 'MPMEncoder', 'PSTMOEncoder', 'ParallelStreamTransformer', 'PoseFormer',
           'SeriesAttentionTransformer', 'SpaceTimeTransformer', 'TemporalConvNet', 'TimeSpaceTransformer']
