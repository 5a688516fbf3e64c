import numpy as np
import pytest
import torch

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.datasets.transforms import (
    AddDetectorNoise,
    ConvertSkeleton,
    NormalizeCoords,
    PackInputs,
    RandomFlip,
    arrays,
    pixel_noise,
)
from motionbert_mm.geometry.bones import ADULT_LEG, bone_lengths
from motionbert_mm.geometry.camera import project
from motionbert_mm.geometry.coords import image_space_3d, image_space_factor
from motionbert_mm.geometry.rotation import axis_angle_to_matrix
from motionbert_mm.geometry.targets import decode_input, decode_target
from motionbert_mm.registry import TRANSFORMS, build
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import get_skeleton
from tests.minimal import arguments

FLIPPED = ('keypoints_2d', 'keypoints_3d', 'confidence', 'visible', 'intrinsics', 'smpl_pose')

LEGS = get_skeleton('h36m').legs


@pytest.fixture
def batch(tiny_store):
    """Eight windows of both cameras, with exact 2D and SMPL rotations, as a data set gathers them."""
    dataset = MotionDataset(str(tiny_store), window=dict(num_frames=9), input_2d='exact')
    results = dataset.__getitems__(np.linspace(0, len(dataset) - 1, 8).astype(int))
    return dict(results, smpl_pose=np.random.default_rng(0).normal(size=(8, 1, 9, 24, 3)).astype(np.float32))


def frozen(results):
    """The batch with arrays that refuse to be written."""
    for value in results.values():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    return results


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(params=['all', 'three', 'one'])
def block(request, batch, monkeypatch):
    """How many of the eight samples are worked on at a time."""
    monkeypatch.setattr(arrays, 'BLOCK_BYTES', dict(all=2 ** 20, three=3 * 9 * 17 * 3 * 4, one=1)[request.param])
    return request.param


def test_flip_is_an_involution(batch, block):
    flip = RandomFlip(prob=1.0)
    twice = flip(flip(batch, rng()), rng())
    for name in FLIPPED:
        np.testing.assert_allclose(twice[name], batch[name], atol=1e-4)


def test_flipped_3d_projects_to_flipped_2d(batch):
    before = np.abs(project(batch['keypoints_3d'], batch['intrinsics']) - batch['keypoints_2d']).max()
    flipped = RandomFlip(prob=1.0)(batch, rng())
    after = np.abs(project(flipped['keypoints_3d'], flipped['intrinsics']) - flipped['keypoints_2d']).max()
    assert before < 1e-3 and after < 1e-3
    assert not np.allclose(flipped['intrinsics'], batch['intrinsics'])


