"""Networks: backbones, necks, heads, losses and the model that joins them."""
from motionbert_mm.models.backbones import DSTformer
from motionbert_mm.models.data_preprocessor import MotionDataPreprocessor
from motionbert_mm.models.heads import PoseLiftHead
from motionbert_mm.models.losses import (
    AngleLoss,
    AngleVelocityLoss,
    LimbLengthLoss,
    LimbVarianceLoss,
    MPJPELoss,
    NMPJPELoss,
    VelocityLoss,
    Weighted2DLoss,
)
from motionbert_mm.models.motion_model import MotionModel
from motionbert_mm.models.necks import RepresentationLayer

__all__ = ['AngleLoss', 'AngleVelocityLoss', 'DSTformer', 'LimbLengthLoss', 'LimbVarianceLoss', 'MPJPELoss',
           'MotionDataPreprocessor', 'MotionModel', 'NMPJPELoss', 'PoseLiftHead', 'RepresentationLayer',
           'VelocityLoss', 'Weighted2DLoss']
