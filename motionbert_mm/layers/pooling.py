"""The layers that bring pooled features of two modalities into one shared space (ActionPose, appendix)."""
from __future__ import annotations

import torch
from torch import Tensor, nn

from motionbert_mm.layers.norm import LayerNorm


class PoolingLayer(nn.Sequential):
    """Linear map, GELU, layer norm and dropout of a vector: (..., D) -> (..., D')."""

    def __init__(self, in_channels: int, out_channels: int, *, drop: float = 0.0) -> None:
        super().__init__(nn.Linear(in_channels, out_channels), nn.GELU(), LayerNorm(out_channels), nn.Dropout(drop))


class JointWeighting(nn.Module):
    """The weighted sum over joints, the same weights for all channels; they start equal.

    Args:
        num_joints: J.
        use_softmax: keep the weights positive with sum 1, by a softmax; else they are free. Not published.
    """

    def __init__(self, num_joints: int, *, use_softmax: bool = False) -> None:
        super().__init__()
        self.use_softmax = use_softmax
        self.weight = nn.Parameter(torch.full((num_joints,), 0.0 if use_softmax else 1 / num_joints))

    def forward(self, features: Tensor) -> Tensor:
        """Sum (..., J, D) -> (..., D)."""
        weights = self.weight.softmax(0) if self.use_softmax else self.weight
        return features.transpose(-1, -2) @ weights
