"""Camera-like movement of whole clips in the image plane."""
from __future__ import annotations

from motionbert_mm.geometry.array import Array, like, namespace


def move(points: Array, angle: Array, scale: Array, shift: Array) -> Array:
    """Turn, scale and shift clips about the origin by amounts that change linearly from first to last frame.

    Official: ``random_move`` of MotionBERT's dataset_action.py, given its draws.

    Args:
        points: (B, M, T, J, 2) any unit; all persons move alike.
        angle: (B, 2) radians in the first and in the last frame, from +x to +y: clockwise where y points down.
        scale: (B, 2) factors.
        shift: (B, 2, 2) first and last (x, y) in the unit of ``points``, added after the rest.

    Returns:
        (B, M, T, J, 2).
    """
    xp, num_frames = namespace(points), points.shape[2]
    passed = like(range(num_frames), points)[:, None, None] / max(num_frames - 1, 1)
    angle, scale, shift = (_over_time(like(draws, points), passed) for draws in (angle, scale, shift))
    cosine, sine = xp.cos(angle) * scale, xp.sin(angle) * scale
    x, y = points[..., :1], points[..., 1:]
    return xp.concatenate([cosine * x - sine * y, sine * x + cosine * y], -1) + shift


def _over_time(ends: Array, passed: Array) -> Array:
    """Interpolate between (B, 2) or (B, 2, K) first and last values at shares (T, 1, 1) of the way: (B, 1, T, 1, K)."""
    ends = ends.reshape(len(ends), 2, 1, 1, 1, -1)
    return ends[:, 0] + (ends[:, 1] - ends[:, 0]) * passed
