"""Networks: backbones, necks, heads, losses and the model that joins them."""
from motionbert_mm.models.backbones import DSTformer, MPMEncoder, PSTMOEncoder
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
)
from motionbert_mm.models.losses import (
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
    FrameToJoints,
    JointsToFrame,
    RepresentationLayer,
    RestoreFrames,
    StridedReduction,
)

__all__ = ['ActionHead', 'AngleLoss', 'AngleVelocityLoss', 'CoordinateL1Loss', 'CrossEntropyLoss', 'DSTformer',
           'EmbeddingHead', 'FramePoseHead', 'FrameToJoints', 'JointsToFrame', 'LimbLengthLoss', 'LimbVarianceLoss',
           'MPJPELoss', 'MPMEncoder', 'MaskedPoseHead', 'MeshHead', 'MeshRefineHead', 'MotionDataPreprocessor',
           'MotionModel', 'NMPJPELoss', 'PSTMOEncoder', 'PoseLiftHead', 'RefinedPoseHead', 'RepresentationLayer',
           'RestoreFrames', 'SMPLAxisAngleLoss', 'SMPLNormLoss', 'SMPLPoseLoss', 'SMPLShapeLoss', 'StridedReduction',
           'SupConLoss', 'VelocityLoss', 'Weighted2DLoss']
