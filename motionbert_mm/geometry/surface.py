"""Triangle meshes: the directions that their faces and vertices look in."""
from __future__ import annotations

import numpy as np


def face_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return a vector (F, 3) across each face, twice as long as its area; outward where corners go counter-clockwise.

    Args:
        vertices: (V, 3).
        faces: (F, 3) int, vertices of each triangle.
    """
    first, second, third = (vertices[faces[:, corner]] for corner in range(3))
    return np.cross(second - first, third - first)


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return the unit normal (V, 3) of each vertex: the mean of those of its faces, weighted by area.

    Vertices without any area around them get (0, 0, 1).

    Args:
        vertices: (V, 3).
        faces: (F, 3) int.
    """
    across = np.repeat(face_normals(vertices, faces), 3, axis=0)
    corners = np.ravel(faces)
    sums = np.stack([np.bincount(corners, across[:, axis], minlength=len(vertices)) for axis in range(3)], axis=-1)
    lengths = np.linalg.norm(sums, axis=-1, keepdims=True)
    is_flat = lengths == 0
    return np.where(is_flat, [0.0, 0.0, 1.0], sums / np.where(is_flat, 1.0, lengths))


def check_mesh(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a mesh as float64 and int64 arrays.

    Raises:
        ValueError: other shapes, no face, NaN, or faces of vertices that are not there.
    """
    vertices, faces = np.asarray(vertices, np.float64), np.asarray(faces)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3 or not len(faces):
        raise ValueError(f'a mesh has vertices (V, 3) and at least one face (F, 3), got {vertices.shape} and '
                         f'{faces.shape}')
    if not np.isfinite(vertices).all():
        raise ValueError('the vertices hold NaN or infinity')
    if faces.dtype.kind not in 'iu' or faces.min() < 0 or faces.max() >= len(vertices):
        raise ValueError(f'faces name vertices by whole numbers from 0 to {len(vertices) - 1}, got '
                         f'{faces.min()} to {faces.max()}; are they of another body model?')
    return vertices, faces.astype(np.int64)
