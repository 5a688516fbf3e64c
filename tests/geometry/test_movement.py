"""Clips that turn, grow and drift."""
import numpy as np
import pytest
import torch

from motionbert_mm.geometry.movement import move

STILL = dict(angle=np.zeros((2, 2)), scale=np.ones((2, 2)), shift=np.zeros((2, 2, 2)))


@pytest.fixture
def points():
    return np.random.default_rng(0).normal(size=(2, 3, 5, 17, 2))


def test_nothing_moves_without_movement(points):
    np.testing.assert_array_equal(move(points, **STILL), points)


def test_a_quarter_turn_leads_from_x_to_y(points):
    turned = move(points, **{**STILL, 'angle': np.full((2, 2), np.pi / 2)})
    np.testing.assert_allclose(turned, np.stack([-points[..., 1], points[..., 0]], axis=-1), atol=1e-12)


def test_amounts_change_linearly_from_first_to_last_frame(points):
    grown = move(points, **{**STILL, 'scale': np.array([[1.0, 2.0], [0.5, 0.5]])})
    factors = np.stack([[1.0, 1.25, 1.5, 1.75, 2.0], [0.5] * 5])[:, None, :, None, None]
    np.testing.assert_allclose(grown, points * factors, rtol=1e-12)
    drift = np.array([[[0.0, 0.0], [4.0, -8.0]], [[1.0, 1.0], [1.0, 1.0]]])
    expected = np.stack([np.arange(5)[:, None] * [1.0, -2.0], np.ones((5, 2))])[:, None, :, None]
    np.testing.assert_allclose(move(points, **{**STILL, 'shift': drift}), points + expected, atol=1e-12)


def test_the_shift_is_neither_turned_nor_scaled(points):
    moved = move(0 * points, np.ones((2, 2)), np.full((2, 2), 3.0), np.full((2, 2, 2), 0.5))
    np.testing.assert_array_equal(moved, 0.5)


def test_a_single_frame_takes_the_first_values(points):
    moved = move(points[:, :, :1], **{**STILL, 'scale': np.array([[2.0, 9.0], [3.0, 9.0]])})
    np.testing.assert_array_equal(moved, points[:, :, :1] * np.array([2.0, 3.0])[:, None, None, None, None])


def test_tensors_stay_tensors(points):
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(2, 2)), rng.normal(size=(2, 2)), rng.normal(size=(2, 2, 2))
    moved = move(torch.from_numpy(points), *draws)
    np.testing.assert_allclose(moved.numpy(), move(points, *draws), atol=1e-12)
