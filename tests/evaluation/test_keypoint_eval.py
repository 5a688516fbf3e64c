import numpy as np
import pytest

from motionbert_mm.evaluation import functional as F


def make_poses(frames=8, scale=300.0, error=60.0, seed=0):
    rng = np.random.default_rng(seed)
    target = rng.normal(0, scale, (frames, 17, 3))
    return target + rng.normal(0, error, target.shape), target


def rotation(rng):
    matrix, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return matrix * np.sign(np.linalg.det(matrix))


def test_mpjpe_by_hand():
    pred = np.array([[[3.0, 4, 0], [0, 0, 0]], [[0, 0, 2], [0, 0, 0]]])
    np.testing.assert_allclose(F.mpjpe(pred, np.zeros_like(pred)), [2.5, 1.0])
    np.testing.assert_allclose(F.mpjpe(pred, np.zeros_like(pred), np.array([[0.5, 1], [1, 1]])), [1.25, 1.0])


def test_p_mpjpe_is_invariant_under_similarity_of_the_prediction():
    pred, target = make_poses()
    rng = np.random.default_rng(1)
    moved = 0.3 * pred @ rotation(rng).T + rng.normal(0, 1000, (8, 1, 3))
    np.testing.assert_allclose(F.p_mpjpe(moved, target), F.p_mpjpe(pred, target))
    np.testing.assert_allclose(F.p_mpjpe(7.0 * target @ rotation(rng).T + 5.0, target), 0, atol=1e-9)


def test_p_mpjpe_does_not_mirror():
    _, target = make_poses()
    assert F.p_mpjpe(target * [-1, 1, 1], target).min() > 50


def test_p_mpjpe_and_n_mpjpe_of_a_collapsed_prediction_are_finite():
    _, target = make_poses()
    centred = target - target.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(F.p_mpjpe(np.zeros_like(target), target), np.linalg.norm(centred, axis=-1).mean(-1))
    np.testing.assert_allclose(F.n_mpjpe(np.zeros_like(target), target), np.linalg.norm(target, axis=-1).mean(-1))


def test_n_mpjpe_is_invariant_under_scale_only():
    pred, target = make_poses()
    np.testing.assert_allclose(F.n_mpjpe(0.2 * pred, target), F.n_mpjpe(pred, target))
    assert (F.n_mpjpe(pred + 500.0, target) > F.n_mpjpe(pred, target)).all()


def test_squared_error_falls_from_plain_to_scaled_to_aligned():
    pred, target = make_poses()
    assert F.p_mpjpe(pred, target).mean() < F.n_mpjpe(pred, target).mean() < F.mpjpe(pred, target).mean()


def test_velocity_and_acceleration_of_a_drifting_prediction():
    _, target = make_poses(frames=5)
    time = np.arange(5.0)[:, None, None]
    drift = target + time * [3.0, 4.0, 0]
    np.testing.assert_allclose(F.mpjve(drift, target), [5.0] * 4)
    np.testing.assert_allclose(F.mpjve(drift, target, fps=50), [250.0] * 4)
    np.testing.assert_allclose(F.acceleration_error(drift, target), np.zeros(3), atol=1e-9)
    np.testing.assert_allclose(F.acceleration_error(target + time ** 2 * [0, 0, 2.0], target, fps=10), [400.0] * 3)


@pytest.mark.parametrize('frames, velocities, accelerations', [(1, 0, 0), (2, 1, 0), (3, 2, 1)])
def test_short_clips_have_no_change(frames, velocities, accelerations):
    pred, target = make_poses(frames)
    assert F.mpjve(pred, target).shape == (velocities,)
    assert F.acceleration_error(pred, target).shape == (accelerations,)


def test_clips_are_measured_apart():
    pred, target = (points.reshape(2, 4, 17, 3) for points in make_poses())
    for error in (F.mpjpe, F.p_mpjpe, F.n_mpjpe, F.mpjve, F.acceleration_error, F.pck, F.auc):
        np.testing.assert_allclose(error(pred, target), np.stack([error(*pair) for pair in zip(pred, target)]))


def test_pck_grows_with_the_threshold_and_falls_with_the_error():
    pred, target = make_poses()
    scores = np.stack([F.pck(pred, target, threshold) for threshold in range(0, 400, 10)])
    assert (np.diff(scores, axis=0) >= 0).all() and scores[0].max() == 0 and scores[-1].min() == 100
    worse = target + 2 * (pred - target)
    assert (F.pck(worse, target) <= F.pck(pred, target)).all() and (F.auc(worse, target) < F.auc(pred, target)).all()


def test_pck_and_auc_are_strict():
    pred = np.array([[[150.0, 0, 0], [149.999, 0, 0]]])
    assert F.pck(pred, np.zeros_like(pred)) == 50
    assert F.auc(np.zeros((1, 4, 3)), np.zeros((1, 4, 3))) == pytest.approx(100 * 30 / 31)


def test_auc_is_the_mean_of_pck_over_the_thresholds():
    pred, target = make_poses()
    pred[0, :3] = target[0, :3] + [[5.0, 0, 0], [0, 150.0, 0], [0, 0, 145.0]]
    expected = np.mean([F.pck(pred, target, threshold) for threshold in np.arange(0, 151, 5)], axis=0)
    np.testing.assert_allclose(F.auc(pred, target), expected)


def test_score_by_group_weighs_groups_by_their_joints():
    pred, target = make_poses()
    scores, total = F.score_by_group(F.pck, pred, target, {'one': (0,), 'three': (4, 5, 6)}, threshold=80.0)
    np.testing.assert_allclose(scores['one'], 100.0 * (np.linalg.norm(pred[:, 0] - target[:, 0], axis=-1) < 80))
    np.testing.assert_allclose(total, F.pck(pred[:, [0, 4, 5, 6]], target[:, [0, 4, 5, 6]], 80.0))
    assert set(scores) == {'one', 'three'}


def test_3dhp_groups_are_the_fourteen_scored_joints():
    joints = sorted(joint for group in F.group_joints().values() for joint in group)
    assert joints == list(range(14))


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match=r'\(8, 17, 3\) and ground truth \(1, 17, 3\)'):
        F.mpjpe(np.zeros((8, 17, 3)), np.zeros((1, 17, 3)))
