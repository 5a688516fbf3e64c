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
