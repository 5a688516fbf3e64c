"""Motion at another frame rate, interpolated between the time stamps of its frames.

Frame i of a clip was taken at i / source_fps seconds; frame k of the result shows the time k / fps. No frame
lies beyond the last time stamp of the source, so that nothing is extrapolated.
"""
from __future__ import annotations

import numpy as np

from motionbert_mm.geometry.rotation import axis_angle_to_quaternion, quaternion_to_axis_angle

# Frames closer to a time stamp than this share of the source's frame distance are taken as they are.
_SAME_TIME = 1e-6
# Below this angle in radians a chord and its arc agree in double precision.
_STRAIGHT = 1e-6


def frame_places(num_frames: int, source_fps: float, fps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Say between which two frames of the source each frame of the result lies.

    Args:
        num_frames: frames of the source, T.
        source_fps: its frames per second; need not be whole.
        fps: frames per second wanted.

    Returns:
        The frame before (K,), the frame after (K,) and the share (K,) of the time between them that has passed.

    Raises:
        ValueError: no frames, or a frame rate that is not a positive number.
    """
    if num_frames < 1 or not (0 < source_fps < np.inf and 0 < fps < np.inf):
        raise ValueError(f'cannot bring {num_frames} frames at {source_fps:g} fps to {fps:g} fps; expected at least '
                         'one frame and positive frame rates')
    count = int(np.floor((num_frames - 1) * fps / source_fps + _SAME_TIME)) + 1
    places = np.arange(count) * (source_fps / fps)
    nearest = np.round(places)
    places = np.where(np.abs(places - nearest) < _SAME_TIME, nearest, places)
    before = np.minimum(np.floor(places).astype(np.int64), num_frames - 1)
    after = np.minimum(before + 1, num_frames - 1)
    return before, after, np.clip(places - before, 0.0, 1.0)


def resample(values: np.ndarray, source_fps: float, fps: float) -> np.ndarray:
    """Interpolate positions or other vectors (T, ...) linearly: (K, ...); the first frame stays."""
    before, after, share = frame_places(len(values), source_fps, fps)
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    return values[before] * (1 - share) + values[after] * share


def resample_rotations(axis_angle: np.ndarray, source_fps: float, fps: float) -> np.ndarray:
    """Interpolate rotations (T, ..., 3) in axis-angle along the shortest arc: (K, ..., 3).

    Spherical interpolation, because the components of axis-angle jump where an angle passes pi, and because a
    mean of them is not the rotation half-way; limbs keep their length.
    """
    before, after, share = frame_places(len(axis_angle), source_fps, fps)
    quaternions = axis_angle_to_quaternion(axis_angle.astype(np.float64))
    start, end = quaternions[before], quaternions[after]
    cosine = (start * end).sum(-1, keepdims=True)
    end, cosine = np.where(cosine < 0, -end, end), np.abs(cosine)  # q and -q are one rotation; take the short way
    angle = np.arccos(np.clip(cosine, 0.0, 1.0))
    share = share.reshape(-1, *[1] * (axis_angle.ndim - 1))
    is_straight = angle < _STRAIGHT
    sine = np.where(is_straight, 1.0, np.sin(angle))
    from_start = np.where(is_straight, 1 - share, np.sin((1 - share) * angle) / sine)
    from_end = np.where(is_straight, share, np.sin(share * angle) / sine)
    return quaternion_to_axis_angle(start * from_start + end * from_end)
