"""Transforms of action data: who is who, official poses, movement, mixtures."""
import numpy as np
import pytest
import torch

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.datasets.transforms import (
    AssociatePersons,
    MixUp,
    NormalizeCoords,
    OfficialActionPose,
    PackInputs,
    RandomMove,
    ZeroMissing,
)
from motionbert_mm.geometry.association import exchange, find_swaps
from motionbert_mm.geometry.coords import max_side_to_unit
from motionbert_mm.structures.skeleton import convert, get_skeleton

BATCH, FRAMES = 3, 12
SIZES = np.array([[1920, 1080], [1080, 1920], [640, 640]], np.float32)
CROP = NormalizeCoords(inputs='crop_scale', target=None)


def rng(seed=0):
    return np.random.default_rng(seed)


def frozen(results):
    """The batch with arrays that refuse to be written."""
    for value in results.values():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    return results


@pytest.fixture
def batch():
    """Samples of two people who stand apart and sway; confidence tells persons and joints apart."""
    draw = rng()
    shape = (BATCH, 2, FRAMES, 17)
    bodies = draw.uniform(0, 150, (BATCH, 2, 1, 17, 2)) + np.array([50.0, 350.0])[:, None, None, None]
    points = bodies + np.cumsum(draw.normal(size=(BATCH, 2, FRAMES, 1, 2)), axis=2)
    confidence = 0.1 + 0.01 * np.arange(17) + np.array([0.0, 0.5])[:, None, None]
    return frozen(dict(
        keypoints_2d=points.astype(np.float32), visible=np.ones(shape, bool), skeleton='coco17',
        confidence=np.broadcast_to(confidence, shape).astype(np.float32), image_size=SIZES.copy(),
        sample_id=[f's{index}' for index in range(BATCH)], frame_ids=np.tile(np.arange(FRAMES), (BATCH, 1)),
        label=np.array([4, 0, 2])))


def without_second(results, samples):
    """The batch with the second person absent from some samples, as a data set gathers it."""
    changed = {name: results[name].copy() for name in ('keypoints_2d', 'confidence', 'visible')}
    for array in changed.values():
        array[samples, 1] = 0
    return frozen({**results, **changed})


def swap(results, swapped, names):
    return frozen({**results, **{name: exchange(results[name], swapped) for name in names}})


SWAPPED = np.zeros((BATCH, FRAMES), bool)
SWAPPED[1, 5:] = SWAPPED[2, 3:6] = True


# AssociatePersons


def test_everything_of_a_person_comes_back_to_one_track(batch):
    visible = batch['visible'].copy()
    visible[:, 1, 2:8, 3] = False
    whole = {**batch, 'visible': visible, 'keypoints_3d': rng(1).normal(size=(*visible.shape, 3)).astype(np.float32)}
    names = ('keypoints_2d', 'confidence', 'visible', 'keypoints_3d')
    result = AssociatePersons()(swap(whole, SWAPPED, names), rng())
    for name in names:
        np.testing.assert_array_equal(result[name], whole[name])
        assert result[name].dtype == whole[name].dtype
    assert result['frame_ids'] is batch['frame_ids'] and result['label'] is batch['label']


def test_persons_out_of_the_picture_stay_themselves(batch):
    points, confidence = (batch[name][:, ::-1].copy() for name in ('keypoints_2d', 'confidence'))
    points[:, 1, 4:8] = confidence[:, 1, 4:8] = 0
    points[0, 0, 2:5] = confidence[0, 0, 2:5] = 0  # a jump to the corner, near to which the other stands
    assert find_swaps(points).any()
    given = {**batch, 'keypoints_2d': points, 'confidence': confidence}
    assert AssociatePersons()(given, rng()) is given


def test_one_person_is_nobody_else(batch):
    alone = without_second(batch, slice(None))
    assert AssociatePersons()(alone, rng()) is alone
    single = {**batch, **{name: batch[name][:, :1] for name in ('keypoints_2d', 'confidence', 'visible')}}
    assert AssociatePersons()(single, rng()) is single
    mixed = without_second(swap(batch, SWAPPED, ('keypoints_2d', 'confidence')), [1])
    result = AssociatePersons()(mixed, rng())
    np.testing.assert_array_equal(result['keypoints_2d'][1], mixed['keypoints_2d'][1])
    np.testing.assert_array_equal(result['keypoints_2d'][2], batch['keypoints_2d'][2])


