import numpy as np
import pytest
import torch

from motionbert_mm.geometry.camera import Camera, camera_to_world, orbit_cameras, project, world_to_camera
from motionbert_mm.geometry.rotation import matrix_to_quaternion

TARGET = np.array([1200.0, -300.0, 950.0])


@pytest.fixture
def points():
    return np.random.default_rng(0).normal(size=(4, 17, 3)) * 500 + TARGET


@pytest.fixture
def cameras():
    return orbit_cameras(TARGET)


def test_camera_is_inverted(cameras, points):
    for camera in cameras:
        np.testing.assert_allclose(camera.to_world(camera.to_camera(points)), points, atol=1e-9)


def test_orbit_cameras_are_rotations_without_reflection(cameras):
    for camera in cameras:
        np.testing.assert_allclose(camera.rotation @ camera.rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(camera.rotation) == pytest.approx(1.0)


def test_orbit_cameras_aim_at_the_target(cameras):
    for camera in cameras:
        np.testing.assert_allclose(camera.to_camera(TARGET)[:2], 0.0, atol=1e-9)
        np.testing.assert_allclose(camera.project(camera.to_camera(TARGET)), camera.center)


def test_orbit_cameras_stand_where_they_should(cameras):
    for camera, azimuth in zip(cameras, (45, 135, 225, 315)):
        offset = camera.position - [*TARGET[:2], 0.0]
        assert np.hypot(*offset[:2]) == pytest.approx(4500.0)
        assert np.rad2deg(np.arctan2(offset[1], offset[0])) % 360 == pytest.approx(azimuth)
        assert offset[2] == pytest.approx(1500.0)


def test_orbit_cameras_keep_the_world_upright(cameras):
    for camera in cameras:
        foot, head, aside = (camera.to_camera(TARGET + step) for step in ([0, 0, -800], [0, 0, 800], [0, 0, 0]))
        assert camera.project(head)[1] < camera.project(aside)[1] < camera.project(foot)[1]
        assert camera.project(head)[0] == pytest.approx(camera.project(foot)[0])


def test_what_is_to_the_right_of_the_viewer_has_larger_x():
    camera = orbit_cameras((0.0, 0.0, 1000.0), azimuths=(0.0,))[0]  # looks along -X, so +Y is to its right
    assert camera.project(camera.to_camera(np.array([0.0, 500.0, 1000.0])))[0] > camera.center[0]


def test_orbit_camera_names_are_unique():
    assert len({camera.name for camera in orbit_cameras(TARGET, azimuths=range(0, 360, 15))}) == 24


def test_quaternion_pose_agrees_with_the_matrix(cameras, points):
    camera = cameras[1]
    orientation = matrix_to_quaternion(camera.rotation.T)
    in_camera = world_to_camera(points, orientation, camera.position)
    np.testing.assert_allclose(in_camera, camera.to_camera(points), atol=1e-9)
    np.testing.assert_allclose(camera_to_world(in_camera, orientation, camera.position), points, atol=1e-9)


def test_projection_by_hand():
    pixels = project(np.array([[100.0, -200.0, 2000.0]]), (1000.0, 1100.0, 500.0, 400.0))
    np.testing.assert_allclose(pixels, [[550.0, 290.0]])


def test_projection_with_a_camera_per_sample(points):
    intrinsics = np.random.default_rng(1).uniform(500, 1000, size=(4, 4))
    alone = [project(sample, camera) for sample, camera in zip(points + 3000, intrinsics)]
    np.testing.assert_array_equal(project(points + 3000, intrinsics), alone)


def test_distortion_of_zero_changes_nothing(points):
    plain = project(points + 3000, (1000.0, 1000.0, 500.0, 500.0))
    np.testing.assert_array_equal(project(points + 3000, (1000.0, 1000.0, 500.0, 500.0), np.zeros(5)), plain)


def test_radial_distortion_by_hand():
    # At x / z = 0.1 the radius squared is 0.01: the point moves out by 1 + 0.5 * 0.01.
    pixels = project(np.array([100.0, 0.0, 1000.0]), (1.0, 1.0, 0.0, 0.0), (0.5, 0.0, 0.0, 0.0, 0.0))
    np.testing.assert_allclose(pixels, [0.1005, 0.0])


def test_limit_clamps_the_viewing_angle():
    pixels = project(np.array([3000.0, 0.0, 1000.0]), (100.0, 100.0, 0.0, 0.0), limit=1.0)
    np.testing.assert_allclose(pixels, [100.0, 0.0])


def test_torch_gives_the_same_with_gradients(cameras, points):
    camera = cameras[0]
    leaf = torch.from_numpy(points).requires_grad_()
    pixels = camera.project(camera.to_camera(leaf))
    np.testing.assert_allclose(pixels.detach().numpy(), camera.project(camera.to_camera(points)))
    pixels.sum().backward()
    assert torch.isfinite(leaf.grad).all()


def test_wrong_camera_shapes_are_refused():
    with pytest.raises(ValueError, match=r"'left'.*translation must have shape \(3,\), got \(3, 1\)"):
        Camera('left', np.eye(3), np.zeros((3, 1)), np.ones(2), np.ones(2), np.ones(2))


def test_a_camera_above_the_target_is_refused():
    with pytest.raises(ValueError, match='positive distance'):
        orbit_cameras(TARGET, distance=0.0)
