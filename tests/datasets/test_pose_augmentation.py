import numpy as np
import pytest

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.transforms import AugmentPose, ConvertSkeleton, NormalizeCoords, RandomFlip
from motionbert_mm.geometry.bones import bone_lengths, bone_vectors
from motionbert_mm.geometry.camera import project
from motionbert_mm.geometry.coords import image_space_3d, image_space_factor
from motionbert_mm.geometry.rotation import axis_angle_to_matrix
from motionbert_mm.structures.skeleton import get_skeleton
from motionbert_mm.structures.skeleton_table import SKELETONS
from tests.generated import smooth_noise

H36M = get_skeleton('h36m')
WITH_PELVIS = [name for name in SKELETONS if 'root' == get_skeleton(name).joints[get_skeleton(name).root]]
STILL = dict(turn=0.0, tilt=0.0, depth=(1.0, 1.0), shift=0.0, inside=0.0)  # leaves the view as it is
RIGID = dict(angle=0.0, length=0.0)  # leaves the body as it is
IMAGE = ('keypoints_3d', 'keypoints_image', 'image_factor')


def rng(seed=0):
    return np.random.default_rng(seed)


def load(store, rows=8, **options):
    """Windows of both cameras, with exact 2D."""
    dataset = MotionDataset(str(store), window=dict(num_frames=9), **{'input_2d': 'exact', **options})
    return dataset.__getitems__(np.linspace(0, len(dataset) - 1, rows).astype(int))


@pytest.fixture
def batch(tiny_store):
    return load(tiny_store, targets=IMAGE)


def repeat(batch, times):
    """Every sample of a batch many times."""
    return {name: value if isinstance(value, str) else [entry for entry in value for _ in range(times)]
            if isinstance(value, list) else np.repeat(value, times, axis=0) for name, value in batch.items()}


def standing(skeleton='h36m', knee_bend=0.0, times=1, depth=4500.0):
    """Somebody who stands upright before the camera and looks at it, 3 frames; knees bent by some degrees."""
    skeleton = get_skeleton(skeleton)
    bend = np.radians(knee_bend)
    places = dict(root=(0, 0, 0), spine=(0, -230, 0), thorax=(0, -480, 0), nose=(0, -590, -40), head=(0, -700, 0),
                  hip=(130, 0, 0), knee=(130, 440, 0), ankle=(130, 440 + 430 * np.cos(bend), 430 * np.sin(bend)),
                  shoulder=(160, -470, 0), elbow=(180, -200, 0), wrist=(200, 30, -100))
    points = np.array([places[joint.split('_')[-1]] for joint in skeleton.joints], np.float32)
    points[list(skeleton.right), 0] *= -1
    points = np.tile(points + np.float32([0, 0, depth]), (times, 1, 3, 1, 1))
    intrinsics = np.tile(np.float32([1145, 1145, 512, 515]), (times, 1))
    return dict(keypoints_3d=points, keypoints_2d=project(points, intrinsics), visible=np.ones(points.shape[:-1], bool),
                confidence=np.ones(points.shape[:-1], np.float32), intrinsics=intrinsics, skeleton=skeleton.name,
                image_size=np.tile(np.float32([1000, 1002]), (times, 1)), sample_id=['stand'] * times)


def anybody(skeleton, times=4):
    """Motion of any skeleton that stands more or less upright, all bones of constant length."""
    skeleton, source = get_skeleton(skeleton), rng(3)
    upright = dict(torso=(0, -1, 0), head=(0, -1, 0), left_leg=(0.2, 1, 0), right_leg=(-0.2, 1, 0),
                   left_arm=(0.5, 1, 0), right_arm=(-0.5, 1, 0))
    points = np.zeros((times, 1, 9, skeleton.num_joints, 3))
    lengths = source.uniform(80, 160, skeleton.num_joints)
    lengths[list(skeleton.right)] = lengths[list(skeleton.left)]
    points[..., skeleton.root, 2] = 4000
    placed = [skeleton.root]
    while len(placed) < skeleton.num_joints:
        for joint, parent in enumerate(skeleton.parents):
            if parent in placed and joint not in placed:
                mean = np.array(upright[skeleton.parts[joint]]) if not skeleton.joints[joint].endswith(
                    ('hip', 'shoulder')) else np.array([1.0 if joint in skeleton.left else -1.0, 0, 0])
                way = mean + 0.3 * np.stack([smooth_noise(source, 9, 3) for _ in range(times)])[:, None]
                points[..., joint, :] = points[..., parent, :] + lengths[joint] * way / np.linalg.norm(
                    way, axis=-1, keepdims=True)
                placed.append(joint)
    return dict(standing(times=times), keypoints_3d=points.astype(np.float32), skeleton=skeleton.name,
                keypoints_2d=project(points, standing(times=times)['intrinsics']).astype(np.float32),
                confidence=np.ones(points.shape[:-1], np.float32), visible=np.ones(points.shape[:-1], bool))


