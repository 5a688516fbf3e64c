import numpy as np
import pytest

from motionbert_mm.geometry.filling import interpolate_gaps, interpolate_hidden, without_nan
from motionbert_mm.structures.skeleton import get_skeleton

H36M = get_skeleton('h36m')
FRAMES = 8


@pytest.fixture
def points():
    return np.random.default_rng(0).normal(size=(3, FRAMES, 17, 3)).astype(np.float32)


def fill(points, mask, skeleton=H36M):
    """Fill in; hidden places hold NaN, so that whoever reads them is found out."""
    return interpolate_hidden(np.where(mask[..., None], np.nan, points).astype(points.dtype), mask, skeleton.limbs)


def hide(points, *places):
    mask = np.zeros(points.shape[:-1], bool)
    for place in places:
        mask[place] = True
    return mask


def joint(name):
    return H36M.index(name)


def test_gaps_are_crossed_in_a_straight_line(points):
    knee = joint('left_knee')
    mask = hide(points, np.s_[0, 2:5, knee], np.s_[1, 6, knee])
    filled = fill(points, mask)
    start, end = points[0, 1, knee], points[0, 5, knee]
    for step, frame in enumerate((2, 3, 4), start=1):
        np.testing.assert_allclose(filled[0, frame, knee], start + (end - start) * step / 4, atol=1e-6)
    np.testing.assert_allclose(filled[1, 6, knee], (points[1, 5, knee] + points[1, 7, knee]) / 2, atol=1e-6)
    np.testing.assert_array_equal(filled[~mask], points[~mask])
    assert filled.dtype == np.float32


def test_straight_motion_is_restored_exactly():
    time = np.arange(FRAMES, dtype=np.float64)[:, None, None]
    points = (np.random.default_rng(1).normal(size=(1, 17, 2)) * time)[None]
    mask = np.random.default_rng(2).random((1, FRAMES, 17)) < 0.4
    mask[:, [0, -1]] = False
    np.testing.assert_allclose(fill(points, mask), points, atol=1e-12)


def test_before_the_first_and_after_the_last_seen_frame_a_joint_stays(points):
    filled = fill(points, hide(points, np.s_[0, :3, 5], np.s_[0, 6:, 5]))
    np.testing.assert_array_equal(filled[0, :3, 5], np.repeat(points[0, 3:4, 5], 3, axis=0))
    np.testing.assert_array_equal(filled[0, 6:, 5], np.repeat(points[0, 5:6, 5], 2, axis=0))


@pytest.mark.parametrize('hidden, found, weights', [
    (['left_knee'], 'left_knee', {'left_hip': 1 / 2, 'left_ankle': 1 / 2}),
    (['left_hip', 'left_knee'], 'left_knee', {'root': 1 / 3, 'left_ankle': 2 / 3}),
    (['left_hip', 'left_knee'], 'left_hip', {'root': 2 / 3, 'left_ankle': 1 / 3}),
    (['left_hip', 'left_knee', 'left_ankle'], 'left_ankle', {'root': 1}),
    (['left_ankle'], 'left_ankle', {'left_knee': 1}),
    (['root'], 'root', {'left_hip': 1 / 2, 'right_hip': 1 / 2}),
    (['left_hip', 'root'], 'left_hip', {'left_knee': 2 / 3, 'right_hip': 1 / 3}),
    (['thorax', 'left_shoulder', 'left_elbow', 'left_wrist'], 'left_wrist', {'spine': 1}),
])
def test_joints_that_are_never_seen_lie_on_the_line_between_their_nearest_neighbours(points, hidden, found, weights):
    mask = hide(points, np.s_[1, :, [joint(name) for name in hidden]])
    filled = fill(points, mask)
    expected = sum(weight * points[1, :, joint(name)] for name, weight in weights.items())
    np.testing.assert_allclose(filled[1, :, joint(found)], expected, atol=1e-6)
    np.testing.assert_array_equal(filled[[0, 2]], points[[0, 2]])


def test_neighbours_are_filled_in_time_before_they_are_used(points):
    knee, hip, ankle = joint('left_knee'), joint('left_hip'), joint('left_ankle')
    filled = fill(points, hide(points, np.s_[0, :, knee], np.s_[0, 3, hip]))
    middle = (points[0, 2, hip] + points[0, 4, hip]) / 2
    np.testing.assert_allclose(filled[0, 3, knee], (middle + points[0, 3, ankle]) / 2, atol=1e-6)


@pytest.mark.parametrize('name', ['h36m', 'h36m16'])
def test_filling_goes_with_mirroring(name):
    skeleton = get_skeleton(name)
    flip = list(skeleton.flip_indices)
    rng = np.random.default_rng(0)
    shape = 20, FRAMES, skeleton.num_joints
    sides = [skeleton.groups[group] for group in ('left_leg', 'right_arm', 'left_side', 'arms')]
    for group in sides:
        points, mask = rng.normal(size=(*shape, 3)), rng.random(shape) < 0.3
        mask[..., list(group)] = True
        mask[:, :, 0] = mask[:, 0, None, 0]  # hides the root in some windows as a whole
        np.testing.assert_allclose(fill(points[:, :, flip], mask[:, :, flip], skeleton),
                                   fill(points, mask, skeleton)[:, :, flip], atol=1e-12)


def test_windows_without_any_seen_joint_are_refused(points):
    with pytest.raises(ValueError, match='window 2 hides every joint in all of its 8 frames'):
        fill(points, hide(points, 2))


def test_gaps_of_a_linear_motion_are_closed_exactly():
    rng = np.random.default_rng(0)
    start, velocity = rng.normal(size=(2, 5, 2))
    motion = start + np.arange(12)[:, None, None] * velocity
    seen = rng.random((12, 5)) < 0.5
    seen[[0, -1]] = True
    holes = np.where(seen[..., None], motion, np.nan)
    np.testing.assert_allclose(interpolate_gaps(holes, seen), motion, rtol=1e-12)
    assert np.isnan(holes).any()  # the argument is left as it was


def test_beyond_the_ends_the_nearest_seen_frame_is_repeated():
    points = np.array([0.0, 7.0, 9.0, 0.0, 0.0])[:, None, None]
    seen = np.array([0, 1, 1, 0, 0], bool)[:, None]
    assert interpolate_gaps(points, seen)[:, 0, 0].tolist() == [7, 7, 9, 9, 9]


def test_a_joint_that_was_never_seen_lies_amid_the_others():
    points = np.array([[[2.0], [99.0], [6.0]], [[np.nan], [99.0], [8.0]]])
    seen = np.array([[True, False, True], [False, False, True]])
    np.testing.assert_array_equal(interpolate_gaps(points, seen)[..., 0], [[2, 4, 6], [2, 5, 8]])


def test_nan_in_a_coordinate_or_in_the_confidence_is_a_missing_joint():
    points = np.array([[1, 2], [np.nan, 2], [3, 4], [5, 6]], np.float32)
    confidence = np.array([0.5, 1.0, np.nan, 0.0], np.float32)
    clean, certainty = without_nan(points, confidence)
    assert clean.dtype == certainty.dtype == np.float32
    np.testing.assert_array_equal(clean, [[1, 2], [0, 0], [0, 0], [5, 6]])
    np.testing.assert_array_equal(certainty, [0.5, 0, 0, 0])
