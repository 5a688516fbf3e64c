import numpy as np
import pytest
import torch

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.datasets.synthetic import generate_clip
from motionbert_mm.datasets.transforms import NormalizeCoords, OrthographicView
from motionbert_mm.geometry.rotation import axis_angle_to_matrix
from motionbert_mm.geometry.targets import decode_target
from motionbert_mm.structures.skeleton import get_skeleton

LEGS = get_skeleton('h36m').legs


@pytest.fixture
def batch(people_store):
    """Four windows of 3D alone; the last two lack the second person."""
    dataset = MotionDataset(str(people_store), window=dict(num_frames=9), input_2d=None, num_persons=2)
    return dict(dataset.__getitems__(np.array([0, 1, len(dataset) - 2, len(dataset) - 1])),
                smpl_pose=np.random.default_rng(0).normal(size=(4, 2, 9, 24, 3)).astype(np.float32))


def rng(seed=0):
    return np.random.default_rng(seed)


def test_front_is_the_pose_in_metres_times_the_scale(batch):
    viewed = OrthographicView()(batch, rng())
    metres = batch['keypoints_3d'][0] / 1000
    np.testing.assert_allclose(viewed['keypoints_2d'][0], 500 + 149 * metres[..., :2], rtol=1e-6)
    np.testing.assert_array_equal(viewed['keypoints_3d'], batch['keypoints_3d'])
    np.testing.assert_array_equal(viewed['smpl_pose'], batch['smpl_pose'])
    unit = NormalizeCoords()(viewed, rng())['inputs']
    np.testing.assert_allclose(unit[0, ..., :2], 0.298 * metres[..., :2], atol=1e-6)
    np.testing.assert_array_equal(viewed['image_size'], np.full((4, 2), 1000))
    assert viewed['image_size'].dtype == viewed['keypoints_image'].dtype == viewed['confidence'].dtype == np.float32
    assert 'intrinsics' in batch and 'intrinsics' not in viewed


def test_absent_persons_stay_zero_and_unseen(batch):
    viewed = OrthographicView(views=['side'])(batch, rng())
    for name in ('keypoints_2d', 'keypoints_3d', 'keypoints_image', 'confidence'):
        assert not viewed[name][2:, 1].any() and viewed[name][:2].any(axis=(2, 3)).all()
    assert (viewed['confidence'][:2] == 1).all() and (viewed['confidence'][2:, 0] == 1).all()


@pytest.mark.parametrize('views', [['front'], ['back'], [(-180, 180)]])
def test_targets_in_image_space_come_back_in_millimetres(batch, views):
    viewed = NormalizeCoords(target='image_space')(OrthographicView(views=views)(batch, rng()), rng())
    decoded = decode_target(torch.from_numpy(viewed['target_3d']), viewed['norm'], LEGS).numpy()
    points = viewed['keypoints_3d']
    np.testing.assert_allclose(decoded, points - points[..., :1, :], atol=1e-2)


def test_other_images_and_scales(batch):
    viewed = OrthographicView(scale=0.5, image_size=(1920, 1080))(batch, rng())
    expected = np.array([960, 540]) + 480 * batch['keypoints_3d'][0, ..., :2] / 1000
    np.testing.assert_allclose(viewed['keypoints_2d'][0], expected, rtol=1e-6)
    np.testing.assert_allclose(viewed['image_factor'], np.full((4, 2, 9), 1000 / 480))


def test_the_side_turns_right_away_from_the_viewer(batch):
    points = OrthographicView(views=['side'])(batch, rng())['keypoints_3d'][:2]
    source = batch['keypoints_3d'][:2]
    centre = source[:, :1, :1, :1]
    np.testing.assert_allclose((points - centre)[..., 2], (source - centre)[..., 0], atol=1e-2)
    np.testing.assert_allclose((points - centre)[..., 0], -(source - centre)[..., 2], atol=1e-2)
    np.testing.assert_allclose(points[..., 1], source[..., 1], atol=1e-3)
    np.testing.assert_allclose(points[:, 0, 0, 0], source[:, 0, 0, 0], atol=1e-3)  # the first root stays


@pytest.mark.parametrize('name', ['smpl_pose', 'initial_pose'])
def test_rotations_turn_with_the_joints(batch, name):
    batch[name] = batch['smpl_pose']
    viewed = OrthographicView(views=[(40, 40)])(batch, rng())
    rotation = axis_angle_to_matrix(np.radians([0.0, -40.0, 0.0]))
    before, after = (axis_angle_to_matrix(pose[name].astype(np.float64)) for pose in (batch, viewed))
    np.testing.assert_allclose(after[..., 0, :, :], rotation @ before[..., 0, :, :], atol=1e-6)
    np.testing.assert_array_equal(after[..., 1:, :, :], before[..., 1:, :, :])
    centre = batch['keypoints_3d'][0, 0, 0, 0]
    expected = (batch['keypoints_3d'][0] - centre) @ rotation.T + centre
    np.testing.assert_allclose(viewed['keypoints_3d'][0], expected, atol=1e-2)


