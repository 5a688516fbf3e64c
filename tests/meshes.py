"""Closed meshes that the tests of pictures and files share; corners go anticlockwise as seen from outside."""
import numpy as np


def sphere(rings, sides, radius=1.0):
    """Vertices (V, 3) and faces (F, 3) of a sphere around zero with so many rings between its poles."""
    polar, around = np.pi * np.arange(1, rings + 1) / (rings + 1), 2 * np.pi * np.arange(sides) / sides
    ring = np.stack([np.cos(around), np.zeros(sides), np.sin(around)], axis=-1)
    body = np.sin(polar)[:, None, None] * ring + np.cos(polar)[:, None, None] * [0, 1, 0]
    vertices = radius * np.concatenate([[[0, 1, 0]], body.reshape(-1, 3), [[0, -1, 0]]])
    here = 1 + np.arange(sides)
    after = 1 + (np.arange(sides) + 1) % sides
    last, bottom = (rings - 1) * sides, len(vertices) - 1
    faces = [np.stack([0 * here, after, here], -1), np.stack([0 * here + bottom, last + here, last + after], -1)]
    for ring_start in range(0, last, sides):
        top, below = ring_start, ring_start + sides
        faces += [np.stack([top + here, top + after, below + here], -1),
                  np.stack([top + after, below + after, below + here], -1)]
    return vertices, np.concatenate(faces)


def cube(side):
    """Vertices (8, 3) and faces (12, 3) of a cube around zero."""
    vertices = side / 2 * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return vertices, np.array([face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))])
