"""Backbones of this package inside MMPose's ``PoseLifter``.

MMPose's codecs give a lifter (B, T, K, C), as its DSTFormer reads it, or (B, K C, T), as its TCN does, C being x and y
or these and the visibility. Its heads read one tensor (B, T, K, D), or the last of several (B, D, 1).
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, Union

import torch
from mmengine.model import BaseModule
from torch import Tensor

from motionbert_mm.models.motion_model import Features, build_neck, choose_features
from motionbert_mm.registry import MODELS, build

XY, XY_AND_CONFIDENCE = 2, 3


@MODELS.register_module()
class PoseLifterBackbone(BaseModule):
    """A backbone of this package, and the necks behind it, between the layouts of MMPose.

    Inputs without visibility get a confidence of 1. The features are those of ``MotionModel``: of joints for
    ``MotionRegressionHead``, of whatever the neck gives for ``LiftHeadForMMPose``.

    Args:
        backbone: config of a backbone of this package.
        neck: config of a neck, or a list of them, whose ``in_channels`` need not be given. Backbones with a token for
            every frame need ``FrameToJoints`` in front of heads of MMPose.
        joint_tokens: refuse features that have not a token for every joint: MMPose's heads would take one of a frame
            for all of its joints without a word. Set it to False for ``LiftHeadForMMPose``.
        init_cfg: MMEngine's initialisation.

    Attributes:
        out_channels: D, what ``in_channels`` of the head must be.
        causal: as MMPose asks of backbones of lifters.

    Raises:
        ValueError: ``joint_tokens``, but the features are of frames; when called, inputs of other shapes.
    """

    causal = False

    def __init__(self, backbone: dict, *, neck: Union[dict, Sequence[dict], None] = None, joint_tokens: bool = True,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.backbone = build(MODELS, backbone)
        self.neck, self.out_channels, self.num_tokens = build_neck(neck, self.backbone)
        self.num_joints = self.backbone.num_joints
        if joint_tokens and self.num_tokens != self.num_joints:
            raise ValueError(f'{type(self.backbone).__name__} and its neck give {self.num_tokens} token for a frame of '
                             f"{self.num_joints} joints, which heads of MMPose cannot tell apart; add neck=dict(type="
                             "'FrameToJoints'), or set joint_tokens=False for the head LiftHeadForMMPose")

    def forward(self, inputs: Tensor) -> Features:
        """Encode (B, T, K, C) or (B, K C, T) -> (B, T', K', D), or the dict of a neck that gives several."""
        return self.neck(self.backbone(self.arrange(inputs)))

    def arrange(self, inputs: Tensor) -> Tensor:
        """Bring the inputs of either layout to (B, T, K, 3): x, y and confidence."""
        num_joints = self.num_joints
        fits = inputs.ndim == 3 and inputs.shape[1] in (num_joints * XY, num_joints * XY_AND_CONFIDENCE)
        points = inputs.unflatten(1, (num_joints, -1)).permute(0, 3, 1, 2) if fits else inputs
        if points.ndim != 4 or points.shape[2] != num_joints or points.shape[3] not in (XY, XY_AND_CONFIDENCE):
            raise ValueError(f'expected inputs (B, T, {num_joints}, C) or (B, {num_joints} C, T) with 2 or 3 channels, '
                             f'got {tuple(inputs.shape)}; set num_keypoints of the codec and num_joints of the '
                             'backbone to those of the data set')
        if points.shape[3] == XY:
            points = torch.cat([points, torch.ones_like(points[..., :1])], dim=-1)
        return points.float()


@MODELS.register_module()
class CentreLifterBackbone(PoseLifterBackbone):
    """As ``PoseLifterBackbone``, for MMPose's heads of one frame: ``TemporalRegressionHead``.

    The head reads all tokens of the centre frame, number T // 2, side by side: ``out_channels`` is their number times
    D. Behind ``StridedReduction`` that is the one token that it makes.

    Args:
        backbone: config of a backbone of this package.
        neck: see ``PoseLifterBackbone``.
        init_cfg: MMEngine's initialisation.
    """

    def __init__(self, backbone: dict, *, neck: Union[dict, Sequence[dict], None] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(backbone, neck=neck, joint_tokens=False, init_cfg=init_cfg)
        self.out_channels *= self.num_tokens

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        """Encode (B, T, K, C) or (B, K C, T) -> ((B, out_channels, 1),)."""
        features = super().forward(inputs)
        if not isinstance(features, Tensor):
            features = choose_features(features, 'centre', type(self).__name__)
        centre = features[:, features.shape[1] // 2]  # (B, K', D)
        return (centre.flatten(1)[..., None],)
