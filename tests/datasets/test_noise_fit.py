"""The fit of detector noise finds what the pairs were drawn from."""
import numpy as np
import pytest

from motionbert_mm.datasets.noise_fit import NoiseFitter, clipped_moments, fit_mixture, histogram_quantile
from motionbert_mm.datasets.noise_model import ConfidenceCurve, NoiseModel, draw_noise, simulate
from motionbert_mm.structures.skeleton import get_skeleton

JOINTS, CLIPS, FRAMES, KEYS = 17, 60, 121, 14
CURVE = ConfidenceCurve(a=0.04, b=0.7, m=-0.02, s=0.12)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope='module')
def truth():
    values = rng(1)
    return NoiseModel('h36m', values.normal(0, 0.003, (JOINTS, 2)), values.uniform(0.003, 0.009, (JOINTS, 2)),
                      values.uniform(0.7, 0.98, JOINTS), CURVE, uniform_range=0.08, jitter_std=0.0025)


@pytest.fixture(scope='module')
def pairs(truth):
    """Errors (N, T, J, 2) and confidence (N, T, J) drawn from the truth."""
    errors, confidence = simulate(truth, draw_noise(rng(), (CLIPS, 1, FRAMES, JOINTS), KEYS))
    return errors[:, 0], confidence[:, 0]


def fit(errors, confidence, **options):
    fitter = NoiseFitter('h36m', **{**dict(num_keyframes=KEYS, num_frames=FRAMES, uniform_range=0.08), **options})
    for clip in zip(errors, confidence):
        fitter.add(*clip)
    return fitter.fit('pairs of a test')


def assert_found(found, truth):
    """Parameters agree within the sampling error of 840 errors at key frames per joint."""
    np.testing.assert_allclose(found.mean, truth.mean, atol=0.0012)
    np.testing.assert_allclose(found.std, truth.std, rtol=0.12)
    np.testing.assert_allclose(found.weight, truth.weight, atol=0.05)
    assert found.std.mean() == pytest.approx(truth.std.mean(), rel=0.02)
    assert found.weight.mean() == pytest.approx(truth.weight.mean(), abs=0.01)
    assert found.jitter_std == pytest.approx(truth.jitter_std, rel=0.02)


def test_parameters_are_recovered(truth, pairs):
    found = fit(*pairs)
    assert_found(found.model, truth)
    assert (found.num_keyframes == CLIPS * KEYS).all() and found.model.source == 'pairs of a test'
    assert found.confidence_mean == pytest.approx(pairs[1][pairs[1] > 0].mean())


def test_the_confidence_curve_is_recovered(truth, pairs):
    curve, distance = fit(*pairs).model.confidence, np.linspace(0, 0.04, 20)
    np.testing.assert_allclose(curve.expected(distance), CURVE.expected(distance), atol=0.01)
    assert curve.s == pytest.approx(CURVE.s, rel=0.02) and curve.a == pytest.approx(CURVE.a, rel=0.15)


def test_missing_joints_do_not_count(truth, pairs):
    errors, confidence = (array.copy() for array in pairs)
    missing = rng(5).random(confidence.shape) < 0.2
    missing[:, 30:60, 4] = True  # as long as three key frames
    errors[missing], confidence[missing] = 5.0, 0.0
    found = fit(errors, confidence)
    assert_found(found.model, truth)
    assert found.num_keyframes[4] < CLIPS * KEYS <= found.num_keyframes[5] + 5


def test_long_clips_are_cut_and_rests_too_short_for_two_key_frames_dropped(truth, pairs):
    errors, confidence = ([np.concatenate([*array, array[0][:5]])] for array in pairs)
    whole, cut = fit(*pairs).model, fit(errors, confidence).model
    np.testing.assert_allclose(cut.mean, whole.mean, atol=1e-12)
    np.testing.assert_allclose(cut.jitter_std, whole.jitter_std, rtol=1e-12)


