"""Networks: backbones, necks, heads, losses and the model that joins them."""
from motionbert_mm.models.backbones import DSTformer, MPMEncoder, PSTMOEncoder
from motionbert_mm.models.data_preprocessor import MotionDataPreprocessor
from motionbert_mm.models.heads import (
    ActionHead,
    EmbeddingHead,
    FramePoseHead,
    MaskedPoseHead,
    PoseLiftHead,
    RefinedPoseHead,
)
from motionbert_mm.models.losses import (
    AngleLoss,
    AngleVelocityLoss,
    CrossEntropyLoss,
    LimbLengthLoss,
    LimbVarianceLoss,
    MPJPELoss,
    NMPJPELoss,
    SupConLoss,
    VelocityLoss,
    Weighted2DLoss,
)
from motionbert_mm.models.motion_model import MotionModel
from motionbert_mm.models.necks import (
    FrameToJoints,
    JointsToFrame,
    RepresentationLayer,
    RestoreFrames,
    StridedReduction,
)

__all__ = ['ActionHead', 'AngleLoss', 'AngleVelocityLoss', 'CrossEntropyLoss', 'DSTformer', 'EmbeddingHead',
           'FramePoseHead', 'FrameToJoints', 'JointsToFrame', 'LimbLengthLoss', 'LimbVarianceLoss', 'MPJPELoss',
           'MPMEncoder', 'MaskedPoseHead', 'MotionDataPreprocessor', 'MotionModel', 'NMPJPELoss', 'PSTMOEncoder',
           'PoseLiftHead', 'RefinedPoseHead', 'RepresentationLayer', 'RestoreFrames', 'StridedReduction', 'SupConLoss',
           'VelocityLoss', 'Weighted2DLoss']
