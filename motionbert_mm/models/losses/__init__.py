"""Losses; every class takes ``weight`` and knows the name under which it is logged."""
from motionbert_mm.models.losses.action import CrossEntropyLoss, SupConLoss
from motionbert_mm.models.losses.alignment import AlignmentLoss
from motionbert_mm.models.losses.keypoint import (
    AngleLoss,
    AngleVelocityLoss,
    CoordinateL1Loss,
    KeypointLoss,
    LimbLengthLoss,
    LimbVarianceLoss,
    MPJPELoss,
    NMPJPELoss,
    VelocityLoss,
    Weighted2DLoss,
)
from motionbert_mm.models.losses.mesh import SMPLAxisAngleLoss, SMPLNormLoss, SMPLPoseLoss, SMPLShapeLoss

__all__ = ['AlignmentLoss', 'AngleLoss', 'AngleVelocityLoss', 'CoordinateL1Loss', 'CrossEntropyLoss', 'KeypointLoss',
           'LimbLengthLoss', 'LimbVarianceLoss', 'MPJPELoss', 'NMPJPELoss', 'SMPLAxisAngleLoss', 'SMPLNormLoss',
           'SMPLPoseLoss', 'SMPLShapeLoss', 'SupConLoss', 'VelocityLoss', 'Weighted2DLoss']
