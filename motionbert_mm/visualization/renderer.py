"""Render triangle meshes with NumPy alone: a z-buffer, orthographic projection, Lambert shading. No display is needed.

Points are in pixels of the picture: x right, y down, origin at the top left corner of the first pixel, and z, in the
same unit, away from the observer.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from motionbert_mm.geometry.surface import check_mesh, face_normals, vertex_normals

COLOR = (0.66, 0.77, 0.90)  # red, green, blue of a surface in full light
LIGHT = (-0.5, -0.7, -1.0)  # towards the lamp: left of, above and behind the observer
# Shares of the light: from all around, from where the observer stands, and from the lamp.
AMBIENT, FRONTAL, DIRECT = 0.32, 0.26, 0.5
CHUNK = 1 << 20  # pixels of faces that are drawn at a time
NO_AREA = 1e-12  # square pixels


@dataclass(frozen=True)
class Fragments:
    """What is nearest in each pixel.

    Attributes:
        face: (H, W) int, number of the face; -1 where there is none.
        weights: (H, W, 3) shares of its corners in the point that is seen; they sum to one.
        depth: (H, W) z of that point; infinity where there is none.
    """

    face: np.ndarray
    weights: np.ndarray
    depth: np.ndarray


def rasterize(points: np.ndarray, faces: np.ndarray, width: int, height: int) -> Fragments:
    """Find the nearest face in the centre of every pixel.

    Args:
        points: (V, 3) px.
        faces: (F, 3) int, of any winding.
        width: of the picture.
        height: of the picture.

    Raises:
        ValueError: see ``check_mesh``; or a picture without pixels.
    """
    points, faces = check_mesh(points, faces)
    _check_size(width, height)
    corners = points[faces]  # (F, corner, 3)
    planes, area = _corner_planes(corners)
    # Rows whose centres lie between the highest and the lowest corner.
    top = np.clip(np.ceil(corners[..., 1].min(axis=1) - 0.5), 0, height).astype(np.int64)
    bottom = np.clip(np.floor(corners[..., 1].max(axis=1) - 0.5), -1, height - 1).astype(np.int64)
    chosen = np.flatnonzero((bottom >= top) & (np.abs(area) > NO_AREA))
    face, row = _count_up(chosen, top[chosen], (bottom - top + 1)[chosen])
    first, last = _find_spans(planes[face], np.sign(area[face]), row + 0.5, width)
    depths = (planes * corners[..., 2:]).sum(axis=1) / np.where(np.abs(area) > NO_AREA, area, 1.0)[:, None]
    nearest, owner = np.full(height * width, np.inf), np.full(height * width, -1)
    for part in _split(last - first + 1):
        face_part, column = _count_up(face[part], first[part], last[part] - first[part] + 1)
        row_part = np.repeat(row[part], last[part] - first[part] + 1)
        _draw(face_part, row_part * width + column, _evaluate(depths[face_part], column, row_part), nearest, owner)
    shown = np.flatnonzero(owner >= 0)
    weights = np.zeros((height * width, 3))
    weights[shown] = _evaluate(planes[owner[shown]], shown[:, None] % width,
                               shown[:, None] // width) / area[owner[shown], None]
    return Fragments(owner.reshape(height, width), weights.reshape(height, width, 3), nearest.reshape(height, width))


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise ValueError(f'a picture has at least one pixel, got {width} x {height}')


def _corner_planes(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares of the corners as planes a x + b y + c, (F, corner, 3), and what to divide them by (F,)."""
    (x0, y0), (x1, y1), (x2, y2) = np.moveaxis(corners[..., :2], 0, -1)
    planes = [[y1 - y2, x2 - x1, x1 * y2 - x2 * y1], [y2 - y0, x0 - x2, x2 * y0 - x0 * y2],
              [y0 - y1, x1 - x0, x0 * y1 - x1 * y0]]
    return np.moveaxis(np.array(planes), -1, 0), (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)