def test_three_persons_are_too_many(batch):
    crowd = {**batch, **{name: batch[name][:, [0, 1, 1]] for name in ('keypoints_2d', 'confidence', 'visible')}}
    with pytest.raises(ValueError, match='samples have 3; set num_persons=2 of the data set'):
        AssociatePersons()(crowd, rng())


def test_persons_are_associated_before_inputs_are_made_of_them(batch):
    with pytest.raises(ValueError, match='move it to the front of the pipeline'):
        AssociatePersons()(CROP(batch, rng()), rng())


# OfficialActionPose


def test_official_poses_change_joints_and_persons_but_not_their_confidence(batch):
    coco, h36m = get_skeleton('coco17'), get_skeleton('h36m')
    visible = batch['visible'].copy()
    visible[:, 1, :, coco.index('left_hip')] = False
    given = swap({**batch, 'visible': visible}, SWAPPED, ('keypoints_2d', 'confidence', 'visible'))
    result = OfficialActionPose()(given, rng())
    expected = convert(batch['keypoints_2d'], 'coco17', 'h36m').keypoints
    np.testing.assert_array_equal(result['keypoints_2d'], expected)
    assert result['confidence'] is given['confidence']  # in COCO order, on the track as detected
    assert result['skeleton'] == 'h36m' and result['keypoints_2d'].dtype == np.float32
    assert result['visible'][:, 0].all()
    hidden = [joint for joint, name in enumerate(h36m.joints) if not result['visible'][:, 1, :, joint].any()]
    assert hidden == [h36m.index(name) for name in ('root', 'left_hip', 'spine')]
    assert result['visible'].sum() == result['visible'].size - 3 * BATCH * FRAMES


def test_an_official_absent_person_lies_in_the_middle_of_the_square(batch):
    result = OfficialActionPose()(without_second(batch, [0, 1]), rng())
    unit = max_side_to_unit(result['keypoints_2d'], result['image_size'])
    assert not unit[:2, 1].any() and unit[2, 1].all() and unit[:, 0].all()
    np.testing.assert_array_equal(result['keypoints_2d'][:2, 1].reshape(2, -1).mean(axis=1), [960, 960])
    assert not result['confidence'][:2, 1].any() and not result['visible'][:2, 1].any() and result['visible'][2].all()


def test_an_official_absent_person_changes_places_with_nobody(batch):
    alone = without_second(batch, slice(None))
    steps = 20.0 * np.arange(FRAMES, dtype=np.float32)[:, None, None] - 5.0
    corner = alone['keypoints_2d'] - alone['keypoints_2d'][:, :, :1] + steps  # past the zeros of the other
    corner[:, 1] = 0
    assert find_swaps(corner[:, :, ::-1]).any()
    result = OfficialActionPose()({**alone, 'keypoints_2d': corner[:, :, ::-1]}, rng())
    np.testing.assert_array_equal(result['keypoints_2d'][:, 0], convert(corner[:, 0, ::-1], 'coco17', 'h36m').keypoints)


def test_an_official_person_of_the_clip_is_there_though_never_seen(batch):
    points, confidence = batch['keypoints_2d'].copy(), batch['confidence'].copy()
    points[0, 1] = confidence[0, 1] = 0
    result = OfficialActionPose()({**batch, 'keypoints_2d': points, 'confidence': confidence}, rng())
    assert not result['keypoints_2d'][0, 1].any()  # as the official code leaves zeros of a pickle
    assert result['visible'][0, 1].all()


def test_an_official_person_is_there_in_frames_that_are_not_evaluated(batch):
    unseen = {**batch, 'visible': np.zeros_like(batch['visible'])}
    np.testing.assert_array_equal(OfficialActionPose()(unseen, rng())['keypoints_2d'],
                                  OfficialActionPose()(batch, rng())['keypoints_2d'])


