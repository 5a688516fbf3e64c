"""What a lifter regresses: 3D targets in normalised units, each with its way back to millimetres.

A row of ``TARGETS`` pairs an encoder with a decoder. The encoder returns the target and a ``norm`` record
(name of the row and arrays with one entry per sample) that travels in the metainfo; the decoder reads
nothing else. ``NormalizeCoords`` adds to the record what leads back from the 2D input, see ``decode_input``.
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
    uncrop,
    unit_to_screen,
)

Limbs = Sequence[tuple]  # pairs of joint indices

UNIT_MM = 1000.0  # of a unit of root-relative targets, unless they say another


def encode_root_relative(keypoints_3d: Optional[np.ndarray], root: int, meta: dict) -> tuple:
    """Express (B, M, T, J, 3) millimetres relative to the root of each frame, in metres or ``meta['unit_mm']``."""
    unit_mm = meta.get('unit_mm', UNIT_MM)
    scale = np.full(len(meta['sample_id']), unit_mm, np.float32)
    target = None if keypoints_3d is None else root_relative(keypoints_3d, root) / unit_mm
    return target, {'target': 'root_relative', 'root': _shared(root, scale), 'scale': scale}


def decode_root_relative(output: Tensor, norm: dict, legs: Limbs) -> Tensor:
    """Invert ``encode_root_relative``; the root, which the network predicts too, is set to zero."""
    millimetres = output * _per_sample(norm['scale'], output)
    return _with_zero_root(millimetres, int(norm['root'][0]))


def encode_image_space(keypoints_3d: Optional[np.ndarray], root: int, meta: dict) -> tuple:
    """Express (B, M, T, J, 3) millimetres as MotionBERT's 2.5D pose, relative to the root.

    x and y are the projection in pixels, z is the depth behind the root in pixels at the root's scale; all
    are divided by half the image width. Where ``meta`` holds the pose in pixels already (``keypoints_image``, from
    official files or an orthographic view), it is taken as it is. The millimetres per pixel of each frame go into
    the record; without 3D truth they are unknown, NaN.
    """
    unit, record = _image_space(keypoints_3d, root, meta, 'image_space')
    return None if unit is None else root_relative(unit, root), record


def decode_image_space(output: Tensor, norm: dict, legs: Limbs) -> Tensor:
    """Invert ``encode_image_space``: (B, M, T, J, 3) weak-perspective millimetres, root at zero.

    Where the scale is unknown, the person is taken for an adult of average size, see ``assumed_scale``.
    Where the record knows the true 2D input, it replaces the predicted x and y (official ``gt_2d``).
    """
    root = int(norm['root'][0])
    return root_relative(_millimetres(_with_zero_root(output, root), norm, legs), root)


def encode_image_space_global(keypoints_3d: Optional[np.ndarray], root: int, meta: dict) -> tuple:
    """As ``encode_image_space``, but keep the place in the image and the root's depth from its first frame.

    Official: ``rootrel: False`` of MotionBERT (configs MB_ft_h36m_global).
    """
    unit, record = _image_space(keypoints_3d, root, meta, 'image_space_global')
    if unit is not None:
        start = unit[:, :, :1, root:root + 1, 2]  # (B, M, 1, 1)
        unit = np.concatenate([unit[..., :2], (unit[..., 2] - start)[..., None]], axis=-1)
    return unit, record


def decode_image_space_global(output: Tensor, norm: dict, legs: Limbs) -> Tensor:
    """Invert ``encode_image_space_global``: weak-perspective millimetres from the middle of the image."""
    return _millimetres(output, norm, legs)


def _image_space(keypoints_3d: Optional[np.ndarray], root: int, meta: dict, name: str) -> tuple:
    """Return the 2.5D pose in units of half the image width, not centred, and the record."""
    image_size = meta['image_size']
    record = {'target': name, 'root': _shared(root, image_size), 'image_size': image_size}
    unknown = np.full((len(image_size), 1, 1), np.nan, np.float32)
    if 'keypoints_image' in meta:
        return (screen_to_unit(meta['keypoints_image'], image_size),
                {**record, 'factor': meta.get('image_factor', unknown)})
    if keypoints_3d is None:
        return None, {**record, 'factor': unknown}
    # Absent persons are all zero, which projects to nothing finite; in front of the camera their target is zero.
    is_absent = ~keypoints_3d.any(axis=(-2, -1))  # (B, M, T)
    keypoints_3d = keypoints_3d + is_absent[..., None, None] * np.array([0.0, 0.0, UNIT_MM], keypoints_3d.dtype)
    unit = screen_to_unit(image_space_3d(keypoints_3d, meta['intrinsics'], root), image_size)
    return unit, {**record, 'factor': image_space_factor(keypoints_3d[..., root, 2], meta['intrinsics'])}


def _millimetres(output: Tensor, norm: dict, legs: Limbs) -> Tensor:
    """Scale a 2.5D pose (B, M, T, J, 3) in units of half the image width to millimetres."""
    if 'xy' in norm:
        given = torch.as_tensor(norm['xy'], dtype=output.dtype, device=output.device)
        output = torch.cat([given, output[..., 2:]], dim=-1)
    image_size = _per_sample(norm['image_size'], output)
    pixels = unit_to_screen(output, image_size) - unit_to_screen(torch.zeros_like(output), image_size)
    factor = torch.as_tensor(norm['factor'], dtype=output.dtype, device=output.device)  # (B, M, T) mm per pixel
    if factor.isnan().any():
        factor = torch.where(factor.isnan(), assumed_scale(pixels, legs), factor)
    return pixels * factor[..., None, None]


TARGETS = {
    'root_relative': (encode_root_relative, decode_root_relative),
    'image_space': (encode_image_space, decode_image_space),
    'image_space_global': (encode_image_space_global, decode_image_space_global),
}


def encode_target(name: str, keypoints_3d: Optional[np.ndarray], root: int, meta: dict) -> tuple:
    """Encode (B, M, T, J, 3) millimetres by the row ``name``.

    Args:
        name: a row of ``TARGETS``.
        keypoints_3d: the truth, or None at inference.
        root: index of the root joint.
        meta: the batch's metainfo: sample_id, image_size (B, 2), intrinsics (B, 4); and, if they are not metres, the
            units of root-relative targets, unit_mm.

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
    return _row(norm.get('target'))[1](output, norm, legs)


def decode_input(points: Tensor, norm: dict) -> Tensor:
    """Bring 2D points in the units of the network's input back to the image.

    Args:
        points: (B, M, T, J, 2) in the units of ``inputs``.
        norm: the record of ``NormalizeCoords``; its ``input_box`` (B, 3) is the square that spans [-1, 1].

    Returns:
        (B, M, T, J, 2) pixels, origin top left. Where ``crop_scale`` clipped the input, so is what comes back.
    """
    if 'input_box' not in norm:
        raise KeyError(f'the norm record knows {sorted(norm)}, but not input_box, the square of the image that the '
                       'input spans; make the inputs with NormalizeCoords')
    return uncrop(points, norm['input_box'])


def _row(name: Optional[str]) -> tuple:
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
