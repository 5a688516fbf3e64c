"""Losses; every class takes ``weight`` and knows the name under which it is logged."""
from motionbert_mm.models.losses.action import CrossEntropyLoss, SupConLoss
from motionbert_mm.models.losses.keypoint import (
    AngleLoss,
    AngleVelocityLoss,
    KeypointLoss,
    LimbLengthLoss,
    LimbVarianceLoss,
    MPJPELoss,
    NMPJPELoss,
    VelocityLoss,
    Weighted2DLoss,
)

__all__ = ['AngleLoss', 'AngleVelocityLoss', 'CrossEntropyLoss', 'KeypointLoss', 'LimbLengthLoss', 'LimbVarianceLoss',
           'MPJPELoss', 'NMPJPELoss', 'SupConLoss', 'VelocityLoss', 'Weighted2DLoss']