def unit(vectors):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def angles_between(first, second):
    return np.degrees(np.arccos(np.clip((unit(first) * unit(second)).sum(-1), -1, 1)))


def is_changed(before, after):
    return (before['keypoints_3d'] != after['keypoints_3d']).any(axis=(1, 2, 3, 4))


# what is changed, and what is not

def test_a_share_of_the_samples_changes_and_the_others_stay_to_the_bit(batch):
    many = repeat(batch, 50)
    copies = {name: value.copy() for name, value in many.items() if isinstance(value, np.ndarray)}
    after = AugmentPose(prob=0.3, inside=0.0)(many, rng())
    changed = is_changed(many, after)
    assert changed.mean() == pytest.approx(0.3, abs=0.06)
    for name, value in after.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value[~changed], copies[name][~changed])
            np.testing.assert_array_equal(many[name], copies[name])  # a pure function
            assert value.dtype == copies[name].dtype
    for name in ('keypoints_2d', *IMAGE):
        axes = tuple(range(1, copies[name].ndim))
        np.testing.assert_array_equal((after[name] != copies[name]).any(axis=axes), changed)


def test_the_same_generator_draws_the_same_numbers(batch):
    first, again, other = (AugmentPose()(batch, rng(seed))['keypoints_3d'] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_nothing_is_changed_by_nothing(batch):
    for options in (dict(prob=0.0), dict(prob=1.0, **RIGID, **STILL)):
        after = AugmentPose(**options)(batch, rng())
        np.testing.assert_allclose(after['keypoints_3d'], batch['keypoints_3d'], atol=5e-3)
        np.testing.assert_allclose(after['keypoints_2d'], batch['keypoints_2d'], atol=5e-3)


def test_samples_of_one_batch_differ(batch):
    same = repeat({name: value[:1] if not isinstance(value, str) else value for name, value in batch.items()}, 40)
    roots = AugmentPose(prob=1.0)(same, rng())['keypoints_3d'][:, 0, 0, 0]
    assert len(np.unique(roots.round(3), axis=0)) == 40


# bones

def test_lengths_are_drawn_once_and_equal_on_both_sides(batch):
    many = repeat(batch, 100)
    after = AugmentPose(prob=1.0, length=0.15, **STILL)(many, rng())
    ratios = (bone_lengths(after['keypoints_3d'], H36M.limbs) / bone_lengths(many['keypoints_3d'], H36M.limbs))[:, 0]
    np.testing.assert_allclose(ratios, np.broadcast_to(ratios[:, :1], ratios.shape), rtol=1e-4)  # in all frames
    by_joint = dict(zip([child for _, child in H36M.limbs], ratios[:, 0].T))
    for left, right in zip(H36M.left, H36M.right):
        np.testing.assert_allclose(by_joint[left], by_joint[right], rtol=1e-4)
    independent = np.stack([by_joint[joint] for joint in range(1, 17) if joint not in H36M.right])
    assert independent.min() > 0.85 - 1e-4 and independent.max() < 1.15 + 1e-4
    np.testing.assert_allclose(independent.std(axis=1), 0.3 / np.sqrt(12), rtol=0.1)
    np.testing.assert_allclose(np.corrcoef(independent), np.eye(len(independent)), atol=0.15)


def test_bones_turn_by_at_most_the_angle_and_keep_their_length(batch):
    many = repeat(batch, 100)
    after = AugmentPose(prob=1.0, angle=25.0, length=0.0, **STILL)(many, rng())
    before, now = (bone_vectors(value['keypoints_3d'], H36M.limbs)[:, 0] for value in (many, after))
    np.testing.assert_allclose(np.linalg.norm(now, axis=-1), np.linalg.norm(before, axis=-1), rtol=1e-4)
    turns = angles_between(before, now).mean(axis=1)  # (B, L)
    is_fixed = np.array([H36M.parts[child] == 'torso' or H36M.joints[child].endswith('hip')
                         for _, child in H36M.limbs])
    assert is_fixed.sum() == 4 and turns[:, is_fixed].max() < 0.1
    assert turns[:, ~is_fixed].max() < 25.1 and (turns[:, ~is_fixed].max(axis=0) > 20).all()
    assert (turns[:, ~is_fixed].mean(axis=0) > 8).all()
    roots = [value['keypoints_3d'][..., H36M.root, :] for value in (many, after)]
    np.testing.assert_allclose(roots[1], roots[0], rtol=0, atol=1e-4)


def test_a_turn_goes_with_the_trunk(batch):
    """Somebody who faces another way is changed in the same way, so that nothing jumps when people turn round."""
    batch = {**batch, 'keypoints_3d': batch['keypoints_3d'].astype(np.float64)}
    del batch['keypoints_2d']
    centre = batch['keypoints_3d'][:, :1, :1, :1]
    rotation = axis_angle_to_matrix(np.array([0.0, 2.0, 0.0]))
    turned = dict(batch, keypoints_3d=(batch['keypoints_3d'] - centre) @ rotation.T + centre)
    augment = AugmentPose(prob=1.0, **STILL)
    after, after_turned = (augment(value, rng())['keypoints_3d'] for value in (batch, turned))
    np.testing.assert_allclose(after_turned, (after - centre) @ rotation.T + centre, atol=1e-6)


def test_motion_stays_as_smooth_as_it_was(batch):
    def acceleration(value):
        return np.linalg.norm(np.diff(value['keypoints_3d'], n=2, axis=2), axis=-1).mean(axis=(1, 2, 3))
    many = repeat(batch, 20)
    after = AugmentPose(prob=1.0, **STILL)(many, rng())
    np.testing.assert_allclose(acceleration(after) / acceleration(many), 1.0, atol=0.5)


@pytest.mark.parametrize('name', WITH_PELVIS)
def test_every_skeleton_with_a_pelvis_is_changed(name):
    skeleton, before = get_skeleton(name), anybody(name)
    after = AugmentPose(prob=1.0, angle=15.0, **STILL)(before, rng())
    assert is_changed(before, after).all()
    ratios = (bone_lengths(after['keypoints_3d'], skeleton.limbs) /
              bone_lengths(before['keypoints_3d'], skeleton.limbs))[:, 0]
    np.testing.assert_allclose(ratios, np.broadcast_to(ratios[:, :1], ratios.shape), rtol=1e-3)
    bones = {child: number for number, (_, child) in enumerate(skeleton.limbs)}
    left, right = ([bones[joint] for joint in side] for side in (skeleton.left, skeleton.right))
    np.testing.assert_allclose(ratios[:, 0, left], ratios[:, 0, right], rtol=1e-3)
    old, new = (bone_vectors(value['keypoints_3d'], skeleton.limbs)[:, 0] for value in (before, after))
    turns = angles_between(old, new)
    assert turns.max() < 15.1
    for joint, bone in bones.items():
        kind = skeleton.joints[joint].rpartition('_')[2]
        if kind in ('knee', 'ankle', 'elbow', 'wrist', 'shoulder'):
            assert turns[..., bone].max() > 1.0
        if kind in ('hip', 'collar') or skeleton.parts[joint] == 'torso':
            assert turns[..., bone].max() < 0.1
        if kind in ('hand', 'foot', 'toe', 'heel', 'eye', 'ear', 'thumb', 'tip'):  # as the bone they hang on
            parent = bones[skeleton.parents[joint]]
            np.testing.assert_allclose((unit(new[..., bone, :]) * unit(new[..., parent, :])).sum(-1),
                                       (unit(old[..., bone, :]) * unit(old[..., parent, :])).sum(-1), atol=1e-3)


@pytest.mark.parametrize('name', sorted(set(SKELETONS) - set(WITH_PELVIS)))
def test_skeletons_without_a_pelvis_are_refused(name):
    joints = get_skeleton(name).num_joints
    before = dict(standing(), skeleton=name, keypoints_3d=np.ones((1, 1, 3, joints, 3), np.float32))
    with pytest.raises(ValueError, match=r"hangs from its pelvis; .*ConvertSkeleton\(target='h36m'\)"):
        AugmentPose(prob=1.0)(before, rng())


def test_16_joints_are_those_of_17_without_one(tiny_store):
    before = ConvertSkeleton('h36m16')(load(tiny_store), rng())
    after = AugmentPose(prob=1.0, inside=0.0)(before, rng())
    assert after['keypoints_3d'].shape == (8, 1, 9, 16, 3) and is_changed(before, after).all()


# limits

@pytest.mark.parametrize('knee_bend', [0.0, 5.0, 60.0])
def test_knees_never_bend_forward_or_sideways(knee_bend):
    before = standing(knee_bend=knee_bend, times=1000)
    after = AugmentPose(prob=1.0, angle=30.0, **STILL)(before, rng())
    bends = []
    for side in ('left', 'right'):
        hip, knee, ankle = (after['keypoints_3d'][:, 0, 0, H36M.index(f'{side}_{joint}')]
                            for joint in ('hip', 'knee', 'ankle'))
        thigh, shank = unit(knee - hip), unit(ankle - knee)
        bend = np.degrees(np.arccos(np.clip((thigh * shank).sum(-1), -1, 1)))
        across = shank - (shank * thigh).sum(-1, keepdims=True) * thigh  # where the shank goes to, seen along the thigh
        is_bent = bend > 10.5
        # The person faces the camera, whose z axis points away from it: backwards is +z. A thigh that is turned by up
        # to 30 degrees turns the plane of its knee along.
        assert (unit(across)[is_bent, 2] > np.cos(np.radians(46)) - 0.15).all()
        assert bend.max() < 150
        bends.append(bend)
    assert np.std(bends) > 4 and np.mean(np.array(bends) > 10) > 0.3


def test_elbows_stay_on_their_side():
    before = standing(times=1000)
    after = AugmentPose(prob=1.0, angle=30.0, **STILL)(before, rng())
    for side in ('left', 'right'):
        normals = []
        for value in (before, after):
            shoulder, elbow, wrist = (value['keypoints_3d'][:, 0, 0, H36M.index(f'{side}_{joint}')]
                                      for joint in ('shoulder', 'elbow', 'wrist'))
            normals.append(np.cross(unit(elbow - shoulder), unit(wrist - elbow)))
        is_bent = np.linalg.norm(normals[1], axis=-1) > np.sin(np.radians(10.5))
        # 60 degrees about the upper arm and up to 30 with it.
        assert angles_between(*normals)[is_bent].max() < 80
        assert 0.6 < is_bent.mean() and angles_between(*normals)[is_bent].std() > 10


def test_limbs_that_find_no_natural_pose_keep_their_angles():
    before = standing(knee_bend=1.0, times=500)
    kept = {}
    for tries in (1, 8):
        after = AugmentPose(prob=1.0, length=0.0, tries=tries, **STILL)(before, rng())
        thighs, shanks = ([number for number, (_, child) in enumerate(H36M.limbs) if H36M.joints[child].endswith(joint)]
                          for joint in ('knee', 'ankle'))
        bones = (bone_vectors(value['keypoints_3d'], H36M.limbs)[:, 0, 0] for value in (before, after))
        has_turned = angles_between(*bones) > 0.2
        np.testing.assert_array_equal(has_turned[:, thighs], has_turned[:, shanks])
        kept[tries] = 1 - has_turned[:, shanks].mean()
    assert 0.4 < kept[1] < 0.8 and kept[8] < 0.05


def test_limits_of_the_view_hold_in_thousands_of_draws(batch):
    many = repeat(batch, 300)
    augment = AugmentPose(prob=1.0, tilt=30.0, depth=(0.3, 2.0), shift=0.6, nearest=1500.0, inside=1.0, tries=3)
    after = augment(many, rng())
    changed = is_changed(many, after)
    points, pixels = after['keypoints_3d'][changed], after['keypoints_2d'][changed]
    assert 0.5 < changed.mean() < 1.0 and changed.sum() > 1000
    assert points[..., 2].min() >= 1500
    assert pixels.min() > -1e-3 and (pixels.max(axis=(1, 2, 3)) < many['image_size'][changed] + 1e-2).all()
    ankles, shoulders = (points[..., [H36M.index(f'{side}_{joint}') for side in ('left', 'right')], 1].mean(-1)
                         for joint in ('ankle', 'shoulder'))
    assert (ankles > shoulders).all()


def test_a_share_of_the_joints_may_be_outside(batch):
    many = repeat(batch, 100)
    options = dict(prob=1.0, shift=0.6, depth=(0.5, 0.8))
    shares = {}
    for inside in (0.8, 0.0):
        after = AugmentPose(inside=inside, **options)(many, rng())
        pixels = after['keypoints_2d'][is_changed(many, after)]
        size = many['image_size'][is_changed(many, after)][:, None, None, None]
        shares[inside] = ((pixels >= 0) & (pixels <= size)).all(axis=-1).mean(axis=(1, 2, 3))
    assert 0.8 <= shares[0.8].min() < 0.95 and shares[0.0].min() < 0.5


@pytest.mark.parametrize('options', [dict(nearest=1e5), dict(depth=(1e-3, 1e-3))])
def test_without_a_plausible_view_the_sample_stays(batch, options):
    after = AugmentPose(prob=1.0, **options)(batch, rng())
    for name in ('keypoints_2d', *IMAGE):
        np.testing.assert_array_equal(after[name], batch[name])


def lying(times):
    """Somebody who lies on the back, feet towards the camera, and the head a little higher than the feet."""
    before = standing(times=times)
    rotation = axis_angle_to_matrix(np.radians([85.0, 0.0, 0.0])).astype(np.float32)
    root = before['keypoints_3d'][..., :1, :]
    points = (before['keypoints_3d'] - root) @ rotation + root
    return dict(before, keypoints_3d=points, keypoints_2d=project(points, before['intrinsics']))


def head_height(value):
    ankles, shoulders = (value['keypoints_3d'][..., [H36M.index(f'{side}_{joint}') for side in ('left', 'right')], 1]
                         for joint in ('ankle', 'shoulder'))
    return (ankles - shoulders).mean(axis=(1, 2, 3))


def test_nobody_is_turned_upside_down():
    before = lying(times=500)
    assert 0 < head_height(before)[0] < 150
    after = AugmentPose(prob=1.0, tilt=40.0, tries=2, **RIGID)(before, rng())
    heights = head_height(after)[is_changed(before, after)]
    assert heights.min() > -1e-2 and heights.max() > 500
    assert 0.6 < is_changed(before, after).mean() < 0.95


def test_a_handstand_may_be_seen_from_elsewhere():
    before = standing(times=50)
    points = before['keypoints_3d'] * np.float32([-1, -1, 1])  # turned round the axis of the camera
    before = dict(before, keypoints_3d=points, keypoints_2d=project(points, before['intrinsics']))
    assert head_height(before).max() < -1000
    assert is_changed(before, AugmentPose(prob=1.0)(before, rng())).all()


# view

def view_of(before, **options):
    return AugmentPose(prob=1.0, **{**RIGID, **STILL, **options})(before, rng())['keypoints_3d']


def test_the_view_moves_people_as_they_are(batch):
    many = repeat(batch, 20)
    after = AugmentPose(prob=1.0, **RIGID)(many, rng())
    assert is_changed(many, after).mean() > 0.9
    shapes = []
    for value in (many, after):
        flat = value['keypoints_3d'].reshape(len(many['visible']), -1, 3).astype(np.float64)
        shapes.append(np.linalg.norm(flat - flat[:, :1], axis=-1))  # in space and time
    np.testing.assert_allclose(shapes[1], shapes[0], atol=1e-2)


def test_turns_are_about_the_vertical_and_go_everywhere():
    before = standing(times=2000)
    points = view_of(before, turn=180.0)[:, 0]
    np.testing.assert_allclose(points[..., 1], before['keypoints_3d'][:, 0, ..., 1], atol=1e-2)
    np.testing.assert_allclose(points[:, :, 0], before['keypoints_3d'][:, 0, :, 0], atol=1e-2)  # the root stays
    hips = points[:, 0, H36M.index('left_hip')] - points[:, 0, H36M.index('right_hip')]
    counts, _ = np.histogram(np.arctan2(hips[:, 2], hips[:, 0]), bins=8, range=(-np.pi, np.pi))
    assert counts.min() > 180


def test_tilts_stay_within_their_limit():
    before = standing(times=2000)
    points = view_of(before, tilt=20.0, turn=180.0)[:, 0, 0].astype(np.float64)
    trunk = points[:, H36M.index('thorax')] - points[:, H36M.root]
    tilts = angles_between(trunk, np.array([0.0, -1.0, 0.0]))
    assert tilts.max() < 20.01 and tilts.max() > 19 and tilts.mean() == pytest.approx(10, abs=0.5)
    towards = np.arctan2(trunk[:, 2], trunk[:, 0])
    assert np.histogram(towards, bins=8, range=(-np.pi, np.pi))[0].min() > 180


def test_the_root_goes_where_it_is_told():
    before = standing(times=2000)
    root = view_of(before, depth=(0.8, 1.5), shift=0.1)[:, 0, 0, 0]
    ratio = root[:, 2] / 4500
    assert ratio.min() >= 0.8 - 1e-5 and ratio.max() <= 1.5 + 1e-5
    assert ratio.std() == pytest.approx(0.7 / np.sqrt(12), rel=0.1)
    moves = project(root, before['intrinsics']) - [512, 515]
    assert (np.abs(moves) < [100.1, 100.3]).all()
    np.testing.assert_allclose(moves.std(axis=0), 200 / np.sqrt(12), rtol=0.1)
    assert abs(np.corrcoef([ratio, *moves.T]) - np.eye(3)).max() < 0.1


# what follows

def test_exact_input_becomes_the_projection(batch):
    after = AugmentPose(prob=1.0, inside=0.0)(batch, rng())
    assert is_changed(batch, after).all()
    np.testing.assert_allclose(after['keypoints_2d'], project(after['keypoints_3d'], batch['intrinsics']), atol=5e-3)
    np.testing.assert_array_equal(after['confidence'], 1.0)
    expected = image_space_3d(after['keypoints_3d'], batch['intrinsics'], H36M.root)
    np.testing.assert_allclose(after['keypoints_image'], expected, atol=5e-3)
    depth = after['keypoints_3d'][..., H36M.root, 2]
    np.testing.assert_allclose(after['image_factor'], image_space_factor(depth, batch['intrinsics']), rtol=1e-6)


def test_errors_of_a_detector_go_along(tiny_store):
    before = load(tiny_store, input_2d='detected')
    before['confidence'][2, 0, :, 5] = 0.0
    before['keypoints_2d'][2, 0, :, 5] = 0.0
    after = AugmentPose(prob=1.0, inside=0.0)(before, rng())
    assert is_changed(before, after).all()
    errors = [value['keypoints_2d'] - project(value['keypoints_3d'], before['intrinsics']) for value in (before, after)]
    scale = before['keypoints_3d'][..., :1, 2:] / after['keypoints_3d'][..., :1, 2:]
    is_seen = before['confidence'] > 0
    np.testing.assert_allclose(errors[1][is_seen], (errors[0] * scale)[is_seen], atol=1e-2)
    assert np.abs(errors[0]).mean() > 1
    assert not after['keypoints_2d'][2, 0, :, 5].any()  # what was not found has no place
    np.testing.assert_array_equal(after['confidence'], before['confidence'])


def test_everybody_in_a_scene_is_seen_from_one_view(people_store):
    before = load(people_store, rows=5, num_persons=2, targets=IMAGE)
    is_there = before['keypoints_3d'].any(axis=(2, 3, 4))
    assert not is_there.all() and is_there[:, 1].any()
    after = AugmentPose(prob=1.0, inside=0.0, **RIGID)(before, rng())
    for name in ('keypoints_2d', *IMAGE):
        assert not after[name][~is_there].any() and np.isfinite(after[name]).all()
    pair = np.flatnonzero(is_there[:, 1])
    roots = [value['keypoints_3d'][pair][..., H36M.root, :] for value in (before, after)]
    gaps = [np.linalg.norm(root[:, 0] - root[:, 1], axis=-1) for root in roots]
    np.testing.assert_allclose(gaps[1], gaps[0], atol=1e-2)
    bodies = AugmentPose(prob=1.0, inside=0.0, angle=0.0)(before, rng())['keypoints_3d'][pair][:, :, 0]
    lengths = bone_lengths(bodies, H36M.limbs) / bone_lengths(before['keypoints_3d'][pair][:, :, 0], H36M.limbs)
    assert (np.abs(lengths[:, 0] - lengths[:, 1]).max(axis=-1) > 0.02).all()  # but each has a body of its own


def test_3d_alone_is_enough(tiny_store):
    before = load(tiny_store, input_2d=None)
    after = AugmentPose(prob=1.0, inside=0.0)(before, rng())
    assert is_changed(before, after).all() and 'keypoints_2d' not in after


def test_a_pipeline_trains_on_it(tiny_store):
    pipeline = [dict(type='ConvertSkeleton', target='h36m16'), dict(type='AugmentPose', prob=0.5),
                dict(type='RandomFlip'), dict(type='NormalizeCoords'), dict(type='PackInputs')]
    dataset = MotionDataset(str(tiny_store), window=dict(num_frames=9), input_2d='exact', pipeline=pipeline)
    first, again = (dataset.__getitems__(list(range(8))) for _ in range(2))
    assert first['inputs'].shape == (8, 1, 9, 16, 3) and np.isfinite(first['fields']['target_3d']).all()
    np.testing.assert_array_equal(first['inputs'], again['inputs'])
    plain = MotionDataset(str(tiny_store), window=dict(num_frames=9), input_2d='exact', pipeline=pipeline,
                          pipeline_changes=dict(AugmentPose=None)).__getitems__(list(range(8)))
    assert not np.array_equal(first['inputs'], plain['inputs'])


def test_after_a_flip_the_mirrored_camera_counts(batch):
    flipped = RandomFlip(prob=1.0)(batch, rng())
    after = AugmentPose(prob=1.0, inside=0.0)(flipped, rng())
    np.testing.assert_allclose(after['keypoints_2d'], project(after['keypoints_3d'], flipped['intrinsics']), atol=5e-3)


# refusals

@pytest.mark.parametrize('options', [
    dict(prob=1.5), dict(angle=-1.0), dict(angle=120.0), dict(length=1.0), dict(turn=200.0), dict(tilt=float('nan')),
    dict(shift=-0.1), dict(inside=1.1), dict(depth=(1.5, 0.8)), dict(depth=(0.0, 1.0)), dict(depth=(1.0,)),
    dict(nearest=0.0), dict(tries=0)])
def test_impossible_numbers_are_refused(options):
    with pytest.raises(ValueError, match=f'AugmentPose.*{next(iter(options))}.*expected'):
        AugmentPose(**options)


@pytest.mark.parametrize('name, hint', [('keypoints_3d', 'targets='), ('intrinsics', 'OrthographicView'),
                                        ('image_size', 'converter')])
def test_what_is_missing_is_named(batch, name, hint):
    del batch[name]
    with pytest.raises(ValueError, match=f'has no {name}, which AugmentPose needs.*{hint}'):
        AugmentPose()(batch, rng())


def test_arrays_that_would_be_left_behind_are_refused(batch):
    with pytest.raises(ValueError, match='would leave inputs, target_3d of the samples as it was.*front of the pipe'):
        AugmentPose()(NormalizeCoords()(batch, rng()), rng())
    pose = np.zeros((8, 1, 9, 24, 3), np.float32)
    with pytest.raises(ValueError, match='would leave detected_2d, smpl_pose.*out of the targets'):
        AugmentPose()(dict(batch, smpl_pose=pose, detected_2d=batch['keypoints_2d']), rng())


def test_3d_in_another_frame_or_unit_is_refused(batch):
    points = batch['keypoints_3d']
    with pytest.raises(ValueError, match='joints behind the camera, .*millimetres in the frame of a camera'):
        AugmentPose(prob=1.0)(dict(batch, keypoints_3d=points - points[..., :1, :]), rng())
    with pytest.raises(ValueError, match='or NaN'):
        AugmentPose(prob=1.0)(dict(batch, keypoints_3d=points * np.float32('nan')), rng())
    with pytest.raises(ValueError, match='nearer than 100 mm'):
        AugmentPose(prob=1.0)(dict(batch, keypoints_3d=points / 1000), rng())  # metres look the same in the image
    elsewhere = points + np.float32([2000, 0, 0])
    with pytest.raises(ValueError, match=r'keypoints_2d of sample .* and others lies 0\.\d+ image widths'):
        AugmentPose(prob=1.0)(dict(batch, keypoints_3d=elsewhere), rng())


def test_input_that_was_never_seen_passes(batch):
    batch['confidence'] = np.zeros_like(batch['confidence'])
    after = AugmentPose(prob=1.0, inside=0.0)(batch, rng())
    assert is_changed(batch, after).all()
    np.testing.assert_array_equal(after['keypoints_2d'], batch['keypoints_2d'])
