"""Poses out of tokens of frames: the decoders and output layers of P-STMO and MPM."""
from __future__ import annotations

from torch import Tensor, nn

from motionbert_mm.layers.init import start_equal
from motionbert_mm.layers.linear import Linear
from motionbert_mm.layers.norm import unused_norm
from motionbert_mm.layers.transformer import ReLUTransformerLayer


class FrameDecoder(nn.Module):
    """Transformer layers, then batch norm and one linear map of every token: (N, T, 1, D) -> (N, T, J, C).

    Official: without layers the outputs of stage II of P-STMO and MPM, with some the decoders of stage I. Layers start
    equal.

    Args:
        in_channels: channels D of the tokens.
        num_joints: J.
        out_channels: coordinates C per joint.
        depth: transformer layers.
        num_heads: attention heads.
        mlp_ratio: hidden width of their MLP over D.
        drop: their dropout.
    """

    def __init__(self, in_channels: int, num_joints: int, out_channels: int, *, depth: int = 0, num_heads: int = 8,
                 mlp_ratio: float = 2.0, drop: float = 0.1) -> None:
        super().__init__()
        self.num_joints = num_joints
        self.layers = nn.ModuleList(
            ReLUTransformerLayer(in_channels, num_heads=num_heads, mlp_ratio=mlp_ratio, drop=drop)
            for _ in range(depth))
        self.last_norm = unused_norm(in_channels) if depth else None
        self.norm, self.fc = nn.BatchNorm1d(in_channels), Linear(in_channels, num_joints * out_channels)
        start_equal(self.layers)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, T, 1, D) -> (N, T, J, C).

        Raises:
            ValueError: more than one token for a frame.
        """
        if features.shape[2] != 1:
            raise ValueError(f'this head reads one token for every frame, (N, T, 1, D), got {tuple(features.shape)}; '
                             "add dict(type='JointsToFrame') to model.neck")
        tokens = features[:, :, 0]
        for layer in self.layers:
            tokens = layer(tokens)
        return self.fc(self.norm(tokens.flatten(0, 1))).view(*features.shape[:2], self.num_joints, -1)
