"""Refuse 2D input that no model can use."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np

from motionbert_mm.geometry.filling import without_nan
from motionbert_mm.structures.skeleton import get_skeleton


def check_keypoints(keypoints: np.ndarray, confidence: Optional[np.ndarray], skeleton: str, *,
                    has_persons: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Refuse keypoints that no model can use; return them and their confidence as float32, 0 where one is missing.

    Args:
        keypoints: (F, J, 2) px, NaN where a joint is missing.
        confidence: (F, J); all 1 if None.
        skeleton: joint set of both.
        has_persons: both have a leading axis of persons.

    Raises:
        KeyError: unknown skeleton.
        ValueError: another shape, no frames, or infinity.
    """
    keypoints, num_joints = np.asarray(keypoints, dtype=np.float32), get_skeleton(skeleton).num_joints
    if keypoints.ndim != 3 + has_persons or keypoints.shape[-2:] != (num_joints, 2) or not keypoints.size:
        axes = 'M, F' if has_persons else 'F'
        raise ValueError(f'keypoints have shape {keypoints.shape}, expected ({axes}, {num_joints}, 2) with at least '
                         f'one frame for skeleton {skeleton!r}')
    confidence = np.ones(keypoints.shape[:-1]) if confidence is None else confidence
    if np.shape(confidence) != keypoints.shape[:-1]:
        raise ValueError(f'confidence has shape {np.shape(confidence)}, expected {keypoints.shape[:-1]}')
    confidence = np.asarray(confidence, dtype=np.float32)
    if np.isinf(keypoints).any() or np.isinf(confidence).any():
        raise ValueError('keypoints or confidence hold infinity; a missing joint is NaN, or has confidence 0')
    return without_nan(keypoints, confidence)


def check_sizes(image_size: Sequence[float], batch_size: int) -> np.ndarray:
    """Refuse meaningless sizes; return that of the image (2,)."""
    if batch_size < 1:
        raise ValueError(f'batch_size must be at least 1, got {batch_size}')
    size = np.asarray(image_size, dtype=np.float32)
    if size.shape != (2,) or not (np.isfinite(size) & (size > 0)).all():
        raise ValueError(f'image_size must be width and height in pixels, got {image_size!r}')
    return size


def check_inside(keypoints: np.ndarray, confidence: np.ndarray, size: np.ndarray) -> None:
    """Refuse keypoints (..., J, 2) px of which most of the seen lie outside an image of ``size`` (2,) px."""
    seen = keypoints[np.asarray(confidence) > 0]  # (N, 2)
    is_outside = ((seen < 0) | (seen > size)).any(-1)
    if is_outside.size and is_outside.mean() > 0.5:
        low, high = seen.min(0), seen.max(0)
        raise ValueError(f'{is_outside.mean():.0%} of the joints lie outside the image of {size[0]:g} x {size[1]:g}: '
                         f'x {low[0]:.0f} to {high[0]:.0f}, y {low[1]:.0f} to {high[1]:.0f}; give width and height of '
                         'the video in which the keypoints were found')