def test_flip_exchanges_sides_in_pixels(batch):
    flipped, skeleton = RandomFlip(prob=1.0)(batch, rng()), get_skeleton('h36m')
    left, right = skeleton.index('left_wrist'), skeleton.index('right_wrist')
    width = batch['image_size'][:, 0, None, None]
    expected = width - batch['keypoints_2d'][..., right, 0]
    np.testing.assert_allclose(flipped['keypoints_2d'][..., left, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(flipped['keypoints_2d'][..., left, 1], batch['keypoints_2d'][..., right, 1])
    np.testing.assert_array_equal(flipped['keypoints_3d'][..., left, 0], -batch['keypoints_3d'][..., right, 0])


@pytest.mark.parametrize('name', ['smpl_pose', 'initial_pose'])
def test_flip_mirrors_rotations(batch, name):
    batch[name] = batch['smpl_pose']
    flipped, swap = RandomFlip(prob=1.0)(batch, rng()), list(get_skeleton('smpl24').flip_indices)
    mirror = np.diag([-1.0, 1.0, 1.0])
    expected = mirror @ axis_angle_to_matrix(batch[name].astype(np.float64))[..., swap, :, :] @ mirror
    np.testing.assert_allclose(axis_angle_to_matrix(flipped[name].astype(np.float64)), expected, atol=1e-6)


def test_flip_takes_a_share_of_the_samples(batch):
    flip, share = RandomFlip(prob=0.3), []
    for seed in range(200):
        moved = flip(batch, rng(seed))['keypoints_3d'] != batch['keypoints_3d']
        share.append(moved.reshape(8, -1).any(axis=1))
    assert 0.25 < np.mean(share) < 0.35


def test_noise_has_the_stated_statistics():
    points = np.zeros((200_000, 2), np.float32)
    noisy, confidence = pixel_noise(points, rng(), std=4.0, outlier_rate=0.02, outlier_shift=40.0)
    error = np.linalg.norm(noisy, axis=-1)
    is_outlier = error > 25
    assert is_outlier.mean() == pytest.approx(0.02, abs=0.002)
    np.testing.assert_allclose(noisy[~is_outlier].std(axis=0), 4.0, rtol=0.02)
    assert error[is_outlier].mean() == pytest.approx(40, abs=1)
    assert np.abs(noisy.mean(axis=0)).max() < 0.1
    assert confidence.min() >= 0 and confidence.max() <= 1
    assert np.corrcoef(error, confidence)[0, 1] < -0.9
    sure = (error > 9) & (error < 11)
    assert confidence[sure].mean() == pytest.approx(np.exp(-0.25), abs=0.02)


def test_noise_is_a_function_of_the_generator(batch):
    noise = AddDetectorNoise(std=2.0)
    first, again, other = (noise(batch, rng(seed))['keypoints_2d'] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1
    assert first.dtype == np.float32


@pytest.mark.parametrize('inputs', ['screen', 'crop_scale'])
def test_root_relative_targets_decode_to_millimetres(batch, inputs):
    normalised = NormalizeCoords(inputs=inputs, target='root_relative')(batch, rng())
    decoded = decode_target(torch.from_numpy(normalised['target_3d']), normalised['norm'], LEGS)
    np.testing.assert_allclose(decoded, batch['keypoints_3d'] - batch['keypoints_3d'][..., :1, :], atol=1e-3)
    assert normalised['target_3d'].dtype == np.float32 and np.abs(normalised['target_3d']).max() < 2


def test_image_space_targets_decode_to_weak_perspective(batch):
    normalised = NormalizeCoords(target='image_space')(batch, rng())
    decoded = decode_target(torch.from_numpy(normalised['target_3d']), normalised['norm'], LEGS).numpy()
    points = batch['keypoints_3d']
    pixels = image_space_3d(points, batch['intrinsics'], 0)
    factor = image_space_factor(points[..., 0, 2], batch['intrinsics'])[..., None, None]
    np.testing.assert_allclose(decoded, (pixels - pixels[..., :1, :]) * factor, atol=0.05)
    np.testing.assert_allclose(decoded[..., 2], points[..., 2] - points[..., :1, 2], atol=0.05)


def test_image_space_targets_of_absent_persons_are_finite(people_store):
    dataset = MotionDataset(str(people_store), window=dict(num_frames=9),
                            pipeline=[dict(type='NormalizeCoords', target='image_space')])
    batch = dataset.__getitems__(np.arange(len(dataset)))
    assert not batch['visible'].all()
    assert np.isfinite(batch['target_3d']).all()
    assert np.isfinite(decode_target(torch.from_numpy(batch['target_3d']), batch['norm'], LEGS)).all()


def test_screen_inputs_span_the_image_width(batch, block):
    inputs = NormalizeCoords()(batch, rng())['inputs']
    width, height = batch['image_size'][:, 0, None, None, None], batch['image_size'][:, 1, None, None, None]
    np.testing.assert_allclose(inputs[..., 0], batch['keypoints_2d'][..., 0] * 2 / width - 1, atol=1e-5)
    np.testing.assert_allclose(inputs[..., 1], batch['keypoints_2d'][..., 1] * 2 / width - height / width, atol=1e-5)
    np.testing.assert_array_equal(inputs[..., 2], batch['confidence'])


def test_crop_inputs_fit_the_person(batch):
    inputs = NormalizeCoords(inputs='crop_scale')(batch, rng())['inputs'][..., :2]
    larger = np.ptp(inputs.reshape(8, -1, 2), axis=1).max(axis=1)
    np.testing.assert_allclose(larger, 2.0, rtol=1e-5)
    zoomed = NormalizeCoords(inputs='crop_scale', crop_range=(1.0, 3.0))(batch, rng())['inputs'][..., :2]
    sizes = np.ptp(zoomed.reshape(8, -1, 2), axis=1).max(axis=1)
    assert (sizes >= 2 / 3 - 1e-5).all() and (sizes <= 2 + 1e-5).all() and np.ptp(sizes) > 0.3


def test_inputs_without_truth_get_no_target(batch):
    del batch['keypoints_3d']
    normalised = NormalizeCoords()(batch, rng())
    assert 'target_3d' not in normalised and 'scale' in normalised['norm']


@pytest.mark.parametrize('target', ['root_relative', 'image_space', 'image_space_global', None])
@pytest.mark.parametrize('options', [dict(inputs='screen'), dict(inputs='crop_scale', crop_range=(1.0, 3.0))])
def test_inputs_come_back_in_pixels_whatever_the_target(batch, target, options):
    packed = PackInputs()(NormalizeCoords(target=target, **options)(batch, rng()), rng())
    samples = collate_batch(packed)['data_samples'].unbind()  # a record survives being taken apart
    norm = MotionSample.stack(samples).metainfo['norm']
    assert norm['input_box'].shape == (8, 3)
    points = decode_input(torch.from_numpy(packed['inputs'][..., :2]), norm)
    np.testing.assert_allclose(points, batch['keypoints_2d'], atol=2e-3)


def test_clips_of_too_few_points_come_back_as_nothing(batch):
    normalised = NormalizeCoords(inputs='crop_scale', target=None)(
        dict(batch, confidence=np.zeros_like(batch['confidence'])), rng())
    assert not decode_input(torch.from_numpy(normalised['inputs'][..., :2]), normalised['norm']).any()


def test_unknown_scale_gives_the_legs_of_an_adult(batch):
    truth = NormalizeCoords(target='image_space')(batch, rng())
    del batch['keypoints_3d']
    norm = NormalizeCoords(target='image_space')(batch, rng())['norm']
    decoded = decode_target(torch.from_numpy(truth['target_3d']), norm, LEGS)
    legs = bone_lengths(decoded, LEGS).sum(-1) / 2
    np.testing.assert_allclose(legs.mean(-1), ADULT_LEG, rtol=1e-5)


@pytest.mark.parametrize('name', ['keypoints_2d', 'confidence'])
@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(batch, name, bad):
    values = batch[name].copy()
    values[5].flat[3] = bad
    with pytest.raises(ValueError, match=f"sample '{batch['sample_id'][5]}' has NaN or infinite 2D input"):
        NormalizeCoords()({**batch, name: values}, rng())


def test_a_missing_image_size_is_named(batch):
    transform = NormalizeCoords()
    del batch['image_size']
    with pytest.raises(ValueError, match="has no image size.*set inputs='crop_scale'"):
        transform(batch, rng())
    assert NormalizeCoords(inputs='crop_scale')(batch, rng())['inputs'].shape == (8, 1, 9, 17, 3)


@pytest.mark.parametrize('options', [dict(inputs='pixels'), dict(target='metres')])
def test_unknown_normalisations_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options.values()))}.*'image_space_global', 'root_relative'"):
        NormalizeCoords(**options)


