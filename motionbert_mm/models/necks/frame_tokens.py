"""From a token for every joint to one for every frame, and back: any backbone with any head."""
from __future__ import annotations

from typing import Optional

from mmengine.model import BaseModule
from torch import Tensor, nn

from motionbert_mm.registry import MODELS


@MODELS.register_module()
class JointsToFrame(BaseModule):
    """Join the tokens of a frame's joints to one by a linear map.

    Args:
        in_channels: channels D of a joint token.
        num_joints: J.
        out_channels: channels of a frame token.
        init_cfg: MMEngine's initialisation.
    """

    def __init__(self, in_channels: int, *, num_joints: int = 17, out_channels: int = 256,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.num_tokens, self.out_channels = 1, out_channels
        self.fc = nn.Linear(num_joints * in_channels, out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, T, J, D) -> (N, T, 1, out_channels)."""
        return self.fc(features.flatten(2))[:, :, None]


@MODELS.register_module()
class FrameToJoints(BaseModule):
    """Split a frame token into one for every joint by a linear map.

    Args:
        in_channels: channels D of a frame token.
        num_joints: J.
        out_channels: channels of a joint token.
        init_cfg: MMEngine's initialisation.

    Raises:
        ValueError: when called, features that have more than one token for a frame.
    """

    def __init__(self, in_channels: int, *, num_joints: int = 17, out_channels: int = 64,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.num_tokens, self.out_channels = num_joints, out_channels
        self.fc = nn.Linear(in_channels, num_joints * out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, T, 1, D) -> (N, T, J, out_channels)."""
        if features.shape[2] != 1:
            raise ValueError(f'FrameToJoints expects one token for every frame, (N, T, 1, D), got '
                             f'{tuple(features.shape)}; leave it out where the backbone has tokens of joints')
        return self.fc(features[:, :, 0]).unflatten(-1, (self.num_tokens, self.out_channels))
