"""The temporal convolutional network of VideoPose3D (Pavllo et al., CVPR 2019), one output per frame."""
from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import mul
from typing import Optional

from mmengine.model import BaseModule
from torch import Tensor, nn

from motionbert_mm.layers.temporal_conv import TemporalBlock, TemporalConv
from motionbert_mm.models.backbones.checks import check_inputs
from motionbert_mm.registry import MODELS


@MODELS.register_module()
class TemporalConvNet(BaseModule):
    """Residual blocks of dilated convolutions over time; the poses of a frame are its channels.

    Sequence to sequence, as MotionBERT's table 6 needs it: convolutions keep the number of frames, where the official
    network returns the frames whose whole receptive field is inside the clip. On those frames both agree.
    The last map of the official network goes to 3 coordinates of every joint, here to D features of every joint.
    The momentum of the batch norms is constant; official: it falls from 0.1 to 0.001 during training.

    Args:
        in_channels: C_in, x, y and confidence.
        num_joints: J.
        dim: channels D of each joint in the output. 64 of each of 17 joints hold all 1024 channels of a frame.
        channels: of a frame between the convolutions.
        filter_widths: taps of the first convolution and of each block, odd numbers. The dilation is the product of
            the widths before, the receptive field that of all: 243 frames for five times 3.
        drop: dropout.
        init_cfg: MMEngine's initialisation.

    Raises:
        ValueError: no filter, or one of even width.
    """

    max_frames = None  # a clip may have any number of frames

    def __init__(self, in_channels: int = 3, *, num_joints: int = 17, dim: int = 64, channels: int = 1024,
                 filter_widths: Sequence[int] = (3, 3, 3, 3, 3), drop: float = 0.25,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if not filter_widths:
            raise ValueError('TemporalConvNet needs filter_widths with at least one number, got none')
        self.in_channels, self.num_joints, self.out_channels = in_channels, num_joints, dim
        self.expand = TemporalConv(num_joints * in_channels, channels, width=filter_widths[0], drop=drop)
        dilations = accumulate(filter_widths, mul)
        self.blocks = nn.Sequential(*(TemporalBlock(channels, width=width, dilation=dilation, drop=drop)
                                      for width, dilation in zip(filter_widths[1:], dilations)))
        self.to_joints = nn.Linear(channels, num_joints * dim)

    def forward(self, inputs: Tensor) -> Tensor:
        """Encode motion.

        Args:
            inputs: (N, T, J, C_in) normalised coordinates and confidence.

        Returns:
            (N, T, J, D) features.

        Raises:
            ValueError: another number of joints or channels.
        """
        check_inputs(self, inputs)
        frames = inputs.flatten(2).transpose(1, 2)  # (N, J C_in, T)
        frames = self.blocks(self.expand(frames))  # (N, channels, T)
        features = self.to_joints(frames.transpose(1, 2))
        return features.unflatten(-1, (self.num_joints, -1))