def test_convert_reorders_by_name(batch):
    converted = ConvertSkeleton('h36m16')(batch, rng())
    order = [get_skeleton('h36m').index(joint) for joint in get_skeleton('h36m16').joints]
    assert converted['skeleton'] == 'h36m16'
    for name in ('keypoints_2d', 'keypoints_3d'):
        np.testing.assert_allclose(converted[name], batch[name][..., order, :])
    np.testing.assert_array_equal(converted['confidence'], batch['confidence'][..., order])
    assert converted['visible'].dtype == bool and converted['visible'].all()


def test_convert_brings_image_space_poses_along(batch):
    image = {**batch, 'keypoints_image': batch['keypoints_3d'] * np.float32(0.25)}
    del image['keypoints_3d']
    solid, flat = (ConvertSkeleton('smpl24')(results, rng()) for results in (batch, image))
    np.testing.assert_allclose(flat['keypoints_image'], solid['keypoints_3d'] * 0.25, rtol=1e-6)
    np.testing.assert_array_equal(flat['visible'], solid['visible'])


def test_invented_joints_are_not_visible(batch):
    converted = ConvertSkeleton('coco17')(batch, rng())
    coco = get_skeleton('coco17')
    invented = [coco.index(name) for name in ('left_eye', 'right_ear')]
    assert not converted['visible'][..., invented].any() and (converted['confidence'][..., invented] == 0).all()
    assert converted['visible'][..., coco.index('left_wrist')].all()
    hidden = ConvertSkeleton('coco17')(dict(batch, visible=np.zeros_like(batch['visible'])), rng())
    assert not hidden['visible'].any()


def test_converting_to_the_same_skeleton_changes_nothing(batch):
    assert ConvertSkeleton('h36m')(batch, rng()) is batch


