"""Which of two tracks a person is on, where a detector or tracker let them change places."""
from __future__ import annotations

from typing import Optional

import numpy as np


def find_swaps(points: np.ndarray, seen: Optional[np.ndarray] = None) -> np.ndarray:
    """Tell in which frames two persons stand in each other's place, compared with the first frame.

    From one frame to the next they change places where the first pose lies nearer to where the second one was than to
    where itself was, by the sum of the distances of the joints; every such change holds until the next one. Official:
    ``human_tracking`` of MotionBERT's dataset_action.py, which compares the tracks as they are given, not as they are
    after the changes before.

    Args:
        points: (B, 2, T, J, 2) any unit.
        seen: (B, 2, T, J) bool. A joint that is not seen counts at the place where it was seen last (before its first
            frame: where it is seen first), so that a person who leaves the picture does not change places with the one
            who stays; a joint that one of the two never shows does not count. None: all joints count where they lie, as
            in the official code.

    Returns:
        (B, T) bool, False in the first frame.
    """
    points = points.astype(np.float64)
    counts = np.ones((len(points), 1, points.shape[3]), bool)
    if seen is not None:
        points, counts = _hold(points, seen), seen.any(axis=2).all(axis=1)[:, None]
    pose, before = points[:, 0, 1:], points[:, :, :-1]
    to_itself, to_other = (np.where(counts, np.linalg.norm(pose - before[:, track], axis=-1), 0.0).sum(axis=-1)
                           for track in (0, 1))  # (B, T - 1)
    swapped = np.zeros((len(points), points.shape[2]), bool)
    swapped[:, 1:] = np.cumsum(to_itself > to_other, axis=1) % 2 == 1
    return swapped


def exchange(values: np.ndarray, swapped: np.ndarray) -> np.ndarray:
    """Exchange the two persons of an array (B, 2, T, ...) in the frames (B, T) in which they are swapped."""
    is_swapped = swapped.reshape(len(swapped), 1, -1, *(1,) * (values.ndim - 3))
    return np.where(is_swapped, values[:, ::-1], values)


def _hold(points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Put joints (..., T, J, 2) that are not seen (..., T, J) where they were seen last, or first."""
    last = np.maximum.accumulate(np.where(seen, np.arange(seen.shape[-2])[:, None], -1), axis=-2)
    frames = np.where(last < 0, seen.argmax(axis=-2)[..., None, :], last)
    return np.take_along_axis(points, frames[..., None], axis=-3)
