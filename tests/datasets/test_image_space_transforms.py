"""Transforms of motion in image space: of video without 3D truth, and of poses whose 2.5D form is in the store."""
import numpy as np
import pytest
import torch

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.transforms import (
    ConvertSkeleton,
    NormalizeCoords,
    OrthographicView,
    RandomFlip,
    ReprojectionTarget,
    ZeroMissing,
)
from motionbert_mm.geometry.coords import image_space_3d
from motionbert_mm.geometry.targets import decode_target
from motionbert_mm.structures.skeleton import get_skeleton

H36M = get_skeleton('h36m')
IMAGE = ('keypoints_3d', 'keypoints_image', 'image_factor')


def rng(seed=0):
    return np.random.default_rng(seed)


def load(store, **options):
    dataset = MotionDataset(str(store), window=dict(num_frames=9), **options)
    return dataset.__getitems__(np.linspace(0, len(dataset) - 1, 8).astype(int))


@pytest.fixture
def video(tiny_store):
    """Eight windows of detected 2D alone, a joint of which is missing in the first sample."""
    batch = load(tiny_store, targets=())
    batch['confidence'] = np.maximum(batch['confidence'], np.float32(0.1))
    batch['confidence'][0, 0, 4, H36M.index('left_wrist')] = 0.0
    return batch


@pytest.fixture
def truth(tiny_store):
    """Eight windows of both cameras with exact 2D and the pose in both forms."""
    return load(tiny_store, input_2d='exact', targets=IMAGE)


def test_missing_joints_become_zero_and_others_stay(video):
    normalised = NormalizeCoords(inputs='crop_scale', target=None)(video, rng())
    place = (0, 0, 4, H36M.index('left_wrist'))
    assert normalised['inputs'][place][:2].any()
    zeroed = ZeroMissing()(normalised, rng())['inputs']
    assert not zeroed[place].any()
    is_seen = video['confidence'] > 0
    assert (~is_seen).sum() == 1
    np.testing.assert_array_equal(zeroed[is_seen], normalised['inputs'][is_seen])
    assert not zeroed[~is_seen].any() and zeroed.dtype == np.float32


@pytest.mark.parametrize('root_relative', [False, True])
def test_the_target_of_reprojection_is_the_clean_input(video, root_relative):
    normalised = NormalizeCoords()(video, rng())
    made = ReprojectionTarget(root_relative=root_relative)(normalised, rng())
    inputs = normalised['inputs']
    expected = inputs[..., :2] - inputs[..., H36M.root:H36M.root + 1, :2] if root_relative else inputs[..., :2]
    np.testing.assert_array_equal(made['target_2d'], expected)
    np.testing.assert_array_equal(made['weight_2d'], video['confidence'])
    assert made['target_2d'].dtype == made['weight_2d'].dtype == np.float32
    assert made['inputs'] is inputs
    assert (made['target_2d'][..., H36M.root, :] == 0).all() == root_relative


def test_without_a_target_3d_truth_is_not_looked_at(truth):
    flat = NormalizeCoords(inputs='crop_scale', target=None)(truth, rng())
    np.testing.assert_array_equal(flat['inputs'], NormalizeCoords(inputs='crop_scale')(truth, rng())['inputs'])
    assert 'target_3d' not in flat and set(flat['norm']) == {'input_box'}


def test_inputs_are_converted_after_the_crop(truth):
    """The square is that of all joints of the source, not only of those that are left."""
    cropped = NormalizeCoords(inputs='crop_scale', target=None)(truth, rng())
    converted = ConvertSkeleton('h36m16')(cropped, rng())
    order = [H36M.index(joint) for joint in get_skeleton('h36m16').joints]
    np.testing.assert_array_equal(converted['inputs'], cropped['inputs'][..., order, :])
    np.testing.assert_array_equal(converted['keypoints_2d'], truth['keypoints_2d'][..., order, :])
    # A source with joints beyond those of the target.
    wide = dict(truth, keypoints_2d=truth['keypoints_2d'].copy())
    wide['keypoints_2d'][..., H36M.index('nose'), 0] += 5000.0
    wide = NormalizeCoords(inputs='crop_scale', target=None)(wide, rng())
    crop_first = ConvertSkeleton('h36m16')(wide, rng())['inputs']
    assert 'nose' not in get_skeleton('h36m16').joints and np.ptp(crop_first[..., 0]) < 1.0


def test_averaged_inputs_take_the_lowest_confidence(video):
    coco = get_skeleton('coco17')
    batch = dict(video, skeleton='coco17')  # 17 joints as well; only their names matter here
    normalised = NormalizeCoords(inputs='crop_scale', target=None)(batch, rng())
    converted = ConvertSkeleton('h36m')(normalised, rng())['inputs'][..., H36M.root, :]
    hips = normalised['inputs'][..., [coco.index('left_hip'), coco.index('right_hip')], :]
    np.testing.assert_allclose(converted[..., :2], hips[..., :2].mean(axis=-2), atol=1e-6)
    np.testing.assert_array_equal(converted[..., 2], hips[..., 2].min(axis=-1))


