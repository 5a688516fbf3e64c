import numpy as np
import pytest

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.transforms import SampleExactMask, SampleJointGroups, SampleMask
from motionbert_mm.structures.skeleton import get_skeleton

BATCH, PERSONS, FRAMES = 40, 2, 9
LIMBS = ['left_leg', 'right_leg', 'left_arm', 'right_arm']
SIDES = ['legs', 'arms', 'left_side', 'right_side']


def rng(seed=0):
    return np.random.default_rng(seed)


def make_batch(skeleton='h36m', channels=3, batch=BATCH, **more):
    joints = get_skeleton(skeleton).num_joints
    return dict(inputs=np.ones((batch, PERSONS, FRAMES, joints, channels), np.float32), skeleton=skeleton,
                frame_ids=np.tile(np.arange(FRAMES), (batch, 1)), **more)


def draw(groups, seed=0, num_frames=None, **options):
    return SampleJointGroups(groups=groups, num_frames=num_frames)(make_batch(**options), rng(seed))['mask']


def hidden_names(mask, skeleton='h36m'):
    """The joints that a sample hides in its first frame."""
    return tuple(np.array(get_skeleton(skeleton).joints)[mask[0]])


@pytest.mark.parametrize('skeleton', ['h36m', 'h36m16'])
@pytest.mark.parametrize('group, joints', [
    ('left_leg', 'left_hip left_knee left_ankle'), ('right_leg', 'right_hip right_knee right_ankle'),
    ('left_arm', 'left_shoulder left_elbow left_wrist'), ('right_arm', 'right_shoulder right_elbow right_wrist'),
    ('legs', 'right_hip right_knee right_ankle left_hip left_knee left_ankle'),
    ('arms', 'left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist'),
    ('left_side', 'left_hip left_knee left_ankle left_shoulder left_elbow left_wrist'),
    ('right_side', 'right_hip right_knee right_ankle right_shoulder right_elbow right_wrist'),
    (['nose', 'root'], 'root nose')])
def test_a_group_is_hidden_in_all_frames(skeleton, group, joints):
    if skeleton == 'h36m16' and 'nose' in group:
        group, joints = ['head', 'root'], 'root head'
    mask = draw([group], skeleton=skeleton)
    assert mask.shape == (BATCH, PERSONS, FRAMES, get_skeleton(skeleton).num_joints) and mask.dtype == bool
    assert (mask == mask[:1, :1, :1]).all()
    assert hidden_names(mask[0, 0], skeleton) == tuple(joints.split())


# Official: TubeMaskGen, whose README labels the other side of the body (2D codes 0 to 3, 3D codes 0 to 3).
@pytest.mark.parametrize('group, indices', [
    ('legs', [1, 2, 3, 4, 5, 6]), ('arms', [11, 12, 13, 14, 15, 16]), ('right_side', [1, 2, 3, 14, 15, 16]),
    ('left_side', [4, 5, 6, 11, 12, 13]), ('right_leg', [1, 2, 3]), ('right_arm', [14, 15, 16]),
    ('left_arm', [11, 12, 13]), ('left_leg', [4, 5, 6])])
def test_groups_are_the_official_joints(group, indices):
    assert np.flatnonzero(draw([group])[0, 0, 0]).tolist() == indices


def test_a_number_hides_as_many_joints_of_all_in_all_frames():
    mask = draw([3], batch=2000)
    assert (mask == mask[:, :, :1]).all() and (mask.sum(axis=-1) == 3).all()
    share = mask[:, :, 0].reshape(-1, 17).mean(axis=0)
    assert np.abs(share - 3 / 17).max() < 5 * np.sqrt(3 / 17 * 14 / 17 / 4000)
    assert len(np.unique(mask[:, :, 0].reshape(-1, 17), axis=0)) > 500  # of 680


@pytest.mark.parametrize('groups', [[*LIMBS, 3], [*SIDES, 6]])
def test_entries_are_drawn_equally_often(groups):
    rows = draw(groups, batch=2000)[:, :, 0].reshape(-1, 17)
    skeleton = get_skeleton('h36m')
    for group in groups[:-1]:
        expected = np.isin(np.arange(17), skeleton.groups[group])
        assert (rows == expected).all(axis=1).mean() == pytest.approx(0.2, abs=5 * np.sqrt(0.16 / 4000))
    assert set(rows.sum(axis=1)) == {groups[-1]} | {len(skeleton.groups[group]) for group in groups[:-1]}


def test_samples_and_persons_are_drawn_apart():
    mask = draw([2], batch=200)
    assert (mask[:, 0] != mask[:, 1]).any(axis=(1, 2)).mean() > 0.9
    assert (mask[0] != mask[1]).any()