def test_short_clips_keep_the_distance_between_key_frames(truth):
    """A third of the frames with a third of the steps between key frames: the same noise."""
    errors, confidence = simulate(truth, draw_noise(rng(2), (4 * CLIPS, 1, 41, JOINTS), 5))
    assert_found(fit(errors[:, 0], confidence[:, 0], num_frames=121, num_keyframes=13).model, truth)


def test_gross_errors_do_not_widen_the_gaussian():
    values = rng(3)
    errors = values.normal([0.001, -0.002], [0.004, 0.006], (2000, 2))
    errors[:200] = values.uniform(-0.03, 0.03, (200, 2))
    errors[200:240] += 0.8
    mean, std, weight = fit_mixture(errors, np.zeros(2000), 0.06)
    np.testing.assert_allclose(mean, [0.001, -0.002], atol=0.0004)
    np.testing.assert_allclose(std, [0.004, 0.006], rtol=0.06)
    assert weight == pytest.approx(0.88, abs=0.02)


def test_jitter_left_in_the_errors_is_taken_off():
    values = rng(4)
    noise = np.where(np.arange(4000) % 2, 0.003, 0.005) ** 2
    errors = values.normal(0, 0.004, (4000, 2)) + values.normal(size=(4000, 2)) * np.sqrt(noise)[:, None]
    _, std, weight = fit_mixture(errors, noise, 0.2)
    np.testing.assert_allclose(std, 0.004, rtol=0.05)
    assert weight > 0.99


@pytest.mark.parametrize('mean', [-0.1, 0.1, 0.5, 0.9, 1.3])
def test_clipped_moments_are_those_of_draws(mean):
    draws = np.minimum(rng().normal(mean, 0.2, 200000), 1.0)
    draws = draws[draws > 0]
    expected_mean, expected_std = clipped_moments(np.array(mean), 0.2)
    assert expected_mean == pytest.approx(draws.mean(), abs=0.003)
    assert expected_std == pytest.approx(draws.std(), abs=0.003)


def test_quantiles_come_from_the_histogram():
    fitter = NoiseFitter('h36m')
    errors = np.zeros((5000, JOINTS, 2))
    errors[..., 0] = rng().exponential(0.01, (5000, JOINTS))
    fitter.add(errors, np.ones((5000, JOINTS)))
    counts = fitter._counts.sum(axis=0)
    for share in (0.1, 0.5, 0.95):
        assert histogram_quantile(counts, share) == pytest.approx(-0.01 * np.log(1 - share), rel=0.03)


def test_too_few_detections_are_refused_by_the_joint(pairs):
    confidence = pairs[1].copy()
    confidence[3:, :, 2] = 0.0
    message = "joint '{}' was detected at 42 key frames".format(get_skeleton('h36m').joints[2])
    with pytest.raises(ValueError, match=message):
        fit(pairs[0], confidence)


def test_no_clip_long_enough_is_refused():
    with pytest.raises(ValueError, match='was detected at 0 key frames, 9.31 frames apart; at least 50'):
        fit(np.zeros((100, 5, JOINTS, 2)), np.ones((100, 5, JOINTS)), num_frames=243, num_keyframes=27)


def test_another_joint_order_is_refused(pairs):
    with pytest.raises(ValueError, match='detections lie 0.4.? half image widths from the truth'):
        fit(pairs[0] + np.array([0.4, 0.0]), pairs[1])


def test_perfect_detections_have_no_curve():
    with pytest.raises(ValueError, match='a confidence curve needs 4'):
        fit(np.zeros((CLIPS, FRAMES, JOINTS, 2)), np.ones((CLIPS, FRAMES, JOINTS)))


@pytest.mark.parametrize('options', [dict(num_keyframes=1), dict(num_keyframes=70), dict(uniform_range=0.0)])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match='a fit needs at least 2 key frames, 2 frames for each and a positive uniform'):
        NoiseFitter('h36m', **{**dict(num_keyframes=KEYS, num_frames=FRAMES), **options})
