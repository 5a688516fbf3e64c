"""Lengths of limbs and angles between them."""
from __future__ import annotations

from collections.abc import Sequence

from motionbert_mm.geometry.array import Array, namespace, norm, take_joints

# Thigh and shank over stature, 0.245 + 0.246 (Drillis and Contini 1966), of an adult 1.70 m tall, millimetres.
ADULT_LEG = 0.491 * 1700.0
# Keeps arccos away from its infinite slope. Official: MotionBERT lib/model/loss.py get_angles.
_COSINE_MARGIN = 1e-7
# Official: the smallest product of lengths in torch's cosine_similarity.
_MIN_LENGTH = 1e-8


def bone_vectors(points: Array, limbs: Sequence[tuple[int, int]]) -> Array:
    """Vectors from parent to child.

    Args:
        points: (..., J, C) in any unit.
        limbs: L pairs (parent, child), such as ``Skeleton.limbs``.

    Returns:
        (..., L, C) in the unit of ``points``.
    """
    parents, children = zip(*limbs)
    return take_joints(points, children, axis=-2) - take_joints(points, parents, axis=-2)


def bone_lengths(points: Array, limbs: Sequence[tuple[int, int]]) -> Array:
    """Lengths (..., L) of the limbs of points (..., J, C), in their unit."""
    return norm(bone_vectors(points, limbs))[..., 0]


def limb_angles(points: Array, limbs: Sequence[tuple[int, int]], pairs: Sequence[tuple[int, int]]) -> Array:
    """Angles between limbs.

    Args:
        points: (..., J, C) in any unit.
        limbs: L pairs (parent, child) of joints.
        pairs: P pairs of indices into ``limbs``.

    Returns:
        (..., P) radians in [0, pi]; 0 where the two limbs point the same way.
    """
    xp = namespace(points)
    vectors = bone_vectors(points, limbs)
    first, second = (take_joints(vectors, limb, axis=-2) for limb in zip(*pairs))
    lengths = xp.clip(norm(first) * norm(second), _MIN_LENGTH, None)[..., 0]
    cosines = (first * second).sum(-1) / lengths
    return xp.arccos(xp.clip(cosines, -1 + _COSINE_MARGIN, 1 - _COSINE_MARGIN))


def assumed_scale(points: Array, legs: Sequence[tuple[int, int]]) -> Array:
    """Millimetres per unit that give a person of unknown scale the legs of an average adult.

    Args:
        points: (..., T, J, 3) in one unknown unit.
        legs: thighs and shanks of both sides as pairs of joints, ``Skeleton.legs``.

    Returns:
        (..., 1), one scale for all T frames.
    """
    leg = bone_lengths(points, legs).sum(-1) / 2  # (..., T)
    return ADULT_LEG / namespace(points).clip(leg.mean(-1), _MIN_LENGTH, None)[..., None]
