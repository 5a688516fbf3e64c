"""The one check of what comes into a backbone."""
from torch import Tensor, nn


def check_inputs(backbone: nn.Module, inputs: Tensor) -> None:
    """Compare motion with what a backbone was built for.

    Args:
        backbone: offers ``num_joints``, ``in_channels`` and ``max_frames``, None where any number will do.
        inputs: wanted as (N, T, J, C_in).

    Raises:
        ValueError: another rank, another number of joints or channels, or more than ``max_frames`` frames.
    """
    name = type(backbone).__name__
    if inputs.ndim != 4 or inputs.shape[2:] != (backbone.num_joints, backbone.in_channels):
        raise ValueError(
            f'{name} was built for inputs (N, T, {backbone.num_joints}, {backbone.in_channels}), got '
            f'{tuple(inputs.shape)}; convert the joints in the pipeline (ConvertSkeleton) or set '
            'backbone.num_joints and backbone.in_channels in the config')
    if backbone.max_frames is not None and inputs.shape[1] > backbone.max_frames:
        raise ValueError(f'{name} was built for at most {backbone.max_frames} frames, got {inputs.shape[1]}; '
                         'set backbone.max_frames or the num_frames of the data set in the config')