def test_padded_frames_of_video_stay_invisible_in_another_skeleton(video):
    video['visible'] = video['visible'].copy()
    video['visible'][2, :, 6:] = False
    converted = ConvertSkeleton('h36m16')(video, rng())['visible']
    assert not converted[2, :, 6:].any() and converted[2, :, :6].all() and converted[1].all()


def test_3d_alone_is_converted_and_flipped_before_it_is_looked_at(tiny_store):
    batch = load(tiny_store, input_2d=None)
    converted = ConvertSkeleton('h36m16')(batch, rng())
    order = [H36M.index(joint) for joint in get_skeleton('h36m16').joints]
    np.testing.assert_allclose(converted['keypoints_3d'], batch['keypoints_3d'][..., order, :])
    assert 'keypoints_2d' not in converted
    first, later = RandomFlip(prob=1.0), OrthographicView()
    np.testing.assert_allclose(later(first(batch, rng()), rng())['keypoints_image'],
                               first(later(batch, rng()), rng())['keypoints_image'], atol=1e-3)


def test_a_flipped_image_space_pose_is_that_of_the_flipped_3d_pose(truth):
    flipped = RandomFlip(prob=1.0)(truth, rng())
    expected = image_space_3d(flipped['keypoints_3d'], flipped['intrinsics'], H36M.root)
    np.testing.assert_allclose(flipped['keypoints_image'], expected, atol=2e-3)
    assert np.abs(flipped['keypoints_image'] - truth['keypoints_image']).max() > 100
    np.testing.assert_array_equal(flipped['image_factor'], truth['image_factor'])


@pytest.mark.parametrize('target', ['image_space', 'image_space_global'])
def test_a_flip_mirrors_inputs_and_targets_alike(truth, target):
    normalise = NormalizeCoords(target=target)
    plain, flipped = (normalise(batch, rng()) for batch in (truth, RandomFlip(prob=1.0)(truth, rng())))
    for name in ('inputs', 'target_3d'):
        mirrored = plain[name][..., list(H36M.flip_indices), :] * np.array([-1.0, 1.0, 1.0])
        np.testing.assert_allclose(flipped[name], mirrored, atol=1e-5)


def test_some_samples_are_flipped_as_a_whole(truth):
    flipped = RandomFlip(prob=0.5)(truth, rng(3))
    moved = {name: np.array([not np.array_equal(*pair) for pair in zip(flipped[name], truth[name])])
             for name in ('keypoints_2d', 'keypoints_3d', 'keypoints_image')}
    assert 0 < moved['keypoints_2d'].sum() < 8
    for chosen in moved.values():
        np.testing.assert_array_equal(chosen, moved['keypoints_2d'])


def test_video_of_unknown_image_size_is_flipped(video):
    del video['image_size'], video['intrinsics']
    video = dict(video, keypoints_image=np.concatenate([video['keypoints_2d'], video['confidence'][..., None]], -1))
    flipped = RandomFlip(prob=1.0)(video, rng())
    swapped = video['keypoints_2d'][..., list(H36M.flip_indices), :]
    np.testing.assert_array_equal(flipped['keypoints_2d'], swapped * np.array([-1, 1], np.float32))
    np.testing.assert_array_equal(flipped['keypoints_image'][..., :2], flipped['keypoints_2d'])
    # Cropped, nothing is left of where the mirror stood.
    crop = NormalizeCoords(inputs='crop_scale', target=None)
    mirrored = crop(video, rng())['inputs'][..., list(H36M.flip_indices), :] * np.array([-1, 1, 1])
    np.testing.assert_allclose(crop(flipped, rng())['inputs'], mirrored, atol=1e-5)


def test_given_2d_replaces_the_predicted_plane(truth):
    normalised = NormalizeCoords(target='image_space', given_2d=True)(truth, rng())
    wrong = torch.from_numpy(normalised['target_3d']) + torch.tensor([0.3, -0.2, 0.0])
    decoded = decode_target(wrong, normalised['norm'], H36M.legs).numpy()
    pixels = truth['keypoints_image']
    expected = (pixels - pixels[..., :1, :]) * truth['image_factor'][..., None, None]
    np.testing.assert_allclose(decoded, expected, atol=0.05)
    plain = NormalizeCoords(target='image_space')(truth, rng())['norm']
    assert np.abs(decode_target(wrong, plain, H36M.legs).numpy() - expected).max() > 100


@pytest.mark.parametrize('options', [dict(), dict(target=None), dict(inputs='crop_scale', target='image_space')])
def test_given_2d_needs_inputs_and_targets_of_one_kind(options):
    with pytest.raises(ValueError, match="given_2d with inputs='.*' and target=.*; input and target share"):
        NormalizeCoords(given_2d=True, **options)
