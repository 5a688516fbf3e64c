"""Coordinate normalisations, each with its inverse.

Every rule here maps a square of the image to [-1, 1] x [-1, 1]; the rules differ only in which square. The third
channel of a point, where there is one, is a depth in the unit of the first two and shares their scale.
"""
from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Union

import numpy as np

from motionbert_mm.geometry.array import Array, align, like, namespace, take_joints
from motionbert_mm.geometry.camera import project

# Side of the box around the root whose image fixes the scale of image-space depth, millimetres.
# Official: LCN tools/gendb.py, the source of MotionBERT's Human3.6M file.
ROOT_BOX = 2000.0
# Official: MotionBERT lib/utils/utils_data.py crop_scale gives up on clips with fewer valid points.
MIN_VALID_POINTS = 4


def screen_to_unit(points: Array, image_size: Any) -> Array:
    """Scale pixels so that the image width spans [-1, 1], keeping the aspect ratio.

    Args:
        points: (..., 2) pixels, origin top left; or (..., 3) with a depth in pixels from the root.
        image_size: (..., 2) width and height in pixels; leading axes are those of ``points``, from the left.

    Returns:
        Points with x in [-1, 1] and y in [-height / width, height / width]; depth times 2 / width.
    """
    return _to_unit(points, *_screen_square(points, image_size))


def unit_to_screen(points: Array, image_size: Any) -> Array:
    """Undo ``screen_to_unit``; arguments as there."""
    return _from_unit(points, *_screen_square(points, image_size))


def screen_box(image_size: Array) -> Array:
    """Return the square that ``screen_to_unit`` maps, as a box for ``uncrop``.

    Args:
        image_size: (B, 2) width and height in pixels.

    Returns:
        (B, 3) centre x, centre y and side in pixels.
    """
    return namespace(image_size).concatenate([image_size / 2, image_size[:, :1]], -1)


def min_side_to_unit(points: Array, image_size: Any) -> Array:
    """Scale pixels so that the shorter image side spans [-1, 1] around the image centre.

    Official: MotionBERT's in-the-wild inference with ``--pixel``.

    Args:
        points: (..., 2 or 3) pixels, origin top left.
        image_size: (..., 2) width and height in pixels.
    """
    return _to_unit(points, *_min_side_square(points, image_size))


def unit_to_min_side(points: Array, image_size: Any) -> Array:
    """Undo ``min_side_to_unit``; a depth comes back in pixels."""
    return _from_unit(points, *_min_side_square(points, image_size))


def max_side_to_unit(points: Array, image_size: Any) -> Array:
    """Divide pixels by half the longer image side and subtract 1 on both axes.

    Official: ``make_cam`` of MotionBERT's action data. The shorter axis is not centred; use ``screen_to_unit``
    for anything but official action weights.

    Args:
        points: (..., 2) pixels, origin top left.
        image_size: (..., 2) width and height in pixels.
    """
    half = namespace(points).amax(align(image_size, points), -1)[..., None] / 2
    return _to_unit(points, half, half)


def crop_scale(keypoints: Array, confidence: Array, ratio: Any = 1.0, clip: bool = True) -> tuple[Array, Array, Array]:
    """Map the square around each clip's valid keypoints to [-1, 1].

    One square serves all persons and frames of a clip. Official: MotionBERT ``crop_scale``, where clipping also
    touches the confidence, and a clip with fewer than 4 valid keypoints or without extent becomes all zero.

    Args:
        keypoints: (B, ..., 2) pixels; axes between are persons, frames and joints.
        confidence: (B, ...); a keypoint counts where it is not 0, but all keypoints are mapped.
        ratio: scalar or (B,); multiplies the side of the square, so that 2 makes the person half as large.
        clip: limit the result to [-1, 1]; only points inside the square can be mapped back.

    Returns:
        Points (B, ..., 2), confidence (B, ...) and box (B, 3) = centre x, centre y and side in pixels for
        ``uncrop``; the side of a box without extent is 0.
    """
    xp = namespace(keypoints)
    valid = (confidence != 0)[..., None]
    low, _ = _bounds(xp.where(valid, keypoints, float('inf')))
    _, high = _bounds(xp.where(valid, keypoints, -float('inf')))
    enough = (valid.reshape(len(keypoints), -1).sum(-1) >= MIN_VALID_POINTS)[:, None]
    low, high = (xp.where(enough, bound, 0.0) for bound in (low, high))
    box = _box(low, high, ratio)
    points = _crop(keypoints, box)
    confidence = xp.where(align(box[:, 2:], keypoints)[..., 0] > 0, confidence, 0.0)
    if clip:
        points, confidence = xp.clip(points, -1.0, 1.0), xp.clip(confidence, -1.0, 1.0)
    return points, confidence, box