def test_targets_may_be_in_millimetres(batch):
    metres, millimetres = NormalizeCoords()(batch, rng()), NormalizeCoords(unit_mm=1.0)(batch, rng())
    np.testing.assert_allclose(millimetres['target_3d'], metres['target_3d'] * 1000, rtol=1e-6)
    assert (millimetres['norm']['scale'] == 1).all() and (metres['norm']['scale'] == 1000).all()
    assert 'unit_mm' not in millimetres


@pytest.mark.parametrize('options', [dict(unit_mm=0.0), dict(unit_mm=float('nan')),
                                     dict(unit_mm=1.0, target='image_space'), dict(unit_mm=1.0, target=None)])
def test_a_unit_without_meaning_is_refused(options):
    with pytest.raises(ValueError, match=r"unit_mm=.* and target=.*expected a positive number of millimetres"):
        NormalizeCoords(**options)


def test_convert_refuses_an_unknown_skeleton():
    with pytest.raises(KeyError, match="unknown skeleton 'alien5'; known are h36m"):
        ConvertSkeleton('alien5')


def test_pack_keeps_what_is_asked_for(batch):
    normalised = NormalizeCoords()(batch, rng())
    packed = PackInputs(fields=('target_3d', 'label', 'absent'))(normalised, rng())
    assert set(packed) == {'inputs', 'fields', 'metainfo'} and set(packed['fields']) == {'target_3d', 'label'}
    assert {'sample_id', 'frame_ids', 'skeleton', 'norm', 'image_size', 'fps', 'action'} <= set(packed['metainfo'])
    visible = batch['visible'].copy()
    visible[0, 0, 0] = False
    assert 'visible' in PackInputs()(dict(normalised, visible=visible), rng())['fields']


TRANSFORMS.import_from_location()
# Those of batches; steps for the pipelines of other projects take one sample.
BATCHED = sorted(name for name, entry in TRANSFORMS.module_dict.items() if '.integrations.' not in entry.__module__)


def two_detected(batch):
    """Every sample with a second person, who does the same backwards, and without 3D truth."""
    pairs = {name: np.concatenate([batch[name], batch[name][:, :, ::-1]], axis=1)
             for name in ('keypoints_2d', 'confidence', 'visible')}
    return dict({name: value for name, value in batch.items() if name not in ('keypoints_3d', 'smpl_pose')}, **pairs,
                skeleton='coco17')


def normalised(batch, name):
    """The batch as a transform may find it; most come before or without 3D targets, some before inputs are made."""
    if name in ('AssociatePersons', 'OfficialActionPose', 'RandomMove', 'SpliceClips'):
        return two_detected(batch)
    if name == 'AugmentPose':
        return {key: value for key, value in batch.items() if key != 'smpl_pose'}
    return NormalizeCoords(target='root_relative' if name == 'Take3DInputs' else None)(batch, rng())


@pytest.mark.parametrize('name', BATCHED)
def test_no_transform_writes_into_its_input(batch, name):
    batch = frozen(normalised(batch, name))
    before = dict(batch)
    build(TRANSFORMS, dict(type=name, **arguments(name)))(batch, rng())
    assert batch.keys() == before.keys() and all(batch[key] is value for key, value in before.items())


@pytest.mark.parametrize('name', BATCHED)
def test_every_transform_is_a_function_of_batch_and_generator(batch, name):
    transform, batch = build(TRANSFORMS, dict(type=name, **arguments(name))), normalised(batch, name)
    first, again = transform(batch, rng(7)), transform(batch, rng(7))
    assert first.keys() == again.keys()
    for key, value in first.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, again[key])


def test_joints_are_converted_before_targets_are_made_of_them(batch):
    later = NormalizeCoords()(batch, rng())
    with pytest.raises(ValueError, match="from 'h36m' to 'h36m16' comes after target_3d.*further to the front"):
        ConvertSkeleton('h36m16')(later, rng())
    assert ConvertSkeleton('h36m')(later, rng()) is later


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
def test_inputs_that_are_not_finite_are_refused(batch, value):
    points = batch['keypoints_2d'].copy()
    points[1, 0, 2, 3, 1] = value
    with pytest.raises(ValueError, match=f"sample '{batch['sample_id'][1]}' has NaN or infinite 2D input"):
        NormalizeCoords()(dict(batch, keypoints_2d=points), rng())
    # Finite, though its square is not.
    points[1, 0, 2, 3, 1] = 1e30
    assert NormalizeCoords()(dict(batch, keypoints_2d=points), rng())['inputs'].max() > 1e26