def test_swaps_of_the_whole_clip_come_before_those_of_the_sample(tmp_path):
    """Two people run past each other; every fourth frame alone looks as if they had changed places."""
    draw, frames = rng(3), np.arange(33)
    body = draw.uniform(0, 60, (1, 17, 2))
    right = np.stack([body + [[[20.0 * frame, 0.0]]] for frame in frames])[:, 0]
    tracks = np.stack([right, right[::-1]]).astype(np.float32)  # they meet in the middle
    swapped = find_swaps(tracks[None])[0]
    scores = np.ones(tracks.shape[:-1], np.float32)
    with MotionStoreWriter(tmp_path / 'store', skeleton='coco17', fps=30.0) as writer:
        writer.add_clip('run', dict(detected_2d=tracks, detected_confidence=scores,
                                    persons_swapped=np.stack([swapped, swapped])), persons=2, image_size=(900, 600))
    window = dict(num_frames=9, dilation=4)
    poses = []
    for targets in (('persons_swapped',), ()):
        dataset = MotionDataset(str(tmp_path / 'store'), window=window, targets=targets,
                                pipeline=[dict(type='OfficialActionPose')])
        poses.append(dataset.__getitems__([0])['keypoints_2d'][0])
    expected = convert(exchange(tracks[None], swapped[None])[0][:, ::4], 'coco17', 'h36m').keypoints
    np.testing.assert_array_equal(poses[0], expected)
    assert (poses[1] != expected).any()


