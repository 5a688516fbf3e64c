import numpy as np
import pytest
import torch

from motionbert_mm.geometry import rotation

# Angles from none to almost a half turn, and beyond.
ANGLES = [0.0, 1e-9, 1e-5, 1e-3, 0.5, 2.0, 3.14159]


def axis_angles(angle, count=50):
    axes = np.random.default_rng(0).normal(size=(count, 3))
    return angle * axes / np.linalg.norm(axes, axis=-1, keepdims=True)


@pytest.mark.parametrize('angle', ANGLES)
def test_axis_angle_matrix_round_trip(angle):
    angles = axis_angles(angle)
    back = rotation.matrix_to_axis_angle(rotation.axis_angle_to_matrix(angles))
    np.testing.assert_allclose(back, angles, atol=1e-9)


@pytest.mark.parametrize('angle', ANGLES)
def test_quaternion_matrix_round_trip_up_to_sign(angle):
    quaternions = rotation.axis_angle_to_quaternion(axis_angles(angle))
    back = rotation.matrix_to_quaternion(rotation.quaternion_to_matrix(quaternions))
    np.testing.assert_allclose(np.abs((back * quaternions).sum(-1)), 1.0, atol=1e-12)


def test_long_angles_come_back_the_short_way():
    np.testing.assert_allclose(rotation.matrix_to_axis_angle(rotation.axis_angle_to_matrix(axis_angles(4.0))),
                               axis_angles(4.0 - 2 * np.pi), atol=1e-12)


def test_quarter_turn_by_hand():
    matrix = rotation.axis_angle_to_matrix(np.array([0.0, 0.0, np.pi / 2]))
    np.testing.assert_allclose(matrix, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-15)


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_half_turns(axis):
    angles = np.pi * np.eye(3)[axis]
    np.testing.assert_allclose(rotation.matrix_to_axis_angle(rotation.axis_angle_to_matrix(angles)), angles)


def test_six_numbers_round_trip():
    matrices = rotation.axis_angle_to_matrix(axis_angles(2.0))
    np.testing.assert_allclose(rotation.rotation_6d_to_matrix(rotation.matrix_to_rotation_6d(matrices)), matrices,
                               atol=1e-12)


def test_six_numbers_of_any_kind_give_rotations():
    matrices = rotation.rotation_6d_to_matrix(np.random.default_rng(1).normal(size=(20, 6)))
    np.testing.assert_allclose(matrices @ matrices.swapaxes(-1, -2), np.broadcast_to(np.eye(3), (20, 3, 3)),
                               atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(matrices), 1.0)


def test_rotating_vectors_agrees_with_the_matrix():
    vectors = np.random.default_rng(2).normal(size=(50, 3))
    quaternions = rotation.axis_angle_to_quaternion(axis_angles(1.3))
    expected = (rotation.quaternion_to_matrix(quaternions) @ vectors[..., None])[..., 0]
    rotated = rotation.rotate_by_quaternion(quaternions, vectors)
    np.testing.assert_allclose(rotated, expected)
    back = rotation.rotate_by_quaternion(rotation.quaternion_conjugate(quaternions), rotated)
    np.testing.assert_allclose(back, vectors)


@pytest.mark.parametrize('angle', [0.0, 1e-12, 1e-4, 1.0, np.pi])
def test_gradients_are_finite_everywhere(angle):
    leaf = torch.tensor([0.0, angle, 0.0], requires_grad=True)
    there = rotation.axis_angle_to_matrix(leaf)
    (rotation.matrix_to_axis_angle(there).sum() + there.sum()).backward()
    assert torch.isfinite(leaf.grad).all()


