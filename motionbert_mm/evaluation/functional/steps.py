"""Differences between the frames of a sequence, put back to one value per frame."""
from __future__ import annotations

import numpy as np


def steady_steps(frame_ids: np.ndarray) -> np.ndarray:
    """Say which steps from one row to the next are the sequence's own, its smallest one forward.

    Args:
        frame_ids: (F,) source frames of the rows.

    Returns:
        (F - 1,) bool; False across a gap. Empty for one frame.
    """
    steps = np.diff(frame_ids)
    return steps == steps[steps > 0].min() if (steps > 0).any() else np.zeros(len(steps), bool)


def undefined_first(values: np.ndarray, defined: np.ndarray, length: int) -> np.ndarray:
    """Give values of frame differences to the last of their frames.

    Args:
        values: (F - k,) of differences over k + 1 frames.
        defined: (F - k,) bool.
        length: F.

    Returns:
        (F,); NaN in the first k frames and where not defined.
    """
    padded = np.full(length, np.nan)
    if len(values):
        padded[length - len(values):] = np.where(defined, values, np.nan)
    return padded
