"""Corruptions of the input by which lifters are tested: noise and shuffled frames."""
import numpy as np
import pytest

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.transforms import (
    AddGaussianNoise,
    NormalizeCoords,
    ReprojectionTarget,
    SampleExactMask,
    ShuffleFrames,
)

BATCH, PERSONS, FRAMES, JOINTS = SHAPE = (60, 2, 27, 17)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def batch():
    """Inputs that say where they come from: x the frame, y the joint; the second person is 100 further."""
    inputs = np.zeros((*SHAPE, 3), np.float32)
    inputs[..., 0] = np.arange(FRAMES)[:, None] + 100.0 * np.arange(PERSONS)[:, None, None]
    inputs[..., 1] = np.arange(JOINTS)
    inputs[..., 2] = 1.0
    inputs.flags.writeable = False
    return dict(inputs=inputs, keypoints_2d=inputs[..., :2], target_3d=np.ones((*SHAPE, 3), np.float32),
                frame_ids=np.tile(np.arange(FRAMES), (BATCH, 1)))


@pytest.mark.parametrize('std', [0.01, 0.03, 0.05])
def test_noise_is_independent_with_the_deviation_asked_for(batch, std):
    noisy = AddGaussianNoise(std=std)(batch, rng())
    assert noisy['inputs'].dtype == np.float32
    noise = (noisy['inputs'] - batch['inputs'])[..., :2].astype(np.float64)
    assert noise.mean() == pytest.approx(0.0, abs=5 * std / np.sqrt(noise.size))
    assert noise.std() == pytest.approx(std, rel=0.02)
    for axis in range(noise.ndim):  # neighbours along no axis are alike
        first, second = (np.take(noise, range(*ends), axis).ravel()
                         for ends in ((0, noise.shape[axis] - 1), (1, noise.shape[axis])))
        assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(len(first))


def test_noise_changes_x_and_y_of_the_input_only(batch):
    noisy = AddGaussianNoise(std=0.05)(batch, rng())
    np.testing.assert_array_equal(noisy['inputs'][..., 2], batch['inputs'][..., 2])
    assert all(noisy[name] is batch[name] for name in batch if name != 'inputs')


def test_noise_leaves_joints_that_are_not_there(batch):
    inputs = batch['inputs'].copy()
    inputs[:, 1, :, 3] = 0.0
    noisy = AddGaussianNoise(std=0.05)(dict(batch, inputs=inputs), rng())['inputs']
    assert not noisy[:, 1, :, 3].any() and (noisy[:, 0, :, 3, :2] != inputs[:, 0, :, 3, :2]).all()


@pytest.mark.parametrize('std', [-0.01, float('nan'), float('inf')])
def test_a_deviation_is_a_finite_number_of_at_least_0(std):
    with pytest.raises(ValueError, match=f'AddGaussianNoise.std must be a finite number of at least 0, got {std}'):
        AddGaussianNoise(std=std)


def test_shuffled_inputs_are_the_same_frames_in_another_order(batch):
    shuffled = ShuffleFrames()(batch, rng())
    frames = shuffled['inputs'][..., 0, 0]  # (B, M, T)
    np.testing.assert_array_equal(np.sort(frames, axis=-1), batch['inputs'][..., 0, 0])
    np.testing.assert_array_equal(frames[:, 1], frames[:, 0] + 100)  # persons alike
    assert len(np.unique(frames[:, 0], axis=0)) == BATCH  # samples apart
    # The joints of a frame stay together.
    np.testing.assert_array_equal(shuffled['inputs'][..., 0], np.repeat(frames[..., None], JOINTS, axis=-1))
    np.testing.assert_array_equal(shuffled['inputs'][..., 1:], batch['inputs'][..., 1:])
    assert all(shuffled[name] is batch[name] for name in batch if name != 'inputs')


def test_every_order_is_equally_likely(batch):
    inputs = np.repeat(batch['inputs'][:1, :, :4], 6000, axis=0)
    frames = ShuffleFrames()(dict(inputs=inputs), rng())['inputs'][:, 0, :, 0, 0]
    orders, counts = np.unique(frames, axis=0, return_counts=True)
    assert len(orders) == 24
    assert np.abs(counts - 250).max() < 5 * np.sqrt(250)


def test_a_share_of_the_samples_is_shuffled(batch):
    inputs = np.repeat(batch['inputs'][:1], 1000, axis=0)
    changed = (ShuffleFrames(prob=0.3)(dict(inputs=inputs), rng())['inputs'] != inputs).any(axis=(1, 2, 3, 4))
    assert changed.mean() == pytest.approx(0.3, abs=5 * np.sqrt(0.21 / 1000))


@pytest.mark.parametrize('prob', [-0.1, 1.1, float('nan')])
def test_a_share_that_is_none_is_refused(prob):
    with pytest.raises(ValueError, match=f'ShuffleFrames.prob is a share between 0 and 1, got {prob}'):
        ShuffleFrames(prob=prob)


def test_frames_are_shuffled_before_they_are_masked(batch):
    with pytest.raises(ValueError, match='move ShuffleFrames before it'):
        ShuffleFrames()(SampleExactMask()(batch, rng()), rng())


@pytest.mark.parametrize('transform, off', [(AddGaussianNoise(std=0.05), AddGaussianNoise(std=0.0)),
                                            (ShuffleFrames(), ShuffleFrames(prob=0.0))])
def test_both_are_functions_of_the_generator_and_can_be_switched_off(batch, transform, off):
    first, again, other = (transform(batch, rng(seed))['inputs'] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert off(batch, rng()) is batch
    given = dict(batch, norm=dict(xy=batch['keypoints_2d']))
    with pytest.raises(ValueError, match=rf'{type(transform).__name__} .*given_2d=True\).*leave one of them out'):
        transform(given, rng())
    with pytest.raises(ValueError, match=f'{type(transform).__name__} works on normalised inputs'):
        transform(dict(keypoints_2d=batch['keypoints_2d']), rng())


def test_targets_stay_clean_in_a_pipeline_that_a_config_changes(tiny_store):
    pipeline = [dict(type='NormalizeCoords'), dict(type='ReprojectionTarget', root_relative=False),
                dict(type='AddGaussianNoise', std=0.0), dict(type='ShuffleFrames', prob=0.0),
                dict(type='SampleExactMask')]
    changes = dict(AddGaussianNoise=dict(std=0.03), ShuffleFrames=dict(prob=1.0))
    clean, changed = (MotionDataset(str(tiny_store), window=dict(num_frames=9), pipeline=pipeline, test_mode=True,
                                    pipeline_changes=given).__getitems__([0, 5, 9]) for given in (None, changes))
    assert (changed['inputs'][..., :2] != clean['inputs'][..., :2]).all()
    for name in ('target_2d', 'target_3d', 'keypoints_2d', 'frame_ids'):
        np.testing.assert_array_equal(changed[name], clean[name])
    assert (changed['mask'].all(axis=-1).sum(axis=-1) == 7).all()


def test_the_target_made_first_is_what_the_input_was(batch):
    normalised = NormalizeCoords(target=None)(dict(
        keypoints_2d=batch['keypoints_2d'], confidence=batch['inputs'][..., 2], skeleton='h36m',
        image_size=np.full((BATCH, 2), 100, np.float32), sample_id=['one'] * BATCH), rng())
    corrupted = normalised
    for transform in (ReprojectionTarget(root_relative=False), AddGaussianNoise(std=0.05), ShuffleFrames()):
        corrupted = transform(corrupted, rng())
    np.testing.assert_array_equal(corrupted['target_2d'], normalised['inputs'][..., :2])