def angles(batch, **options):
    """Angle in degrees by which each of many samples was turned."""
    many = {key: np.repeat(batch[key][:1], 400, axis=0) for key in ('keypoints_3d', 'visible')}
    points = OrthographicView(**options)({**many, 'skeleton': 'h36m', 'sample_id': ['x']}, rng())['keypoints_3d']
    before, after = (values[:, 0, 0, 14] - values[:, 0, 0, 0] for values in (many['keypoints_3d'], points))
    turn = np.arctan2(after[:, 2], after[:, 0]) - np.arctan2(before[:, 2], before[:, 0])
    return (np.degrees(turn) + 180) % 360 - 180


def test_angles_are_drawn_within_their_range(batch):
    drawn = angles(batch, views=[(-30, 60)])
    assert drawn.min() > -30 and drawn.max() < 60
    assert drawn.mean() == pytest.approx(15, abs=5) and drawn.std() == pytest.approx(90 / np.sqrt(12), rel=0.1)


def hips(points):
    """From the right to the left hip of the first person in the first frame, (B, 3)."""
    joints = get_skeleton('h36m').index
    return (points[:, 0, 0, joints('left_hip')] - points[:, 0, 0, joints('right_hip')]).astype(np.float64)


def test_people_face_the_viewer_whatever_their_heading(batch):
    turned = [OrthographicView(views=[(angle, angle)])(batch, rng()) for angle in (0, 70, -130)]
    faces = [OrthographicView(facing=True)(results, rng()) for results in turned]
    for viewed in faces:
        line = hips(viewed['keypoints_3d'])
        assert (line[:, 0] > 0).all() and (np.abs(line[:, 2]) < 1e-2).all()  # their left is at the viewer's right
        np.testing.assert_allclose(viewed['keypoints_3d'], faces[0]['keypoints_3d'], atol=1e-2)
    side = hips(OrthographicView(facing=True, views=['side'])(turned[1], rng())['keypoints_3d'])
    assert (side[:, 2] > 0).all() and (np.abs(side[:, 0]) < 1e-2).all()


def test_front_shows_the_front_and_side_goes_to_the_right():
    clip = next(clip for clip in (generate_clip(12 * number, num_frames=20) for number in range(20))
                if 'straight ahead' in clip.text)
    world = np.stack([clip.positions[..., 0], -clip.positions[..., 2], clip.positions[..., 1]], axis=-1)
    results = dict(keypoints_3d=world[None, None].astype(np.float32), skeleton='h36m', sample_id=['walk'])
    for view, axis, sign in (('front', 2, -1), ('side', 0, 1), ('back', 2, 1)):
        points = OrthographicView(facing=True, views=[view])(results, rng())['keypoints_3d'][0, 0]
        way = points[-1, 0] - points[0, 0]
        assert way[axis] * sign > 0.9 * np.linalg.norm(way)


def test_every_view_gets_its_share(batch):
    counts = np.unique(np.abs(angles(batch, views=['front', 'side', 'back']).round()), return_counts=True)
    assert counts[0].tolist() == [0, 90, 180] and counts[1].min() > 100


@pytest.mark.parametrize('options', [dict(views=[]), dict(views=['top']), dict(views=[(30, -30)]), dict(views=[45]),
                                     dict(views='side'), dict(scale=0.0), dict(image_size=(1000, 0))])
def test_impossible_views_are_refused(options):
    with pytest.raises(ValueError, match='OrthographicView got .*expected'):
        OrthographicView(**options)


def test_without_3d_there_is_nothing_to_see(batch):
    del batch['keypoints_3d']
    with pytest.raises(ValueError, match=r"has no keypoints_3d to look at; set targets="):
        OrthographicView()(batch, rng())


def test_a_store_without_2d_trains(tmp_path):
    """The pipeline of MotionBERT's pretraining on AMASS."""
    with MotionStoreWriter(tmp_path / 'amass', skeleton='h36m', fps=30) as writer:
        writer.add_clip('walk', {'keypoints_3d': np.random.default_rng(0).normal(scale=500, size=(20, 17, 3))})
    pipeline = [dict(type='OrthographicView'), dict(type='RandomFlip'),
                dict(type='NormalizeCoords', target='image_space'), dict(type='PackInputs')]
    dataset = MotionDataset(str(tmp_path / 'amass'), window=dict(num_frames=9, stride=3), input_2d=None,
                            pipeline=pipeline)
    batch = dataset.__getitems__([0, 1, 2])
    assert batch['inputs'].shape == batch['fields']['target_3d'].shape == (3, 1, 9, 17, 3)
    flat = batch['inputs'] - batch['inputs'][..., :1, :]
    np.testing.assert_allclose(flat[..., :2], batch['fields']['target_3d'][..., :2], atol=1e-6)
