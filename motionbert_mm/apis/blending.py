"""From predictions for overlapping windows to one value per frame."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class WindowBlend:
    """Average overlapping windows with weights that fall smoothly to their ends, so that no seam shows.

    Args:
        length: frames F of the whole sequence.
        shape: shape of one frame.
        dilation: step between the frames of a window.
    """

    def __init__(self, length: int, shape: Sequence[int], dilation: int = 1) -> None:
        self.total = np.zeros((length, *shape))
        self.weight = np.zeros(length)
        self.dilation = dilation

    def add(self, windows: np.ndarray, values: np.ndarray) -> None:
        """Add windows.

        Args:
            windows: (K, T) frame indices; repetitions behind the end of the sequence are left out.
            values: (K, T, ...) one value per frame.
        """
        places = np.arange(windows.shape[1])
        hann = np.sin(np.pi * (places + 0.5) / len(places)) ** 2  # positive at the ends too
        for window, value in zip(windows, values):
            is_real = window == window[0] + places * self.dilation
            self.total[window[is_real]] += (value.T * hann).T[is_real]
            self.weight[window[is_real]] += hann[is_real]

    def result(self) -> np.ndarray:
        """Return the weighted mean (F, ...)."""
        return (self.total.T / self.weight).T
