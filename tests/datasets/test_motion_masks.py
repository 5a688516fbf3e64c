"""Masks of ActionPose: the mixture of training, and the windows of completion and prediction."""
import numpy as np
import pytest

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.transforms import HideWindow, SampleMotionMask
from motionbert_mm.structures.skeleton import get_skeleton

H36M = get_skeleton('h36m')


def rng(seed=0):
    return np.random.default_rng(seed)


def make_batch(batch=10, frames=100, persons=1, skeleton='h36m', **more):
    joints = get_skeleton(skeleton).num_joints
    return dict(inputs=np.ones((batch, persons, frames, joints, 3), np.float32), skeleton=skeleton,
                frame_ids=np.tile(np.arange(frames), (batch, 1)), **more)


def draw(transform, seed=0, **options):
    return transform(make_batch(**options), rng(seed))['mask']


def kinds_of(mask):
    """The kind of each row of a mask (N, T, J): a window, a region, or joints and frames."""
    whole_joints, whole_frames = mask.all(axis=1), mask.all(axis=2)
    is_region = whole_joints.any(axis=1) & ~whole_joints.all(axis=1)
    is_window = whole_frames.any(axis=1) & (mask.any(axis=2) == whole_frames).all(axis=1)
    is_window &= np.abs(np.diff(whole_frames.astype(int), axis=1)).sum(axis=1) <= 2
    return np.where(is_region, 'region', np.where(is_window, 'window', 'joints'))


def test_kinds_are_mixed_as_published():
    mask = draw(SampleMotionMask(num_frames=(6, 10)), batch=5000, persons=2, frames=24)
    kinds, counts = np.unique(kinds_of(mask.reshape(-1, 24, 17)), return_counts=True)
    shares = dict(zip(kinds.tolist(), counts / 10000))
    assert shares == pytest.approx(dict(joints=0.5, region=0.25, window=0.25), abs=0.015)  # 3 standard deviations


def test_single_joints_and_whole_frames_are_hidden_in_one_sample():
    mask = draw(SampleMotionMask(shares=dict(joints=1.0)), batch=400)[:, 0]
    whole = mask.all(axis=2)
    assert whole.mean() == pytest.approx(0.15, abs=0.01)
    assert mask[~whole].mean() == pytest.approx(0.05, abs=0.003)
    assert len({tuple(row) for row in whole}) == 400  # frames differ from sample to sample


def test_a_region_is_hidden_in_all_frames():
    mask = draw(SampleMotionMask(shares=dict(region=1.0)), batch=600, persons=2)
    assert (mask == mask[:, :, :1]).all()
    drawn, counts = np.unique(mask[:, :, 0].reshape(-1, 17), axis=0, return_counts=True)
    assert {tuple(np.flatnonzero(row).tolist()) for row in drawn} == set(H36M.regions.values()) and len(counts) == 6
    assert counts.min() > 150  # 200 each
    assert (mask[:, 0] != mask[:, 1]).any()  # persons are drawn on their own


def test_chosen_regions_only():
    mask = draw(SampleMotionMask(shares=dict(region=1.0), regions=['arms']))
    assert (mask == np.isin(np.arange(17), H36M.regions['arms'])).all()


def bounds(mask):
    """First frame and length of the stretch that each row (N, T) hides; it is in one piece."""
    assert (np.diff(mask.astype(int), axis=1) == 1).sum(axis=1).max() <= 1
    first, length = mask.argmax(axis=1), mask.sum(axis=1)
    assert all(row[start:start + count].all() for row, start, count in zip(mask, first, length))
    return first, length


def test_a_window_lies_anywhere_and_is_as_long_as_published():
    mask = draw(SampleMotionMask(shares=dict(window=1.0)), batch=4000, frames=243)[:, 0]
    assert (mask == mask[..., :1]).all()
    first, length = bounds(mask[..., 0])
    assert set(length) == set(range(30, 81))
    assert first.min() == 0 and (first + length).max() == 243  # head and tail are reached
    assert ((first > 0) & (first + length < 243)).mean() > 0.9
    assert mask[..., 0].mean(axis=0)[100:143].min() > 0.2  # and the middle
    assert np.corrcoef(first / (243 - length), length)[0, 1] == pytest.approx(0, abs=0.06)