def uncrop(points: Array, box: Array) -> Array:
    """Undo ``crop_scale`` for points (B, ..., 2 or 3) with its box (B, 3); a depth comes back in pixels."""
    box = align(box, points)
    return _from_unit(points, box[..., :2], box[..., 2:] / 2)


def crop_scale_3d(keypoints: Array, ratio: Any = 1.0) -> Array:
    """Map the square around each clip's x and y, with depth from the first frame's root, to [-1, 1].

    Official: MotionBERT ``crop_scale_3d``, for parity. Unlike ``crop_scale`` it divides the square by ``ratio``,
    uses every point, does not clip, and shifts the depth by -1 along with x and y.

    Args:
        keypoints: (B, T, J, 3) in any unit, joint 0 the root.
        ratio: scalar or (B,).
    """
    xp = namespace(keypoints)
    box = _box(*_bounds(keypoints[..., :2]), 1.0 / like(ratio, keypoints))
    depth = keypoints[..., 2:] - keypoints[:, :1, :1, 2:]
    cropped = _crop(xp.concatenate([keypoints[..., :2], depth], -1), box)
    has_extent = align(box[:, 2:], keypoints) > 0
    return xp.concatenate([cropped[..., :2], xp.where(has_extent, cropped[..., 2:] - 1, 0.0)], -1)


def root_relative(points: Array, root: int) -> Array:
    """Subtract the root joint from all joints of points (..., J, C)."""
    if isinstance(points, np.ndarray) and points.dtype == np.float32:
        # The same, several times faster: the root is repeated by a product with zeros and ones, which is exact.
        rows = points.reshape(-1, points.shape[-2] * points.shape[-1])
        with np.errstate(all='ignore'):  # a root that is not finite has no x, y or z after it
            repeated = points[..., root, :].reshape(-1, points.shape[-1]) @ _repeater(*points.shape[-2:])
        return np.subtract(rows, repeated, out=repeated).reshape(points.shape)
    return points - points[..., root:root + 1, :]


def flip(points: Array, flip_indices: Sequence[int]) -> Array:
    """Mirror a pose: negate x and exchange left and right.

    Args:
        points: (..., J, C) centred at x = 0: normalised coordinates, or camera coordinates in millimetres.
            Channels after x (a depth, a confidence) are exchanged but not negated.
        flip_indices: (J,) from ``Skeleton.flip_indices``.
    """
    exchanged = take_joints(points, flip_indices, axis=-2)
    return exchanged * like([-1.0] + [1.0] * (points.shape[-1] - 1), points)


def flip_pixels(points: Array, flip_indices: Sequence[int], width: Any) -> Array:
    """Mirror a pose inside an image: x becomes width - x, left and right are exchanged.

    Args:
        points: (..., J, C) pixels, origin top left.
        flip_indices: (J,) from ``Skeleton.flip_indices``.
        width: image width in pixels, a scalar or leading axes of ``points``.
    """
    xp = namespace(points)
    width = align(like(width, points)[..., None], points)
    return flip(points, flip_indices) + xp.concatenate([width] + [0 * width] * (points.shape[-1] - 1), -1)


def image_space_3d(points: Array, intrinsics: Any, root: int) -> Array:
    """Turn camera-frame points into image space: pixels, and depth from the root in pixels at the root's depth.

    Official: the "2.5D" labels of MotionBERT's Human3.6M file, built by LCN ``tools/gendb.py``.

    Args:
        points: (..., J, 3) millimetres, camera frame, z > 0.
        intrinsics: (..., 4) = fx, fy, cx, cy in pixels; leading axes are those of ``points``.
        root: index of the root joint.

    Returns:
        (..., J, 3) pixels.
    """
    root_depth = points[..., root, 2]
    factor = image_space_factor(root_depth, intrinsics)[..., None, None]
    depth = (points[..., 2:] - root_depth[..., None, None]) / factor
    return namespace(points).concatenate([project(points, intrinsics), depth], -1)


def camera_space_3d(points: Array, intrinsics: Any, root_depth: Array) -> Array:
    """Undo ``image_space_3d``.

    Args:
        points: (..., J, 3) pixels, depth from the root.
        intrinsics: (..., 4) = fx, fy, cx, cy in pixels.
        root_depth: (...) distance of the root along z in millimetres, leading axes of ``points``.

    Returns:
        (..., J, 3) millimetres, camera frame.
    """
    camera = align(intrinsics, points)
    factor = image_space_factor(root_depth, intrinsics)[..., None, None]
    depth = points[..., 2:] * factor + root_depth[..., None, None]
    plane = (points[..., :2] - camera[..., 2:4]) / camera[..., :2] * depth
    return namespace(points).concatenate([plane, depth], -1)


