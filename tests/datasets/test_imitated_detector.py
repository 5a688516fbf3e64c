"""The imitated detector errs as its description says."""
import numpy as np
import pytest

from motionbert_mm.datasets import imitated_detector
from motionbert_mm.datasets.imitated_detector import imitate_detector
from motionbert_mm.structures.skeleton import get_skeleton
from tests.generated import make_cameras, make_motion

H36M = get_skeleton('h36m')


@pytest.fixture(scope='module')
def points():
    """2000 frames in which the person stands still, in pixels."""
    camera = make_cameras()[0]
    return camera.project(camera.to_camera(make_motion(1, 0))).repeat(2000, axis=0)


@pytest.fixture(scope='module')
def detection(points):
    detected, confidence = imitate_detector(points, H36M, 50.0, np.random.default_rng(0))
    return detected - points, confidence


def test_shapes_and_ranges(points, detection):
    errors, confidence = detection
    assert errors.shape == points.shape and confidence.shape == points.shape[:2]
    assert confidence.dtype == np.float32 and 0 < confidence.min() < confidence.max() == 1


def test_errors_are_a_few_pixels(detection):
    distance = np.linalg.norm(detection[0], axis=-1)
    assert 2.5 < np.median(distance) < 5 and np.quantile(distance, 0.95) < 15
    assert detection[1].mean() == pytest.approx(0.78, abs=0.04)


def test_joints_differ_as_annotators_do(detection):
    spread = dict(zip(H36M.joints, np.median(np.linalg.norm(detection[0], axis=-1), axis=0)))
    assert spread['nose'] < spread['left_shoulder'] < spread['left_hip']


def test_ends_of_limbs_are_in_trouble_more_often(detection):
    large = dict(zip(H36M.joints, (np.linalg.norm(detection[0], axis=-1) > 12).mean(axis=0)))
    for joint in ('left_wrist', 'right_wrist', 'left_ankle', 'right_ankle'):
        assert large[joint] > 0.03 > 2 * max(large['root'], large['thorax'])


@pytest.mark.parametrize('fps', [25.0, 50.0])
def test_errors_last_for_a_fifth_of_a_second(points, fps):
    detected, _ = imitate_detector(points, H36M, fps, np.random.default_rng(1))
    errors = (detected - points)[..., 0]
    errors = errors - errors.mean(axis=0)
    lag = round(0.2 * fps)
    correlation = (errors[lag:] * errors[:-lag]).mean() / np.square(errors).mean()
    assert correlation == pytest.approx(np.exp(-1), abs=0.06)


def test_joints_are_drawn_to_their_parent(points, detection):
    mean, skeleton = np.median(detection[0], axis=0), H36M
    bone = (points[0, [max(parent, 0) for parent in skeleton.parents]] - points[0])
    along = (mean * bone).sum() / np.square(bone).sum()
    assert along == pytest.approx(imitated_detector.SHRINK, rel=0.3)


def test_confidence_falls_with_the_error(detection):
    distance, confidence = np.linalg.norm(detection[0], axis=-1).ravel(), detection[1].ravel()
    order = np.argsort(distance)
    means = [part.mean() for part in np.array_split(confidence[order], 5)]
    assert (np.diff(means) < 0).all() and means[0] - means[-1] > 0.2


def test_errors_grow_with_the_person(points):
    small, large = (np.linalg.norm(imitate_detector(points * scale, H36M, 50.0, np.random.default_rng(2))[0]
                                   - points * scale, axis=-1) for scale in (1.0, 3.0))
    np.testing.assert_allclose(large.mean(), 3.0 * small.mean(), rtol=1e-3)


def test_the_seed_tells_the_errors(points):
    first, again, other = (imitate_detector(points, H36M, 50.0, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first[0], again[0])
    assert np.abs(first[0] - other[0]).max() > 1


@pytest.mark.parametrize('skeleton, frames', [('h36m', 1), ('coco17', 3)])
def test_short_clips_and_other_skeletons_work(points, skeleton, frames):
    detected, _ = imitate_detector(points[:frames], get_skeleton(skeleton), 30.0, np.random.default_rng(0))
    assert detected.shape == (frames, 17, 2) and np.isfinite(detected).all()


def test_a_person_without_size_keeps_its_joints():
    points = np.full((5, 17, 2), 7.0)
    detected, confidence = imitate_detector(points, get_skeleton('h36m'), 30.0, np.random.default_rng(0))
    np.testing.assert_allclose(detected, points, atol=1e-4)
    assert np.isfinite(confidence).all()


def test_a_joint_whose_error_is_unknown_is_named(points):
    skeleton = get_skeleton('halpe26')
    with pytest.raises(ValueError, match="errors of big_toe, .* of skeleton 'halpe26' are not known"):
        imitate_detector(np.zeros((3, skeleton.num_joints, 2)), skeleton, 30.0, np.random.default_rng(0))
