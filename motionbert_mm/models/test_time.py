"""Test-time augmentation by mirroring."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def mirror_inputs(inputs: Tensor, flip_indices: Sequence[int]) -> Tensor:
    """Mirror network inputs: negate x, swap left and right joints.

    Args:
        inputs: (..., J, C) coordinates centred at x = 0; further channels such as confidence move along.
        flip_indices: for each joint its mirror.

    Returns:
        (..., J, C), a new tensor.
    """
    mirrored = inputs[..., list(flip_indices), :]
    return torch.cat([-mirrored[..., :1], mirrored[..., 1:]], dim=-1)
