"""The one check of what comes into a backbone."""
from __future__ import annotations

from typing import Optional

from torch import Tensor, nn


def check_inputs(backbone: nn.Module, inputs: Tensor, in_channels: Optional[int] = None) -> None:
    """Compare motion with what a backbone was built for.

    Args:
        backbone: offers ``num_joints``, ``in_channels`` and ``max_frames``, None where any number will do.
        inputs: wanted as (N, T, J, C_in).
        in_channels: C_in, where it is not that of the backbone.

    Raises:
        ValueError: another rank, another number of joints or channels, or more than ``max_frames`` frames.
    """
    name, in_channels = type(backbone).__name__, in_channels or backbone.in_channels
    if inputs.ndim != 4 or inputs.shape[2:] != (backbone.num_joints, in_channels):
        raise ValueError(
            f'{name} was built for inputs (N, T, {backbone.num_joints}, {in_channels}), got '
            f'{tuple(inputs.shape)}; convert the joints in the pipeline (ConvertSkeleton) or set '
            'backbone.num_joints and backbone.in_channels in the config')
    if backbone.max_frames is not None and inputs.shape[1] > backbone.max_frames:
        raise ValueError(f'{name} was built for at most {backbone.max_frames} frames, got {inputs.shape[1]}; '
                         'set backbone.max_frames or the num_frames of the data set in the config')
