"""Rotations as axis-angle, matrix, unit quaternion and six numbers.

Conventions: axis-angle (..., 3) in radians; matrices (..., 3, 3) act on column vectors; quaternions (..., 4) are
(w, x, y, z); six numbers (..., 6) are the first two columns of a matrix, interleaved as in SPIN:
(m00, m01, m10, m11, m20, m21). Every function has a finite gradient everywhere, the identity included.
"""
from __future__ import annotations

from motionbert_mm.geometry.array import Array, cross, like, namespace, norm

# Below this square of an angle or sine, two terms of the series are exact in double precision.
_SMALL = 1e-8


def axis_angle_to_quaternion(axis_angle: Array) -> Array:
    """Turn axis-angle (..., 3) into unit quaternions (..., 4)."""
    xp = namespace(axis_angle)
    squared = (axis_angle ** 2).sum(-1)[..., None]
    small = squared < _SMALL
    angle = xp.where(small, 1.0, squared) ** 0.5  # the series replaces it where it is small
    real = xp.where(small, 1 - squared / 8, xp.cos(angle / 2))
    scale = xp.where(small, 0.5 - squared / 48, xp.sin(angle / 2) / angle)
    return xp.concatenate([real, axis_angle * scale], -1)


def quaternion_to_axis_angle(quaternion: Array) -> Array:
    """Turn unit quaternions (..., 4) into axis-angle (..., 3) with an angle of at most pi."""
    xp = namespace(quaternion)
    real, imaginary = quaternion[..., :1], quaternion[..., 1:]
    sign = 1 - 2 * like(real < 0, real)  # q and -q are one rotation; take the short way
    squared = (imaginary ** 2).sum(-1)[..., None]
    small = squared < _SMALL
    sine = xp.where(small, 1.0, squared) ** 0.5
    scale = xp.where(small, 2 + squared / 3, 2 * xp.arctan2(sine, real * sign) / sine)
    return imaginary * sign * scale


def quaternion_to_matrix(quaternion: Array) -> Array:
    """Turn quaternions (..., 4) of any length but zero into matrices (..., 3, 3)."""
    xp = namespace(quaternion)
    unit = quaternion / norm(quaternion)
    w, x, y, z = (unit[..., i] for i in range(4))
    rows = [xp.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
            xp.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
            xp.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1)]
    return xp.stack(rows, -2)


def matrix_to_quaternion(matrix: Array) -> Array:
    """Turn matrices (..., 3, 3) into unit quaternions (..., 4).

    Four times one component of the quaternion times the quaternion itself is linear in the matrix; the branches
    (Mike Day, "Converting a rotation matrix to a quaternion") pick a component that is at least 1/2 and make it
    positive. Official: the same branches as MotionBERT ``rotation_matrix_to_quaternion``, signs included.
    """
    xp = namespace(matrix)
    m = [[matrix[..., row, column] for column in range(3)] for row in range(3)]
    xx, yy, zz = m[0][0], m[1][1], m[2][2]
    wx, wy, wz = m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]
    xy, xz, yz = m[0][1] + m[1][0], m[0][2] + m[2][0], m[1][2] + m[2][1]
    by_w = xp.stack([1 + xx + yy + zz, wx, wy, wz], -1)
    by_x = xp.stack([wx, 1 + xx - yy - zz, xy, xz], -1)
    by_y = xp.stack([wy, xy, 1 - xx + yy - zz, yz], -1)
    by_z = xp.stack([wz, xz, yz, 1 - xx - yy + zz], -1)
    upper = xp.where((xx > yy)[..., None], by_x, by_y)
    lower = xp.where((xx < -yy)[..., None], by_z, by_w)
    scaled = xp.where((zz < 1e-6)[..., None], upper, lower)
    return scaled / norm(scaled)


def axis_angle_to_matrix(axis_angle: Array) -> Array:
    """Turn axis-angle (..., 3) into matrices (..., 3, 3)."""
    return quaternion_to_matrix(axis_angle_to_quaternion(axis_angle))


def matrix_to_axis_angle(matrix: Array) -> Array:
    """Turn matrices (..., 3, 3) into axis-angle (..., 3) with an angle of at most pi."""
    return quaternion_to_axis_angle(matrix_to_quaternion(matrix))


def rotation_6d_to_matrix(six: Array, eps: float = 1e-6) -> Array:
    """Orthonormalise six numbers (..., 6) into matrices (..., 3, 3).

    Zhou et al., "On the Continuity of Rotation Representations in Neural Networks", CVPR 2019.

    Args:
        six: (..., 6) two columns, interleaved.
        eps: lengths below it are not scaled up. Official: a zero or parallel column gives a zero column.
    """
    xp = namespace(six)
    first = _unit(six[..., 0::2], eps)
    second = six[..., 1::2]
    second = _unit(second - (first * second).sum(-1)[..., None] * first, eps)
    return xp.stack([first, second, cross(first, second)], -1)


def matrix_to_rotation_6d(matrix: Array) -> Array:
    """Take the first two columns of matrices (..., 3, 3), interleaved: (..., 6)."""
    return matrix[..., :2].reshape(*matrix.shape[:-2], 6)


def quaternion_conjugate(quaternion: Array) -> Array:
    """Invert unit quaternions (..., 4)."""
    return quaternion * like([1.0, -1.0, -1.0, -1.0], quaternion)


def rotate_by_quaternion(quaternion: Array, vectors: Array) -> Array:
    """Rotate vectors (..., 3) by unit quaternions (..., 4); leading axes broadcast."""
    real, imaginary = quaternion[..., :1], quaternion[..., 1:]
    once = cross(imaginary, vectors)
    return vectors + 2 * (real * once + cross(imaginary, once))


def _unit(vectors: Array, eps: float) -> Array:
    """Scale vectors (..., 3) to length one, those shorter than ``eps`` by 1 / eps."""
    return vectors / namespace(vectors).clip(norm(vectors), eps, None)
