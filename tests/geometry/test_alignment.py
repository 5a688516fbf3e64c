import numpy as np
import pytest
import torch

from motionbert_mm.geometry.alignment import fit_scale_and_shift, procrustes_align, scale_align
from motionbert_mm.geometry.rotation import axis_angle_to_matrix


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def poses(rng):
    return rng.normal(size=(4, 6, 17, 3)) * 300


def errors(first, second):
    return np.linalg.norm(first - second, axis=-1)


def test_procrustes_undoes_a_similarity_of_each_frame(poses, rng):
    rotations = axis_angle_to_matrix(rng.normal(size=(4, 6, 3)))
    scales = rng.uniform(0.5, 2.0, size=(4, 6, 1, 1))
    moved = scales * poses @ rotations + rng.normal(size=(4, 6, 1, 3)) * 1000
    np.testing.assert_allclose(procrustes_align(moved, poses), poses, atol=1e-8)


def test_procrustes_does_not_reflect(poses):
    mirrored = poses * [-1, 1, 1]
    assert errors(procrustes_align(mirrored, poses), poses).mean() > 50


def test_procrustes_is_the_best_similarity_nearby(poses, rng):
    pred = poses + rng.normal(size=poses.shape) * 50
    aligned = procrustes_align(pred, poses)
    best = (errors(aligned, poses) ** 2).sum(-1)
    for _ in range(20):
        turn = axis_angle_to_matrix(rng.normal(size=3) * 0.01)
        other = rng.normal(1, 0.01) * (aligned @ turn) + rng.normal(size=3)
        assert ((errors(other, poses) ** 2).sum(-1) >= best).all()


def test_scale_undoes_a_scale_of_each_frame(poses, rng):
    scales = rng.uniform(0.5, 2.0, size=(4, 6, 1, 1))
    np.testing.assert_allclose(scale_align(scales * poses, poses), poses, atol=1e-9)


@pytest.mark.parametrize('align', [procrustes_align, scale_align])
def test_a_collapsed_prediction_stays_finite(align, poses):
    aligned = align(np.zeros_like(poses), poses)
    assert np.isfinite(aligned).all()
    assert np.ptp(aligned, axis=-2).max() == 0


@pytest.mark.parametrize('align', [procrustes_align, scale_align])
def test_torch_gives_the_same(align, poses, rng):
    pred = poses + rng.normal(size=poses.shape) * 50
    tensor = align(torch.from_numpy(pred), torch.from_numpy(poses))
    np.testing.assert_allclose(tensor.numpy(), align(pred, poses), atol=1e-9)


@pytest.mark.parametrize('align', [procrustes_align, scale_align])
def test_poses_that_would_broadcast_are_refused(align, poses):
    with pytest.raises(ValueError, match=r'one shape.*\(4, 6, 17, 3\) and \(6, 17, 3\)'):
        align(poses, poses[0])


def test_scale_and_shift_are_found_again_and_points_without_weight_ignored(poses, rng):
    scale, shift = rng.uniform(-2, 2, (4, 6)), rng.normal(size=(4, 6, 3)) * 1000
    target, weight = scale[..., None, None] * poses + shift[..., None, :], rng.uniform(0.1, 1, (4, 6, 17))
    weight[..., 3], target[..., 3, :] = 0, 1e6
    found, moved = fit_scale_and_shift(poses, target, weight)
    np.testing.assert_allclose(found, scale, atol=1e-9)
    np.testing.assert_allclose(moved, shift, atol=1e-6)


def test_scale_and_shift_have_the_least_weighted_error(poses, rng):
    target, weight = rng.normal(size=poses.shape), rng.uniform(size=poses.shape[:-1])

    def error(scale, shift):
        return (weight * ((scale[..., None, None] * poses + shift[..., None, :] - target) ** 2).sum(-1)).sum()
    scale, shift = fit_scale_and_shift(poses, target, weight)
    for step in (-1e-4, 1e-4):
        assert error(scale + step, shift) > error(scale, shift) < error(scale, shift + step)


@pytest.mark.parametrize('points, weight', [(np.ones((5, 3)), np.ones(5)),
                                             (np.arange(15.0).reshape(5, 3), np.zeros(5))])
def test_nothing_to_fit_gives_scale_zero(points, weight):
    scale, shift = fit_scale_and_shift(torch.tensor(points), torch.arange(15.0, dtype=torch.float64).reshape(5, 3),
                                       torch.tensor(weight))
    assert scale == 0 and torch.isfinite(shift).all()
