"""Rotations as axis-angle, matrix, unit quaternion and six numbers.

Conventions: axis-angle (..., 3) in radians; matrices (..., 3, 3) act on column vectors; quaternions (..., 4) are
(w, x, y, z); six numbers (..., 6) are the first two columns of a matrix, interleaved as in SPIN:
(m00, m01, m10, m11, m20, m21). Every function has a finite gradient everywhere, the identity included.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

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


def average_rotations(matrices: Array, weights: Optional[Any] = None) -> Array:
    """Average K rotations each: the rotation that is nearest to all of them.

    The chordal L2 mean (Hartley et al., "Rotation Averaging", IJCV 2013, section 5.3): the rotation of the least
    weighted sum of squared Frobenius distances. It is the projection of the weighted sum of the matrices, by its
    singular values, and does not depend on their order. Where the nearest rotation is not unique, as between two that
    are half a turn apart, it is one of them. Gradients are not meant to flow.

    Args:
        matrices: (..., K, 3, 3) rotations.
        weights: (K,) or (..., K), none negative; not all zero. None weighs all alike.

    Returns:
        (..., 3, 3) proper rotations, of the kind and type of ``matrices``.
    """
    xp = namespace(matrices)
    weighted = matrices if weights is None else matrices * like(weights, matrices)[..., None, None]
    left, _, right = xp.linalg.svd(weighted.sum(-3))
    # The last axis matters least; turning it around makes a reflection a rotation.
    handedness = xp.sign(xp.linalg.det(left) * xp.linalg.det(right))[..., None]
    signs = xp.concatenate([xp.ones_like(left[..., 0, :2]), handedness], -1)
    return (left * signs[..., None, :]) @ right


def mirror_axis_angle(axis_angle: Array, flip_indices: Sequence[int]) -> Array:
    """Mirror a pose at the plane x = 0: swap left and right joints, keep x and turn y and z of each rotation vector.

    As matrices, each rotation R becomes M R M with M = diag(-1, 1, 1).

    Args:
        axis_angle: (..., J, 3) radians.
        flip_indices: for each joint its mirror, e.g. ``get_skeleton('smpl24').flip_indices``.

    Returns:
        (..., J, 3), a new array.
    """
    return axis_angle[..., list(flip_indices), :] * like([1.0, -1.0, -1.0], axis_angle)


def mirror_matrix(matrix: Array, flip_indices: Sequence[int]) -> Array:
    """Mirror matrices (..., J, 3, 3) as ``mirror_axis_angle`` mirrors axis-angle."""
    signs = like([[1.0, -1.0, -1.0], [-1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]], matrix)
    return matrix[..., list(flip_indices), :, :] * signs


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