def _count_up(owner: np.ndarray, first: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for every owner (N,), its ``counts`` numbers from ``first`` on, and the owner of each of them."""
    steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(owner, counts), np.repeat(first, counts) + steps


def _find_spans(planes: np.ndarray, side: np.ndarray, y: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and last column (N,) in which all shares are positive; the last is the smaller if there is none.

    Args:
        planes: (N, corner, 3) of faces.
        side: (N,) sign of their areas.
        y: (N,) middle of a row.
        width: of the picture.
    """
    slope, level = planes[..., 0] * side[:, None], (planes[..., 1] * y[:, None] + planes[..., 2]) * side[:, None]
    ends = -level / np.where(slope == 0, 1.0, slope)  # (N, corner) where the share is zero
    left = np.where(slope > 0, ends, -np.inf).max(axis=1)
    right = np.where(slope < 0, ends, np.inf).min(axis=1)
    is_outside = ((slope == 0) & (level < 0)).any(axis=1)
    # Neighbours share an edge; by rounding alone no pixel must fall between them.
    first = np.ceil(np.clip(left - 1e-9, 0, width) - 0.5).astype(np.int64)
    last = np.floor(np.clip(right + 1e-9, 0, width) - 0.5).astype(np.int64)
    return first, np.where(is_outside, first - 1, np.maximum(last, first - 1))


def _evaluate(planes: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return planes (..., 3) in the centres of pixels (...)."""
    return planes[..., 0] * (columns + 0.5) + planes[..., 1] * (rows + 0.5) + planes[..., 2]


def _split(counts: np.ndarray) -> list[np.ndarray]:
    """Split items with counts (N,) into parts of about CHUNK, leaving out those without any."""
    chosen = np.flatnonzero(counts)
    part = np.cumsum(counts[chosen]) // CHUNK
    return np.split(chosen, np.flatnonzero(np.diff(part)) + 1) if len(chosen) else []


def _draw(face: np.ndarray, pixel: np.ndarray, depth: np.ndarray, nearest: np.ndarray, owner: np.ndarray) -> None:
    """Draw faces (N,) into the pixels in which they are the nearest, ``nearest`` and ``owner`` (H * W,)."""
    np.minimum.at(nearest, pixel, depth)
    is_nearest = depth == nearest[pixel]
    owner[pixel[is_nearest]] = face[is_nearest]


def render_mesh(points: np.ndarray, faces: np.ndarray, width: int, height: int, *, color: Sequence[float] = COLOR,
                light: Sequence[float] = LIGHT, is_flat: bool = False, oversampling: int = 2) -> np.ndarray:
    """Render a mesh on nothing.

    Both sides of a face are lit, so that the winding of the faces does not matter.

    Args:
        points: (V, 3) px.
        faces: (F, 3) int.
        width: of the picture.
        height: of the picture.
        color: red, green, blue of the surface, 0 to 1.
        light: direction towards the lamp, of any length.
        is_flat: one shade for each face; else shades run smoothly over them.
        oversampling: points along each side of a pixel that are looked at; more give smoother edges.

    Returns:
        (H, W, 4) uint8 red, green, blue and opacity; opacity 0 where nothing is.

    Raises:
        ValueError: see ``rasterize``; no sampling; a light from nowhere.
    """
    if oversampling < 1 or not np.linalg.norm(light) > 0:
        raise ValueError(f'oversampling is {oversampling} and the light comes from {tuple(light)}; expected 1 or more, '
                         'and a direction')
    points, faces = check_mesh(points, faces)
    _check_size(width, height)
    picture = np.zeros((height, width, 4), np.uint8)
    first = np.clip(np.floor(points[:, :2].min(axis=0)), 0, [width, height]).astype(int)
    end = np.clip(np.ceil(points[:, :2].max(axis=0)), 0, [width, height]).astype(int)
    if (first >= end).any():
        return picture  # all of it is outside
    seen = (points - [*first, 0]) * oversampling
    fragments = rasterize(seen, faces, *((end - first) * oversampling))
    brightness = shade(fragments, seen, faces, light=light, is_flat=is_flat)
    parts = (*((end - first)[::-1, None] * [1, 0] + [0, oversampling]).ravel(),)
    share = (fragments.face >= 0).reshape(parts).mean(axis=(1, 3))
    shades = brightness.reshape(parts).mean(axis=(1, 3)) / np.where(share > 0, share, 1.0)
    part = picture[first[1]:end[1], first[0]:end[0]]
    part[..., :3] = (np.clip(shades[..., None] * color, 0.0, 1.0) * 255).round()
    part[..., 3] = (share * 255).round()
    return picture


def shade(fragments: Fragments, points: np.ndarray, faces: np.ndarray, *, light: Sequence[float] = LIGHT,
          is_flat: bool = False) -> np.ndarray:
    """Return the brightness (H, W) of what is seen, 0 where nothing is; see ``render_mesh`` for the rest."""
    is_seen = fragments.face >= 0
    seen = fragments.face[is_seen]
    across = face_normals(points, faces)
    if is_flat:
        normals = across[seen]
    else:
        corners = vertex_normals(points, faces)[faces[seen]]  # (P, corner, 3)
        normals = (corners * fragments.weights[is_seen][..., None]).sum(axis=1)
    normals = normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    # The side that is seen is the one that is lit.
    normals *= np.where(across[seen, 2] > 0, -1.0, 1.0)[:, None]
    lamp = np.asarray(light, np.float64) / np.linalg.norm(light)
    brightness = np.zeros(fragments.face.shape)
    brightness[is_seen] = (AMBIENT + FRONTAL * np.maximum(-normals[:, 2], 0.0)
                           + DIRECT * np.maximum(normals @ lamp, 0.0))
    return brightness


def paint_over(picture: np.ndarray, background: Optional[np.ndarray] = None) -> np.ndarray:
    """Lay a picture of ``render_mesh`` (H, W, 4) over an image (H, W, 3) uint8, or over white: (H, W, 3) uint8.

    Raises:
        ValueError: an image of another size or kind.
    """
    background = np.full((*picture.shape[:2], 3), 255, np.uint8) if background is None else np.asarray(background)
    if background.shape != (*picture.shape[:2], 3) or background.dtype != np.uint8:
        raise ValueError(f'the background is {background.dtype} of shape {background.shape}, expected uint8 of '
                         f'{(*picture.shape[:2], 3)}: red, green and blue of every pixel')
    share = picture[..., 3:] / 255.0
    return (share * picture[..., :3] + (1.0 - share) * background).round().astype(np.uint8)
