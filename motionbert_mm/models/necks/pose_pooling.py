"""From the tokens of a motion's joints to one vector of the motion."""
from __future__ import annotations

from typing import Optional

from mmengine.model import BaseModule
from torch import Tensor, nn

from motionbert_mm.layers.norm import LayerNorm
from motionbert_mm.layers.pooling import JointWeighting, PoolingLayer
from motionbert_mm.registry import MODELS


@MODELS.register_module()
class PosePooling(BaseModule):
    """Bring the class token of a motion into the space that it shares with text (ActionPose, appendix).

    A layer, the weighted sum over joints, another layer; a layer is a linear map, GELU and layer norm. Of more frames
    than one the mean is taken first, so that any backbone with tokens of joints can be aligned with text. Not
    published: the number of layers, their widths, the norm at the entry, which intermediate features need.

    Args:
        in_channels: channels D of the tokens.
        num_joints: J.
        out_channels: channels of the shared space.
        drop: dropout after the first layer.
        softmax_weights: make the weights of the joints positive, with sum 1.
        final_activation: end with GELU and layer norm; else with the linear map.
        init_cfg: MMEngine's initialisation.

    Raises:
        ValueError: when called, features of another number of joints.
    """

    num_tokens = 1  # of a frame

    def __init__(self, in_channels: int, *, num_joints: int = 17, out_channels: int = 512, drop: float = 0.1,
                 softmax_weights: bool = False, final_activation: bool = True, init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.num_joints, self.out_channels = num_joints, out_channels
        self.norm = LayerNorm(in_channels)
        self.first = PoolingLayer(in_channels, in_channels, drop=drop)
        self.joints = JointWeighting(num_joints, use_softmax=softmax_weights)
        self.last = (PoolingLayer if final_activation else nn.Linear)(in_channels, out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, T, J, D) -> (N, 1, 1, out_channels)."""
        if features.ndim != 4 or features.shape[2] != self.num_joints:
            raise ValueError(f'PosePooling was built for features (N, T, {self.num_joints}, D), got '
                             f'{tuple(features.shape)}; set num_joints to the tokens of a frame, 1 for backbones with '
                             'a token for every frame')
        motion = self.first(self.norm(features.mean(dim=1)))  # (N, J, D)
        return self.last(self.joints(motion))[:, None, None]
