"""Alignment of a predicted pose to the true one, frame by frame, before an error is measured."""
from __future__ import annotations

from motionbert_mm.geometry.array import Array, namespace


def procrustes_align(pred: Array, gt: Array) -> Array:
    """Align poses by the similarity transform (scale, rotation, translation) of least squared error.

    Reflections are excluded (Umeyama, 1991). A prediction without extent is put on the mean of ``gt``.

    Args:
        pred: (..., J, 3), each (J, 3) aligned on its own.
        gt: as ``pred``, same unit.

    Returns:
        (..., J, 3) aligned ``pred`` in the frame of ``gt``.
    """
    _check(pred, gt)
    xp = namespace(pred)
    mean_pred, mean_gt = (pose.mean(-2)[..., None, :] for pose in (pred, gt))
    centred_pred, centred_gt = pred - mean_pred, gt - mean_gt
    left, stretch, right = xp.linalg.svd(xp.swapaxes(centred_pred, -1, -2) @ centred_gt)
    # The last axis carries the least variance; turning it around makes a reflection a rotation.
    handedness = xp.sign(xp.linalg.det(left) * xp.linalg.det(right))[..., None]
    signs = xp.concatenate([xp.ones_like(stretch[..., :2]), handedness], -1)
    rotation = (left * signs[..., None, :]) @ right
    scale = (stretch * signs).sum(-1) / _nonzero((centred_pred ** 2).sum((-1, -2)))
    return scale[..., None, None] * (centred_pred @ rotation) + mean_gt


def scale_align(pred: Array, gt: Array) -> Array:
    """Scale poses, without moving or turning them, to the least squared error.

    Args:
        pred: (..., J, 3) root-relative, each (J, 3) scaled on its own.
        gt: as ``pred``, same unit.

    Returns:
        (..., J, 3) scaled ``pred``; the gradient flows through the scale.
    """
    _check(pred, gt)
    scale = (pred * gt).sum((-1, -2)) / _nonzero((pred ** 2).sum((-1, -2)))
    return scale[..., None, None] * pred


def fit_scale_and_shift(points: Array, target: Array, weight: Array) -> tuple[Array, Array]:
    """Find the scale s and the shift t of the least weighted squared error of s * points + t to the target.

    In closed form: with means over the points taken away from both, s is their product over the square of the points,
    and t takes one mean to the other.

    Args:
        points: (..., J, C), each (J, C) fitted on its own.
        target: as ``points``.
        weight: (..., J), not negative. Points without weight, or without extent, give s = 0.

    Returns:
        The scale (...) and the shift (..., C). The scale is negative where a mirrored set of points fits better.
    """
    _check(points, target)
    share = (weight / _nonzero(weight.sum(-1))[..., None])[..., None]
    mean_points, mean_target = ((share * each).sum(-2)[..., None, :] for each in (points, target))
    centred = points - mean_points
    scale = (share * centred * (target - mean_target)).sum((-1, -2)) / _nonzero((share * centred ** 2).sum((-1, -2)))
    return scale, (mean_target - scale[..., None, None] * mean_points)[..., 0, :]


def _nonzero(values: Array) -> Array:
    """Replace zeros by ones, so that a division by them leaves a zero numerator zero."""
    return namespace(values).where(values == 0, 1.0, values)


def _check(pred: Array, gt: Array) -> None:
    """Refuse poses that would broadcast into wrong pairs."""
    if tuple(pred.shape) != tuple(gt.shape):
        raise ValueError(f'prediction and ground truth must have one shape (..., J, C), '
                         f'got {tuple(pred.shape)} and {tuple(gt.shape)}.')