@pytest.mark.parametrize('num_frames', [None, 4, (2, 6)])
def test_masks_are_a_function_of_the_generator(num_frames):
    first, again, other = (draw([*LIMBS, 3], seed, num_frames) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize('num_frames, lengths', [(1, {1}), (4, {4}), (FRAMES, {FRAMES}), ((2, 5), {2, 3, 4, 5})])
def test_a_stretch_of_frames_is_hidden_in_a_row(num_frames, lengths):
    mask = draw(['left_leg'], num_frames=num_frames, batch=300)
    frames = mask.any(axis=-1).reshape(-1, FRAMES)
    assert (mask[..., 4:7] == mask[..., 4:5]).all() and not mask[..., [0, 1, 2, 3, *range(7, 17)]].any()
    assert set(frames.sum(axis=1)) == lengths
    edges = np.diff(np.pad(frames.astype(int), ((0, 0), (1, 1))), axis=1)
    assert ((edges == 1).sum(axis=1) == 1).all()
    # Gaps begin everywhere.
    assert set(np.argmax(frames, axis=1)) == set(range(FRAMES - min(lengths) + 1))


def test_copies_of_a_hidden_frame_are_hidden_too():
    batch = dict(make_batch(batch=300), frame_ids=np.tile([5, 5, 5, 5, 6, 7, 8, 9, 9], (300, 1)))
    frames = SampleJointGroups(groups=['left_leg'], num_frames=2)(batch, rng())['mask'].any(axis=-1)
    assert (frames[..., :4] == frames[..., :1]).all() and (frames[..., 7] == frames[..., 8]).all()
    assert frames[..., 0].any() and not frames[..., 0].all()
    # Exactly what a stretch of two rows reaches: one or two source frames.
    assert set(frames[..., [0, 4, 5, 6, 7]].sum(axis=-1).ravel()) == {1, 2}


@pytest.mark.parametrize('channels', [3, 4])
def test_an_earlier_mask_is_joined_and_nothing_is_written_to(channels):
    first = SampleExactMask(frame_ratio=0.5, num_joints=0)(make_batch(channels=channels), rng())
    before = first['mask'].copy()
    joined = SampleJointGroups(groups=['arms'])(first, rng())
    np.testing.assert_array_equal(first['mask'], before)
    assert joined['inputs'] is first['inputs']
    assert (joined['mask'] == (before | np.isin(np.arange(17), range(11, 17)))).all()


@pytest.mark.parametrize('transform', [SampleMask(), SampleExactMask(), SampleJointGroups(groups=['legs'])])
def test_masks_are_made_for_3d_inputs_as_for_2d(transform):
    flat, solid = (transform(make_batch(channels=channels), rng())['mask'] for channels in (3, 4))
    np.testing.assert_array_equal(flat, solid)


def test_tests_are_hidden_alike_in_every_epoch(tiny_store):
    pipeline = [dict(type='NormalizeCoords'), dict(type='SampleJointGroups', groups=[2])]
    test, train = (MotionDataset(str(tiny_store), window=dict(num_frames=9), pipeline=pipeline, test_mode=mode)
                   for mode in (True, False))
    first = [dataset.__getitems__(range(8))['mask'] for dataset in (test, train)]
    for dataset in (test, train):
        dataset.set_epoch(1)
    again = [dataset.__getitems__(range(8))['mask'] for dataset in (test, train)]
    np.testing.assert_array_equal(first[0], again[0])
    assert (first[1] != again[1]).any()


@pytest.mark.parametrize('options, error, message', [
    (dict(groups=[]), ValueError, 'groups is empty'),
    (dict(groups='legs'), TypeError, "a list of which one entry is drawn, got 'legs'"),
    (dict(groups=4), TypeError, 'got 4'),
    (dict(groups=[0]), ValueError, 'a number of joints is at least 1, got 0'),
    (dict(groups=[True]), TypeError, 'an entry is a number of joints, .* got True'),
    (dict(groups=[[]]), TypeError, r'got \[\]'),
    (dict(groups=[[1, 2]]), TypeError, r'list of joint names, got \[1, 2\]'),
    (dict(groups=[1.5]), TypeError, 'got 1.5'),
    (dict(groups=[1], num_frames=0), ValueError, 'num_frames is a number of frames, at least 1, .*got 0'),
    (dict(groups=[1], num_frames=(3, 2)), ValueError, r'got \(3, 2\)'),
    (dict(groups=[1], num_frames=(1, 2, 3)), ValueError, r'got \(1, 2, 3\)'),
    (dict(groups=[1], num_frames=(1, 2.0)), ValueError, r'got \(1, 2.0\)')])
def test_impossible_groups_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        SampleJointGroups(**options)


@pytest.mark.parametrize('groups, error, message', [
    ([17], ValueError, '17 hides all 17 joints'), (['left_foot'], KeyError, "no group 'left_foot'; it has .*left_side"),
    ([['tail']], KeyError, "has no joint 'tail'"),
    (['nose'], KeyError, r"Single joints are named in a list, \['nose'\]"),
    ([get_skeleton('h36m').joints], ValueError, 'hides all 17 joints')])
def test_groups_that_a_skeleton_has_not_are_refused(groups, error, message):
    with pytest.raises(error, match=message):
        draw(groups)


def test_longer_gaps_than_windows_are_refused():
    with pytest.raises(ValueError, match='num_frames is 10, but a window has 9 frames; leave it out'):
        draw(['legs'], num_frames=(1, 10))


def test_groups_are_hidden_after_the_normalisation():
    with pytest.raises(ValueError, match='SampleJointGroups works on normalised inputs; put NormalizeCoords before it'):
        SampleJointGroups(groups=['legs'])(dict(keypoints_2d=np.ones((2, 1, 9, 17, 2)), skeleton='h36m'), rng())
