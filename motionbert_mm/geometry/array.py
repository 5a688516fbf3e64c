"""The few operations in which NumPy and torch differ, so that geometry is written once for both."""
from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, Union

import numpy as np
import torch
from torch import Tensor

Array = Union[np.ndarray, Tensor]


def namespace(array: Array) -> ModuleType:
    """Return the module, numpy or torch, whose functions take ``array``."""
    return torch if isinstance(array, Tensor) else np


def like(values: Any, reference: Array) -> Array:
    """Turn numbers or an array into the kind, floating type and device of ``reference``."""
    if isinstance(reference, Tensor):
        dtype = reference.dtype if reference.is_floating_point() else torch.get_default_dtype()
        return torch.as_tensor(values, dtype=dtype, device=reference.device)
    return np.asarray(values, dtype=np.result_type(reference.dtype, np.float32))


def align(values: Any, points: Array) -> Array:
    """Make per-clip vectors broadcast against points by inserting axes before their last one.

    Args:
        values: (K,) or (B, ..., K), leading axes as those of ``points``.
        points: (B, ..., C).

    Returns:
        (B, ..., 1, ..., 1, K) with as many axes as ``points`` and of its kind.
    """
    values = like(values, points)
    return values.reshape(*values.shape[:-1], *[1] * (points.ndim - values.ndim), values.shape[-1])


def take_joints(array: Array, indices: Union[Sequence[int], np.ndarray], axis: int) -> Array:
    """Index one axis, given from the end, with an integer array of any shape."""
    if isinstance(array, Tensor):
        indices = torch.as_tensor(np.asarray(indices), device=array.device)
    else:
        indices = np.asarray(indices)
    return array[(..., indices, *[slice(None)] * (-1 - axis))]


def norm(vectors: Array) -> Array:
    """Euclidean length over the last axis, which is kept; its gradient at zero is zero."""
    if isinstance(vectors, Tensor):
        return torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return np.linalg.norm(vectors, axis=-1, keepdims=True)


def cross(first: Array, second: Array) -> Array:
    """Cross product over the last axis, with broadcasting."""
    return torch.linalg.cross(first, second) if isinstance(first, Tensor) else np.cross(first, second)
