"""What a lifter regresses: 3D targets in normalised units, each with its way back to millimetres.

A row of ``TARGETS`` pairs an encoder with a decoder. The encoder returns the target and a ``norm`` record
(name of the row and arrays with one entry per sample) that travels in the metainfo; the decoder reads
nothing else.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor

from motionbert_mm.geometry.bones import assumed_scale
from motionbert_mm.geometry.coords import (
    image_space_3d,
    image_space_factor,
    root_relative,
    screen_to_unit,
    unit_to_screen,
)

Limbs = Sequence[tuple]  # pairs of joint indices

UNIT_MM = 1000.0


def encode_root_relative(keypoints_3d: Optional[np.ndarray], root: int, meta: dict) -> tuple:
    """Express (B, M, T, J, 3) millimetres relative to the root of each frame, in metres."""
    scale = np.full(len(meta['sample_id']), UNIT_MM, np.float32)
    target = None if keypoints_3d is None else root_relative(keypoints_3d, root) / UNIT_MM
    return target, {'target': 'root_relative', 'root': _shared(root, scale), 'scale': scale}


def decode_root_relative(output: Tensor, norm: dict, legs: Limbs) -> Tensor:
    """Invert ``encode_root_relative``; the root, which the network predicts too, is set to zero."""
    millimetres = output * _per_sample(norm['scale'], output)
    return _with_zero_root(millimetres, int(norm['root'][0]))


def encode_image_space(keypoints_3d: Optional[np.ndarray], root: int, meta: dict) -> tuple:
    """Express (B, M, T, J, 3) millimetres as MotionBERT's 2.5D pose, relative to the root.

    x and y are the projection in pixels, z is the depth behind the root in pixels at the root's scale; all
    are divided by half the image width. The millimetres per pixel of each frame go into the record; without
    3D truth they are unknown, NaN.
    """
    image_size = meta['image_size']
    record = {'target': 'image_space', 'root': _shared(root, image_size), 'image_size': image_size}
    if keypoints_3d is None:
        return None, {**record, 'factor': np.full((len(image_size), 1, 1), np.nan, np.float32)}
    # Absent persons are all zero, which projects to nothing finite; in front of the camera their target is zero.
    is_absent = ~keypoints_3d.any(axis=(-2, -1))  # (B, M, T)
    keypoints_3d = keypoints_3d + is_absent[..., None, None] * np.array([0.0, 0.0, UNIT_MM], keypoints_3d.dtype)
    unit = screen_to_unit(image_space_3d(keypoints_3d, meta['intrinsics'], root), image_size)
    factor = image_space_factor(keypoints_3d[..., root, 2], meta['intrinsics'])  # (B, M, T)
    return root_relative(unit, root), {**record, 'factor': factor}


def decode_image_space(output: Tensor, norm: dict, legs: Limbs) -> Tensor:
    """Invert ``encode_image_space``: (B, M, T, J, 3) weak-perspective millimetres, root at zero.

    Where the scale is unknown, the person is taken for an adult of average size, see ``assumed_scale``.
    """
    image_size = _per_sample(norm['image_size'], output)
    pixels = unit_to_screen(output, image_size) - unit_to_screen(torch.zeros_like(output), image_size)
    factor = torch.as_tensor(norm['factor'], dtype=output.dtype, device=output.device)  # (B, M, T) mm per pixel
    if factor.isnan().any():
        factor = torch.where(factor.isnan(), assumed_scale(pixels, legs), factor)
    return _with_zero_root(pixels * factor[..., None, None], int(norm['root'][0]))


TARGETS = {
    'root_relative': (encode_root_relative, decode_root_relative),
    'image_space': (encode_image_space, decode_image_space),
}


def encode_target(name: str, keypoints_3d: Optional[np.ndarray], root: int, meta: dict) -> tuple:
    """Encode (B, M, T, J, 3) millimetres by the row ``name``.

    Args:
        name: a row of ``TARGETS``.
        keypoints_3d: the truth, or None at inference.
        root: index of the root joint.
        meta: the batch's metainfo: sample_id, image_size (B, 2), intrinsics (B, 4).

    Returns:
        The target (None without truth) and the ``norm`` record.
    """
    return _row(name)[0](keypoints_3d, root, meta)


def decode_target(output: Tensor, norm: dict, legs: Limbs) -> Tensor:
    """Decode (B, M, T, J, 3) by the row that the record names: millimetres, root at zero.

    Args:
        output: of the network.
        norm: the record of ``encode_target``.
        legs: ``Skeleton.legs``, which give the scale where the record does not know it.
    """
    return _row(norm['target'])[1](output, norm, legs)


def _row(name: str) -> tuple:
    if name not in TARGETS:
        raise KeyError(f'unknown 3D target {name!r}; known are {sorted(TARGETS)}, set NormalizeCoords.target')
    return TARGETS[name]


def _shared(value: int, like: np.ndarray) -> np.ndarray:
    return np.full(len(like), value, np.int64)


def _per_sample(values: Any, output: Tensor) -> Tensor:
    """Shape (B,) or (B, K) for broadcasting against (B, M, T, J, C)."""
    tensor = torch.as_tensor(np.asarray(values), dtype=output.dtype, device=output.device)
    return tensor.reshape(len(tensor), 1, 1, 1, -1)


def _with_zero_root(points: Tensor, root: int) -> Tensor:
    points = points.clone()
    points[..., root, :] = 0.0
    return points