@pytest.mark.parametrize('change, message', [
    (dict(skeleton='h36m'), r"converts from 'coco17', got 'h36m' \(sample 's0'\)"),
    (dict(image_size=None), "sample 's0' has no image size, by which"),
    (dict(inputs=0), 'would leave inputs of the samples with COCO joints'),
    (dict(keypoints_3d=0), r'would leave keypoints_3d .* set targets=\(\)'),
])
def test_official_poses_need_official_detections(batch, change, message):
    given = {name: value for name, value in {**batch, **change}.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        OfficialActionPose()(given, rng())


@pytest.mark.parametrize('persons', [1, 3])
def test_official_weights_know_two_persons(batch, persons):
    rows = [0, 1, 1][:persons]
    given = {**batch, **{name: batch[name][:, rows] for name in ('keypoints_2d', 'confidence', 'visible')}}
    with pytest.raises(ValueError, match=rf'got {persons} person\(s\).*set num_persons=2 of the data set'):
        OfficialActionPose()(given, rng())


# RandomMove


def similarity(before, after):
    """Complex factor (B, T) that turns and scales all joints of both persons of a frame, and its residual."""
    start, end = (np.moveaxis(points[..., 0] + 1j * points[..., 1], 2, 1).reshape(BATCH, FRAMES, -1)
                  for points in (before.astype(np.float64), after.astype(np.float64)))
    start, end = (values - values.mean(axis=-1, keepdims=True) for values in (start, end))
    factor = (end * start.conj()).sum(axis=-1) / (np.abs(start) ** 2).sum(axis=-1)
    return factor, np.abs(end - factor[..., None] * start).max()


def test_both_persons_move_as_one_by_amounts_that_change_linearly(batch):
    moved = RandomMove(angle=20.0, scale=(0.8, 1.3), shift=0.2)(batch, rng())
    factor, residual = similarity(batch['keypoints_2d'], moved['keypoints_2d'])
    assert residual < 1e-3  # px
    angle, scale = np.degrees(np.angle(factor)), np.abs(factor)
    for amount, low, high in ((angle, -20, 20), (scale, 0.8, 1.3)):
        assert low <= amount.min() < amount.max() <= high
        assert np.ptp(amount, axis=1).min() > 1e-3 and len(np.unique(amount[:, 0])) == BATCH
        np.testing.assert_allclose(np.diff(amount, n=2, axis=1), 0, atol=1e-4)
    assert all(moved[name] is batch[name] for name in batch if name != 'keypoints_2d')
    assert moved['keypoints_2d'].dtype == np.float32


def test_movement_is_about_the_middle_of_the_square_and_shifts_by_half_sides(batch):
    half = SIZES.max(axis=-1)[:, None, None, None, None] / 2
    centred = {**batch, 'keypoints_2d': np.zeros_like(batch['keypoints_2d']) + half}
    np.testing.assert_array_equal(RandomMove(shift=0.0)(centred, rng())['keypoints_2d'], centred['keypoints_2d'])
    shifts = []
    for seed in range(30):
        moved = RandomMove(shift=0.25)(centred, rng(seed))['keypoints_2d'].astype(np.float64)
        shifts.append((moved - half) / half)
    assert 0.23 < np.abs(shifts).max() <= 0.2501
    assert np.corrcoef(np.array(shifts)[:, :, 0, 0, 0].reshape(-1, 2).T)[0, 1] < 0.4  # x and y are drawn apart


def test_movement_can_be_switched_off_and_is_a_function_of_the_generator(batch):
    still = RandomMove(angle=0.0, scale=(1.0, 1.0), shift=0.0)(batch, rng())
    np.testing.assert_allclose(still['keypoints_2d'], batch['keypoints_2d'], rtol=1e-6)
    first, again, other = (RandomMove()(batch, rng(seed))['keypoints_2d'] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize('options', [dict(angle=-1.0), dict(angle=float('nan')), dict(scale=(1.1, 0.9)),
                                     dict(scale=(0.0, 1.0)), dict(scale=(1.0,)), dict(shift=-0.1),
                                     dict(shift=float('inf'))])
def test_movement_needs_sensible_bounds(options):
    with pytest.raises(ValueError, match='RandomMove got angle='):
        RandomMove(**options)


@pytest.mark.parametrize('name', ['keypoints_3d', 'keypoints_image', 'inputs', 'target_3d', 'target_2d'])
def test_nothing_is_left_behind_by_movement(batch, name):
    with pytest.raises(ValueError, match=rf'{name} of the samples would stay. Set targets=\(\)'):
        RandomMove()({**batch, name: np.zeros(1)}, rng())


def test_movement_needs_an_image_size(batch):
    without = {name: value for name, value in batch.items() if name != 'image_size'}
    with pytest.raises(ValueError, match="sample 's0' has no image size"):
        RandomMove()(without, rng())


# MixUp


class GivenMixture:
    """Stands for the generator of a batch."""

    def __init__(self, order, shares):
        self.order, self.shares = np.array(order), np.array(shares)

    def permutation(self, count):
        assert count == len(self.order)
        return self.order

    def beta(self, first, second, size):
        assert first == second == 0.3 and size == len(self.shares)
        return self.shares


def test_inputs_and_labels_are_mixed_by_the_same_share(batch):
    normalised = frozen(CROP(without_second(batch, [1]), rng()))
    mixed = MixUp(alpha=0.3)(normalised, GivenMixture([2, 0, 1], [1.0, 0.25, 0.5]))
    inputs = normalised['inputs']
    np.testing.assert_array_equal(mixed['inputs'][0], inputs[0])
    np.testing.assert_allclose(mixed['inputs'][1], 0.25 * inputs[1] + 0.75 * inputs[0], atol=1e-6)
    np.testing.assert_allclose(mixed['inputs'][2], 0.5 * inputs[2] + 0.5 * inputs[1], atol=1e-6)
    assert mixed['label'].tolist() == [4, 0, 2] and mixed['label_2'].tolist() == [2, 4, 0]
    assert mixed['label_share'].tolist() == [1.0, 0.25, 0.5]
    assert mixed['inputs'].dtype == mixed['label_share'].dtype == np.float32 and mixed['label_2'].dtype == np.int64
    assert mixed['visible'][1, 1].all()  # the other sample's second person is mixed in


def test_a_single_sample_is_mixed_with_itself(batch):
    one = {name: value if isinstance(value, str) else value[:1] for name, value in CROP(batch, rng()).items()
           if name != 'norm'}
    mixed = MixUp()(one, rng())
    np.testing.assert_allclose(mixed['inputs'], one['inputs'], atol=1e-6)
    assert mixed['label_2'].tolist() == mixed['label'].tolist() and mixed['label_share'].shape == (1,)


@pytest.mark.parametrize('alpha', [0.2, 1.0, 5.0])
def test_shares_follow_the_beta_distribution(alpha):
    count = 4000
    results = dict(inputs=np.zeros((count, 1, 1, 1, 3), np.float32), label=np.arange(count),
                   visible=np.ones((count, 1, 1, 1), bool))
    mixed = MixUp(alpha=alpha)(results, rng())
    variance = 1 / (4 * (2 * alpha + 1))
    assert mixed['label_share'].mean() == pytest.approx(0.5, abs=5 * np.sqrt(variance / count))
    assert mixed['label_share'].var() == pytest.approx(variance, rel=0.1)
    np.testing.assert_array_equal(np.sort(mixed['label_2']), np.arange(count))


@pytest.mark.parametrize('alpha', [0.0, -1.0, float('nan'), float('inf')])
def test_alpha_is_a_finite_number_above_0(alpha):
    with pytest.raises(ValueError, match='MixUp.alpha must be a finite number above 0'):
        MixUp(alpha=alpha)


def test_mixtures_need_inputs_and_labels_and_no_other_targets(batch):
    with pytest.raises(ValueError, match='MixUp works on normalised inputs; put NormalizeCoords before it'):
        MixUp()(batch, rng())
    normalised = CROP(batch, rng())
    with pytest.raises(ValueError, match='target_3d would not fit any more; set target=None of NormalizeCoords'):
        MixUp()({**normalised, 'target_3d': 0}, rng())
    normalised.pop('label')
    with pytest.raises(ValueError, match="sample 's0' or another one .* has no label"):
        MixUp()(normalised, rng())


def test_mixtures_reach_the_model_as_tensors(tiny_store):
    pipeline = [dict(type='RandomMove'), dict(type='NormalizeCoords', inputs='crop_scale', target=None,
                                              crop_range=[1, 3]),
                dict(type='ZeroMissing'), dict(type='MixUp'),
                dict(type='PackInputs', fields=['label', 'label_2', 'label_share'])]
    dataset = MotionDataset(str(tiny_store), window=dict(num_frames=9), targets=(), pipeline=pipeline)
    samples = collate_batch(dataset.__getitems__([0, 7, 20]))['data_samples']
    assert samples.label.dtype == samples.label_2.dtype == torch.int64
    assert samples.label_share.dtype == torch.float32 and samples.label_share.shape == (3,)


# Absent persons in the other transforms of the pipeline


def test_an_absent_person_does_not_change_the_crop_and_is_zero_at_the_end(batch):
    results = ZeroMissing()(CROP(without_second(batch, [0, 1]), rng()), rng())
    inputs = results['inputs']
    alone = {name: batch[name][:, :1] for name in ('keypoints_2d', 'confidence')}
    np.testing.assert_array_equal(inputs[:2, :1], CROP({**batch, **alone}, rng())['inputs'][:2])
    assert not inputs[:2, 1].any()
    # With both persons one square holds both, and touches them on all sides of the longer one.
    low, high = inputs[2, ..., :2].min(axis=(0, 1, 2)), inputs[2, ..., :2].max(axis=(0, 1, 2))
    np.testing.assert_allclose([low[0], high[0]], [-1, 1], atol=1e-6)


def test_a_sample_without_anybody_becomes_all_zero(batch):
    empty = {name: batch[name].copy() for name in ('keypoints_2d', 'confidence')}
    for array in empty.values():
        array[1] = 0
    given = frozen({**batch, **empty})
    results = given
    for transform in (AssociatePersons(), RandomMove(), CROP, ZeroMissing(), MixUp()):
        before, results = results, transform(results, rng())
    assert not before['inputs'][1].any() and np.isfinite(results['inputs']).all()
    np.testing.assert_array_equal(CROP(given, rng())['inputs'][[0, 2]], CROP(batch, rng())['inputs'][[0, 2]])
    official = {**given, 'visible': given['visible'] & (given['confidence'] > 0)}
    official = CROP(RandomMove()(OfficialActionPose()(official, rng()), rng()), rng())
    assert not official['inputs'][1].any() and official['inputs'][[0, 2]].any()
    assert not PackInputs(fields=['label'])(official, rng())['inputs'][1].any()
