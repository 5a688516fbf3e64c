"""Three ways to make one number of per-frame values; NaN marks a frame where a value is undefined."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def mean_by_frame(clips: Sequence[np.ndarray]) -> float:
    """Average over all frames of all clips (F,): long clips count more. NaN if no value is defined."""
    values = np.concatenate([_defined(values) for values in clips]) if len(clips) else np.empty(0)
    return float(values.mean()) if values.size else float('nan')


def mean_by_clip(clips: Sequence[np.ndarray]) -> float:
    """Average over the means of the clips (F,): every clip counts the same. NaN if no value is defined."""
    return mean_by_frame([np.array([mean_by_frame([values])]) for values in clips])


def mean_by_group(clips: Sequence[np.ndarray], groups: Sequence[str], *, within: str = 'frame') -> dict[str, float]:
    """Average within each group of clips; the mean of the results is the average over groups.

    Args:
        clips: (F,) per clip.
        groups: one name per clip, an action for example.
        within: 'frame' pools the frames of a group (official Human3.6M protocol), 'clip' averages its clips.

    Returns:
        mean by group name, sorted by name.
    """
    if len(clips) != len(groups):
        raise ValueError(f'{len(clips)} clips and {len(groups)} group names; give one name per clip')
    if within not in ('frame', 'clip'):
        raise ValueError(f"within must be 'frame' or 'clip', got {within!r}")
    average = mean_by_frame if within == 'frame' else mean_by_clip
    return {name: average([clip for clip, group in zip(clips, groups) if group == name])
            for name in sorted(set(groups))}


def mean_where(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Average the chosen joints of each frame.

    Args:
        values: (F, J).
        chosen: (F, J) bool.

    Returns:
        (F,); NaN in frames without a chosen joint.
    """
    counts = chosen.sum(axis=-1)
    sums = np.where(chosen, values, 0.0).sum(axis=-1)
    return np.divide(sums, counts, out=np.full(len(values), np.nan), where=counts > 0)


def _defined(values: np.ndarray) -> np.ndarray:
    """The entries that are not NaN, as float64."""
    values = np.asarray(values, dtype=np.float64)
    return values[~np.isnan(values)]
