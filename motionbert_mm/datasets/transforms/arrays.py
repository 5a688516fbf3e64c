"""Work on the arrays of whole batches, where it is the traffic of memory that costs."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Optional

import numpy as np

POINT = np.dtype([('xy', np.complex64), ('confidence', np.float32)])  # x and y as one number, which copies faster
BLOCK_BYTES = 2 ** 20  # of samples that are worked on at a time, to stay in the cache between the steps


def all_finite(values: np.ndarray) -> bool:
    """Return whether no number of an array is NaN or infinite."""
    flat = values.reshape(-1)
    # Squares that are too large for their type come out as infinite too, hence the second look.
    with np.errstate(all='ignore'):
        return bool(np.isfinite(np.dot(flat, flat)) or np.isfinite(flat).all())


def blocks(values: np.ndarray, count: int) -> Iterator[slice]:
    """Yield the samples, 0 to ``count``, of an array (B, ...) in blocks of ``BLOCK_BYTES``."""
    step = max(BLOCK_BYTES // max(values[:1].nbytes, 1), 1)
    return (slice(first, first + step) for first in range(0, count, step))


def with_confidence(points: np.ndarray, confidence: np.ndarray, out: Optional[np.ndarray] = None) -> np.ndarray:
    """Join points (..., J, C) and confidence (..., J) to network inputs (..., J, C + 1), in ``out`` if given."""
    inputs = np.empty((*points.shape[:-1], points.shape[-1] + 1), np.float32) if out is None else out
    # Long loops over points, not short ones over the channels of each, are several times faster.
    if points.shape[-1] == 2 and points.dtype == np.float32:
        records = inputs.view(POINT)[..., 0]
        records['xy'], records['confidence'] = np.ascontiguousarray(points).view(np.complex64)[..., 0], confidence
        return inputs
    for channel in range(points.shape[-1]):
        inputs[..., channel] = points[..., channel]
    inputs[..., -1] = confidence
    return inputs


def mirrored(values: np.ndarray, chosen: np.ndarray, swap: Sequence[int], edge: Optional[np.ndarray], *,
             in_place: bool = False) -> np.ndarray:
    """Exchange left and right of (B, M, T, J, ...) in the chosen samples (S,), where x becomes ``edge`` (S,) - x.

    Without ``edge`` values stay what they are.
    """
    if edge is None and distinct(values).shape != values.shape:
        return values  # the same for all joints
    result = values if in_place else values.copy()
    for block in blocks(values, len(chosen)):
        samples = chosen[block]
        swapped = np.take(np.take(values, samples, axis=0), swap, axis=3)
        if edge is not None:
            np.subtract(edge[block, None, None, None], swapped[..., 0], out=swapped[..., 0])
        result[samples] = swapped
    return result


def distinct(flags: np.ndarray) -> np.ndarray:
    """Return flags (B, M, T, J) for one joint, where they were made for all joints at once."""
    return flags if flags.strides[-1] else flags[..., :1]
