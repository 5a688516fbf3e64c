"""Networks: backbones, necks, heads, losses and the model that joins them."""
from motionbert_mm.models.backbones import ActionPoseEncoder, DSTformer, MPMEncoder, PSTMOEncoder
from motionbert_mm.models.data_preprocessor import MotionDataPreprocessor
from motionbert_mm.models.heads import (
    ActionHead,
    EmbeddingHead,
    FramePoseHead,
    MaskedPoseHead,
    MeshHead,
    MeshRefineHead,
    PoseLiftHead,
    RefinedPoseHead,
    TextAlignHead,
)
from motionbert_mm.models.losses import (
    AlignmentLoss,
    AngleLoss,
    AngleVelocityLoss,
    CoordinateL1Loss,
    CrossEntropyLoss,
    LimbLengthLoss,
    LimbVarianceLoss,
    MPJPELoss,
    NMPJPELoss,
    SMPLAxisAngleLoss,
    SMPLNormLoss,
    SMPLPoseLoss,
    SMPLShapeLoss,
    SupConLoss,
    VelocityLoss,
    Weighted2DLoss,
)
from motionbert_mm.models.motion_model import MotionModel
from motionbert_mm.models.necks import (
    FeatureBranches,
    FrameToJoints,
    JointsToFrame,
    PosePooling,
    RepresentationLayer,
    RestoreFrames,
    StridedReduction,
)

__all__ = ['ActionHead', 'ActionPoseEncoder', 'AlignmentLoss', 'AngleLoss', 'AngleVelocityLoss', 'CoordinateL1Loss',
           'CrossEntropyLoss', 'DSTformer', 'EmbeddingHead', 'FeatureBranches', 'FramePoseHead', 'FrameToJoints',
           'JointsToFrame', 'LimbLengthLoss', 'LimbVarianceLoss', 'MPJPELoss', 'MPMEncoder', 'MaskedPoseHead',
           'MeshHead', 'MeshRefineHead', 'MotionDataPreprocessor', 'MotionModel', 'NMPJPELoss', 'PSTMOEncoder',
           'PoseLiftHead', 'PosePooling', 'RefinedPoseHead', 'RepresentationLayer', 'RestoreFrames',
           'SMPLAxisAngleLoss', 'SMPLNormLoss', 'SMPLPoseLoss', 'SMPLShapeLoss', 'StridedReduction', 'SupConLoss',
           'TextAlignHead', 'VelocityLoss', 'Weighted2DLoss']
