"""Fully connected layers that look at one frame at a time, of P-STMO and MPM."""
from __future__ import annotations

from torch import Tensor, nn

from motionbert_mm.layers.dropout import Dropout
from motionbert_mm.layers.linear import Linear

NEGATIVE_SLOPE = 0.2  # Official: P-STMO and MPM, LeakyReLU(0.2)


class NormedLinear(nn.Module):
    """Linear map, batch norm, leaky ReLU and dropout of every frame: (N, T, D_in) -> (N, T, D_out).

    Statistics are taken over the frames of all samples. Official: a convolution over time with one tap.

    Args:
        in_channels: D_in.
        out_channels: D_out.
        drop: dropout.
    """

    def __init__(self, in_channels: int, out_channels: int, *, drop: float = 0.0) -> None:
        super().__init__()
        self.fc, self.norm = Linear(in_channels, out_channels), nn.BatchNorm1d(out_channels)
        self.activation, self.drop = nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True), Dropout(drop)

    def forward(self, frames: Tensor) -> Tensor:
        """Map (N, T, D_in) -> (N, T, D_out)."""
        normed = self.norm(self.fc(frames).flatten(0, 1)).unflatten(0, frames.shape[:2])
        return self.drop(self.activation(normed))


class ResidualMLP(nn.Module):
    """Two ``NormedLinear`` around which the input is added: (N, T, D) -> (N, T, D)."""

    def __init__(self, channels: int, *, drop: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(NormedLinear(channels, channels, drop=drop),
                                    NormedLinear(channels, channels, drop=drop))

    def forward(self, frames: Tensor) -> Tensor:
        """Transform (N, T, D) -> (N, T, D)."""
        return frames + self.layers(frames)