def image_space_factor(root_depth: Array, intrinsics: Any) -> Array:
    """Millimetres per pixel of image-space points: the size of ``ROOT_BOX`` over that of its image.

    Args:
        root_depth: (...) millimetres.
        intrinsics: (..., 4) pixels, leading axes of ``root_depth``.
    """
    focal = align(intrinsics, root_depth[..., None])[..., 0]
    # Official: the box counts its border pixels, hence + 1.
    return ROOT_BOX / (ROOT_BOX * focal / root_depth + 1.0)


def _screen_square(points: Array, image_size: Any) -> tuple[Array, Array]:
    """Centre and half side of the square around the image centre that is as wide as the image."""
    size = align(image_size, points)
    return size / 2, size[..., :1] / 2


def _min_side_square(points: Array, image_size: Any) -> tuple[Array, Array]:
    """Centre and half side of the largest square in the middle of the image."""
    size = align(image_size, points)
    return size / 2, namespace(points).amin(size, -1)[..., None] / 2


def _to_unit(points: Array, centre: Array, half: Array) -> Array:
    """Map a square (centre (..., 1 or 2), half side (..., 1)) to [-1, 1]."""
    centre = _with_depth(centre, points)
    if _are_pairs(points, centre, half):
        # The same, several times faster: x and y as one number leave long loops over the points of a clip.
        unit = (_as_numbers(points) - _as_numbers(np.broadcast_to(centre, (*centre.shape[:-1], 2)))).view(np.float32)
        return np.divide(unit, half[..., 0], out=unit).reshape(points.shape)
    return (points - centre) / half


def _are_pairs(points: Array, centre: Array, half: Array) -> bool:
    """Return whether (B, ..., J, 2) are float32 in one piece, and centre and half side the same for all J."""
    return (isinstance(points, np.ndarray) and points.shape[-1] == 2 and points.flags.c_contiguous and
            {values.dtype for values in (points, centre, half)} == {np.dtype(np.float32)} and
            points.ndim > 1 and centre.shape[-2:-1] == half.shape[-2:-1] == (1,))


def _as_numbers(pairs: np.ndarray) -> np.ndarray:
    """View float32 pairs (..., 2) as complex numbers (...)."""
    return np.ascontiguousarray(pairs).view(np.complex64)[..., 0]


@cache
def _repeater(joints: int, channels: int) -> np.ndarray:
    """Return the matrix of zeros and ones (C, J * C) that repeats a point for every joint."""
    return np.tile(np.eye(channels, dtype=np.float32), joints)


def _from_unit(points: Array, centre: Array, half: Array) -> Array:
    """Undo ``_to_unit``."""
    return points * half + _with_depth(centre, points)


def _with_depth(centre: Array, points: Array) -> Array:
    """Give a centre a zero third channel where the points have one."""
    if points.shape[-1] not in (2, 3):
        raise ValueError(f'points need 2 or 3 channels (x, y and depth) on their last axis, '
                         f'got shape {tuple(points.shape)}.')
    if points.shape[-1] == 2:
        return centre
    x, y = centre[..., :1], centre[..., -1:]
    return namespace(points).concatenate([x, y, 0 * x], -1)


def _bounds(points: Array) -> tuple[Array, Array]:
    """Smallest and largest coordinate of each clip: (B, ..., C) -> two of (B, C)."""
    xp = namespace(points)
    flat = points.reshape(len(points), -1, points.shape[-1])
    return xp.amin(flat, 1), xp.amax(flat, 1)


def _box(low: Array, high: Array, ratio: Union[float, Array]) -> Array:
    """Centre and side (B, 3) of the square around bounds (B, 2), its side multiplied by ratio."""
    xp = namespace(low)
    side = xp.amax(high - low, -1) * like(ratio, low)
    return xp.concatenate([(low + high) / 2, side[:, None]], -1)


def _crop(points: Array, box: Array) -> Array:
    """Map each clip's box to [-1, 1]; a clip whose box has no extent becomes zero."""
    xp = namespace(points)
    box = align(box, points)
    half = box[..., 2:] / 2
    safe = xp.where(half > 0, half, 1.0)
    return xp.where(half > 0, _to_unit(points, box[..., :2], safe), 0.0)