def test_of_few_frames_half_are_hidden():
    first, length = bounds(draw(SampleMotionMask(shares=dict(window=1.0)), batch=2000, frames=21)[:, 0, :, 0])
    assert set(length) == {10} and set(first) == set(range(12))


def test_padding_does_not_count():
    inside = np.zeros((3000, 100), bool)
    inside[:, 20:70] = True
    mask = draw(SampleMotionMask(shares=dict(window=1.0)), batch=3000, is_inside=inside)[:, 0, :, 0]
    first, length = bounds(mask)
    assert set(length) == {25} and first.min() == 20 and (first + length).max() == 70
    for place, expected in (('head', (20, 12)), ('middle', (39, 12)), ('tail', (58, 12))):
        first, length = bounds(draw(HideWindow(place=place), batch=2, is_inside=inside[:2])[:, 0, :, 0])
        assert (set(first), set(length)) == ({expected[0]}, {expected[1]})


def test_copies_of_a_hidden_frame_are_hidden():
    frames = np.minimum(np.arange(40), 9)  # a clip of 10 frames, its last one repeated
    batch = dict(make_batch(batch=200, frames=40), frame_ids=np.tile(frames, (200, 1)))
    for transform in (SampleMotionMask(shares=dict(window=1.0)), HideWindow(place='tail')):
        mask = transform(batch, rng())['mask'][:, 0, :, 0]
        assert mask.any() and (mask[:, 9:] == mask[:, 9:10]).all()


@pytest.mark.parametrize('place, expected', [('head', range(30)), ('middle', range(35, 65)), ('tail', range(70, 100))])
def test_fixed_windows_are_the_same_every_time(place, expected):
    mask = draw(HideWindow(place=place, share=0.3), persons=2)
    assert (mask == np.isin(np.arange(100), expected)[:, None]).all()
    assert mask.shape == (10, 2, 100, 17)


@pytest.mark.parametrize('frames, share, count', [(2, 0.01, 1), (2, 0.99, 1), (5, 0.99, 4), (9, 0.3, 3)])
def test_a_fixed_window_hides_a_frame_and_leaves_one(frames, share, count):
    assert draw(HideWindow(share=share), frames=frames)[0, 0, :, 0].sum() == count


@pytest.mark.parametrize('transform', [SampleMotionMask(shares=dict(region=1.0), regions=['head']),
                                       HideWindow(place='head', share=0.1)])
def test_a_mask_that_is_there_is_joined(transform):
    before = np.zeros((10, 1, 100, 17), bool)
    before[:, :, 50, 3] = True
    batch = make_batch(mask=before)
    mask, alone = transform(batch, rng())['mask'], draw(transform)
    np.testing.assert_array_equal(mask, alone | before)
    assert before.sum() == 10


def test_shares_may_leave_samples_whole():
    mask = draw(SampleMotionMask(shares=dict(region=0.3)), batch=2000)
    assert mask.any(axis=(1, 2, 3)).mean() == pytest.approx(0.3, abs=0.04)


@pytest.mark.parametrize('options', [
    dict(shares=dict(frames=0.5)), dict(shares=dict(joints=0.7, window=0.4)), dict(shares=dict(joints=-0.1)),
    dict(joint_ratio=1.1), dict(frame_ratio=-1), dict(regions=[]), dict(regions=['nose']), dict(num_frames=(0, 5)),
    dict(num_frames=(80, 30))])
def test_bad_options_are_refused(options):
    with pytest.raises(ValueError, match='SampleMotionMask'):
        SampleMotionMask(**options)


@pytest.mark.parametrize('options', [dict(place='end'), dict(share=0.0), dict(share=1.0)])
def test_bad_windows_are_refused(options):
    with pytest.raises(ValueError, match="HideWindow got .*'head', 'middle', 'tail'"):
        HideWindow(**options)


def test_the_mixture_is_refused_in_test_mode(tiny_store):
    pipeline = [dict(type='NormalizeCoords'), dict(type='SampleMotionMask')]
    options = dict(window=dict(num_frames=9), pipeline=pipeline)
    assert 'mask' in MotionDataset(str(tiny_store), **options)[0]
    with pytest.raises(ValueError, match='SampleMotionMask is for training only, but the data set is in test mode'):
        MotionDataset(str(tiny_store), test_mode=True, **options)
    pipeline[-1] = dict(type='HideWindow')
    assert MotionDataset(str(tiny_store), test_mode=True, **options)[0]['mask'].any()
