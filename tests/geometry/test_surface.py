import numpy as np
import pytest

from motionbert_mm.geometry.surface import check_mesh, face_normals, vertex_normals
from tests.meshes import cube, sphere


def test_normals_of_a_sphere_point_away_from_its_centre():
    vertices, faces = sphere(12, 24)
    normals = vertex_normals(vertices, faces)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1)
    assert (normals * vertices).sum(-1).min() > 0.99


def test_faces_are_measured_by_their_area():
    vertices, faces = cube(2.0)
    areas = np.linalg.norm(face_normals(vertices, faces), axis=-1) / 2
    np.testing.assert_allclose(areas, 2.0)
    assert ((vertex_normals(vertices, faces) * vertices).sum(-1) > 0.9 * np.sqrt(3)).all()


def test_a_vertex_without_area_gets_a_normal_all_the_same():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5.0], [6, 6, 6], [7, 7, 7]])
    normals = vertex_normals(vertices, np.array([[0, 1, 2], [3, 4, 5]]))
    np.testing.assert_array_equal(normals, np.tile([0, 0, 1.0], (6, 1)))


@pytest.mark.parametrize('vertices, faces, message', [
    (np.zeros((3, 2)), np.array([[0, 1, 2]]), r'got \(3, 2\)'),
    (np.zeros((3, 3)), np.zeros((0, 3), int), 'at least one face'),
    (np.full((3, 3), np.nan), np.array([[0, 1, 2]]), 'NaN'),
    (np.zeros((3, 3)), np.array([[0, 1, 3]]), 'from 0 to 2, got 0 to 3'),
    (np.zeros((3, 3)), np.array([[0.0, 1.0, 2.0]]), 'whole numbers'),
])
def test_what_is_no_mesh_is_refused(vertices, faces, message):
    with pytest.raises(ValueError, match=message):
        check_mesh(vertices, faces)
