"""Dilated convolutions over time that keep every frame (VideoPose3D)."""
from __future__ import annotations

import torch
from torch import Tensor, nn


def hold_edges(frames: Tensor, reach: int) -> Tensor:
    """Repeat the first and the last frame ``reach`` times: (N, D, T) -> (N, D, T + 2 reach).

    Not ``torch.nn.functional.pad``, whose gradient on GPUs PyTorch refuses under deterministic algorithms.
    """
    if reach == 0:
        return frames
    before, after = frames[..., :1], frames[..., -1:]
    return torch.cat([before.expand(-1, -1, reach), frames, after.expand(-1, -1, reach)], dim=-1)


class TemporalConv(nn.Module):
    """Convolution over time, batch norm, ReLU and dropout: (N, D_in, T) -> (N, D_out, T) for any T.

    Beyond the ends of a clip the first and the last frame are held, as VideoPose3D's data loader does with the poses
    (``pad`` of mode edge). Zeros would be a pose and a confidence of their own, which enter the batch statistics and
    fill most taps when a clip is shorter than the reach of the filters.

    Args:
        in_channels: D_in.
        out_channels: D_out.
        width: taps of the filter, an odd number.
        dilation: frames from tap to tap.
        drop: dropout.

    Raises:
        ValueError: an even ``width``, which has no middle frame.
    """

    def __init__(self, in_channels: int, out_channels: int, *, width: int = 3, dilation: int = 1,
                 drop: float = 0.0) -> None:
        super().__init__()
        if width % 2 == 0:
            raise ValueError(f'filters over time need an odd width, got {width}; change filter_widths in the config')
        self.reach = width // 2 * dilation
        self.conv = nn.Conv1d(in_channels, out_channels, width, dilation=dilation, bias=False)
        self.norm, self.activation, self.drop = nn.BatchNorm1d(out_channels), nn.ReLU(), nn.Dropout(drop)

    def forward(self, frames: Tensor) -> Tensor:
        """Filter (N, D_in, T) -> (N, D_out, T)."""
        return self.drop(self.activation(self.norm(self.conv(hold_edges(frames, self.reach)))))


class TemporalBlock(nn.Module):
    """A dilated convolution and one within frames, around which the input is added: (N, D, T) -> (N, D, T).

    Args:
        channels: D.
        width: taps of the dilated filter.
        dilation: frames from tap to tap.
        drop: dropout after each convolution.
    """

    def __init__(self, channels: int, *, width: int = 3, dilation: int = 1, drop: float = 0.0) -> None:
        super().__init__()
        self.across = TemporalConv(channels, channels, width=width, dilation=dilation, drop=drop)
        self.within = TemporalConv(channels, channels, width=1, drop=drop)

    def forward(self, frames: Tensor) -> Tensor:
        """Transform (N, D, T) -> (N, D, T)."""
        return frames + self.within(self.across(frames))