def test_gradient_of_the_round_trip_at_the_identity_is_one():
    leaf = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    jacobian = torch.autograd.functional.jacobian(
        lambda angles: rotation.matrix_to_axis_angle(rotation.axis_angle_to_matrix(angles)), leaf)
    torch.testing.assert_close(jacobian, torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize('six', [[0.0] * 6, [2.0, 4.0, 0.0, 0.0, 0.0, 0.0]])
def test_gradients_of_degenerate_six_numbers_are_finite(six):
    leaf = torch.tensor(six, requires_grad=True)
    rotation.rotation_6d_to_matrix(leaf).sum().backward()
    assert torch.isfinite(leaf.grad).all()


def test_single_precision_stays_single():
    angles = axis_angles(0.7).astype(np.float32)
    assert rotation.matrix_to_axis_angle(rotation.axis_angle_to_matrix(angles)).dtype == np.float32
    assert rotation.axis_angle_to_matrix(torch.from_numpy(angles)).dtype == torch.float32


KINDS = pytest.mark.parametrize('as_array', [lambda array: array, torch.from_numpy], ids=['numpy', 'torch'])


@KINDS
def test_the_mean_of_two_rotations_lies_half_way_between(as_array):
    middle, step = (rotation.axis_angle_to_matrix(angles) for angles in (axis_angles(1.1), axis_angles(0.4)[::-1]))
    pair = np.stack([middle @ step, middle @ step.swapaxes(-1, -2)], axis=1)
    np.testing.assert_allclose(rotation.average_rotations(as_array(pair)), middle, atol=1e-12)


@KINDS
def test_the_mean_does_not_depend_on_the_way_round_of_an_axis_angle(as_array):
    # The second is 0.2 further on, beyond the half turn; the mean of both vectors is nearly zero.
    pair = np.stack([axis_angles(np.pi - 0.05), axis_angles(-(np.pi - 0.15))], axis=1)
    pair, middle = (rotation.axis_angle_to_matrix(angles) for angles in (pair, axis_angles(np.pi + 0.05)))
    np.testing.assert_allclose(rotation.average_rotations(as_array(pair)), middle, atol=1e-12)


@KINDS
@pytest.mark.parametrize('weights', [np.array([0.5, 0.0, 2.0]), np.random.default_rng(5).uniform(size=(50, 3))])
def test_the_mean_has_the_least_distance_to_all(as_array, weights):
    matrices = rotation.axis_angle_to_matrix(np.random.default_rng(3).normal(size=(50, 3, 3)))
    mean = np.asarray(rotation.average_rotations(as_array(matrices), weights))
    np.testing.assert_allclose(mean @ mean.swapaxes(-1, -2), np.broadcast_to(np.eye(3), (50, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(mean), 1.0)

    def distance(candidate):
        return (np.broadcast_to(weights, (50, 3)) * ((candidate[:, None] - matrices) ** 2).sum((-2, -1))).sum(-1)

    for change in rotation.axis_angle_to_matrix(axis_angles(0.02, count=20)):
        assert (distance(mean @ change) >= distance(mean)).all()


@KINDS
def test_rotations_that_cancel_still_have_a_proper_mean(as_array):
    pair = np.stack([np.eye(3), rotation.axis_angle_to_matrix(np.array([0.0, np.pi, 0.0]))])
    mean = np.asarray(rotation.average_rotations(as_array(pair)))
    np.testing.assert_allclose(mean @ mean.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(mean) == pytest.approx(1.0)


def test_the_mean_of_one_rotation_is_itself_in_its_precision():
    matrices = rotation.axis_angle_to_matrix(axis_angles(2.0).astype(np.float32))
    mean = rotation.average_rotations(torch.from_numpy(matrices)[:, None], [3.0])
    assert mean.dtype == torch.float32
    np.testing.assert_allclose(mean, matrices, atol=1e-6)


@KINDS
def test_mirrored_poses_are_the_mirrored_rotations_of_the_other_side(as_array):
    swap, mirror = (0, 2, 1), np.diag([-1.0, 1.0, 1.0])
    angles = np.random.default_rng(4).normal(size=(5, 3, 3))
    matrices = rotation.axis_angle_to_matrix(angles)
    expected = mirror @ matrices[:, swap] @ mirror
    np.testing.assert_allclose(rotation.mirror_matrix(as_array(matrices), swap), expected, atol=1e-15)
    mirrored = rotation.mirror_axis_angle(as_array(angles), swap)
    np.testing.assert_allclose(rotation.axis_angle_to_matrix(mirrored), expected, atol=1e-12)
    np.testing.assert_array_equal(rotation.mirror_axis_angle(mirrored, swap), angles)
