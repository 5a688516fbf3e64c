"""The synthetic motion: physical plausibility, truth of labels and texts, the store and the data set."""
import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from motionbert_mm.datasets import synthetic
from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.datasets.synthetic import ACTIONS, SyntheticDataset, generate_clip, write_store
from motionbert_mm.geometry.camera import project
from motionbert_mm.geometry.rotation import axis_angle_to_matrix
from motionbert_mm.models.body_model import BodyModel
from motionbert_mm.registry import DATASETS, build
from motionbert_mm.structures.skeleton import get_skeleton

H36M, SMPL = get_skeleton('h36m'), get_skeleton('smpl24')
REPEATS = 4
_CLIPS = {}


def clips_of(action, count=REPEATS, **options):
    """Make a few clips of one action; the usual ones are kept, because several tests look at them."""
    key = (action, count, *sorted(options.items()))
    if key not in _CLIPS:
        indices = [ACTIONS.index(action) + len(ACTIONS) * number for number in range(count)]
        _CLIPS[key] = [generate_clip(index, seed=5, **options) for index in indices]
    return _CLIPS[key]


def joint(clip, name):
    return clip.positions[:, H36M.index(name)]


def knees(clip):
    return clip.smpl_pose[:, [SMPL.index('left_knee'), SMPL.index('right_knee')]]


def heading_change(clip):
    """How far the hips turn about the vertical, rad, positive to the left."""
    across = (joint(clip, 'left_hip') - joint(clip, 'right_hip'))[:, :2]
    angle = np.unwrap(np.arctan2(across[:, 1], across[:, 0]))
    return angle[-1] - angle[0]


@pytest.mark.parametrize('action', ACTIONS)
def test_all_limbs_keep_their_length(action):
    parents, children = np.array(H36M.limbs).T
    for clip in clips_of(action):
        lengths = np.linalg.norm(clip.positions[:, children] - clip.positions[:, parents], axis=-1)
        assert np.ptp(lengths, axis=0).max() < 1e-3  # mm
        assert lengths.min() > 50


@pytest.mark.parametrize('action', ACTIONS)
def test_stored_rotations_give_the_stored_joints(action):
    clip = clips_of(action)[0]
    turned, joints = [], []
    for index, parent in enumerate(SMPL.parents):
        local = Rotation.from_rotvec(clip.smpl_pose[:, index])
        turned.append(local if parent < 0 else turned[parent] * local)
        joints.append(clip.smpl_joints[:, 0] if parent < 0
                      else joints[parent] + turned[parent].apply(clip.body.offsets[index]))
    np.testing.assert_allclose(np.stack(joints, axis=1), clip.smpl_joints, atol=1e-6)
    same = ('right_knee', 'left_ankle', 'left_shoulder', 'right_elbow', 'left_wrist')
    np.testing.assert_allclose(clip.positions[:, [H36M.index(name) for name in same]],
                               clip.smpl_joints[:, [SMPL.index(name) for name in same]], atol=1e-9)


@pytest.mark.parametrize('action', ACTIONS)
def test_knees_and_elbows_are_hinges_that_bend_the_right_way(action):
    for clip in clips_of(action):
        np.testing.assert_allclose(knees(clip)[..., 1:], 0, atol=1e-9)
        assert 0 < knees(clip)[..., 0].min() and knees(clip)[..., 0].max() < 2.6
        elbows = clip.smpl_pose[:, [SMPL.index('left_elbow'), SMPL.index('right_elbow')]]
        np.testing.assert_allclose(elbows[..., [0, 2]], 0, atol=1e-9)
        bend = elbows[..., 1] * [-1, 1]
        assert 0 < bend.min() and bend.max() < 2.6


@pytest.mark.parametrize('action', ACTIONS)
def test_feet_stay_on_the_floor_and_do_not_skate(action):
    for clip in clips_of(action):
        balls = clip.smpl_joints[:, [SMPL.index('left_foot'), SMPL.index('right_foot')]]
        assert balls[..., 2].min() > -10 and clip.positions[..., 2].min() > 40  # the ankle is the lowest of the others
        assert balls[..., 2][clip.contact].max() < 30
        stays = clip.contact[1:] & clip.contact[:-1]
        assert np.linalg.norm(np.diff(balls, axis=0), axis=-1)[stays].max() < 1  # mm per frame
        is_airborne = ~clip.contact.any(axis=1)
        if action in ('walk', 'run'):  # the heel lands before the ball does
            assert np.percentile(balls[..., 2].min(axis=1), 95) < (60 if action == 'walk' else 140)
        elif action != 'jump':
            assert not is_airborne.any()


@pytest.mark.parametrize('action', ACTIONS)
def test_motion_is_smooth_and_moves(action):
    for clip in clips_of(action):
        speed = np.linalg.norm(np.diff(clip.positions, axis=0), axis=-1) * 30 / 1000
        change = np.linalg.norm(np.diff(clip.positions, 2, axis=0), axis=-1) * 900 / 1000
        assert 0.15 < speed.max() < 13  # m / s
        assert change.max() < 220  # m / s^2; real throws and kicks reach this
        steps = np.linalg.norm(np.diff(clip.smpl_pose, axis=0), axis=-1)
        assert steps.max() < 1.0  # rad per frame; a jump by a whole turn would be 6


@pytest.mark.parametrize('action', ACTIONS)
def test_people_stand_upright_near_the_origin(action):
    for clip in clips_of(action):
        assert np.abs(clip.positions[..., :2]).max() < 2000
        if action not in ('bow', 'jump', 'squat', 'sit_down'):
            assert (joint(clip, 'head')[:, 2] > joint(clip, 'thorax')[:, 2] + 100).all()
        assert (joint(clip, 'head')[:, 2] > joint(clip, 'root')[:, 2]).all()


@pytest.mark.parametrize('action', ['walk', 'run'])
def test_opposite_arm_and_leg_swing_together(action):
    for clip in clips_of(action):
        across = (joint(clip, 'left_hip') - joint(clip, 'right_hip'))[:, :2]
        forward = np.stack([across[:, 1], -across[:, 0]], axis=-1) / np.linalg.norm(across, axis=-1, keepdims=True)
        arms = ((joint(clip, 'left_wrist') - joint(clip, 'right_wrist'))[:, :2] * forward).sum(-1)
        legs = ((joint(clip, 'left_knee') - joint(clip, 'right_knee'))[:, :2] * forward).sum(-1)
        assert np.corrcoef(arms, legs)[0, 1] < -0.6


def test_running_has_flight_and_walking_has_not():
    for walking, running in zip(clips_of('walk'), clips_of('run')):
        assert walking.smpl_joints[:, [10, 11, 7, 8], 2].min(axis=1).max() < 110
        assert running.contact.any(axis=1).mean() < 0.8


def test_a_jump_leaves_the_floor_as_a_thrown_body():
    for clip in clips_of('jump', fps=120.0, num_frames=360):
        is_up = ~clip.contact.any(axis=1)
        assert clip.smpl_joints[is_up][:, [10, 11], 2].min(axis=1).max() > 100
        inside = is_up[:-2] & is_up[2:]
        fall = np.diff(clip.positions[:, 0, 2], 2)[inside] * 120**2
        assert np.median(fall) == pytest.approx(-9810, rel=0.05)  # mm / s^2


def test_clips_are_reproducible_and_independent_of_each_other():
    first = generate_clip(7, seed=3)
    generate_clip(8, seed=3)
    again = generate_clip(7, seed=3)
    assert first.text == again.text and first.name == again.name
    np.testing.assert_array_equal(first.positions, again.positions)
    for other in (generate_clip(7, seed=4), generate_clip(7, seed=3, split='val'), generate_clip(19, seed=3)):
        assert other.action == first.action
        assert np.abs(other.positions - first.positions).max() > 10


def test_people_differ_in_size_and_splits_share_none():
    train = [generate_clip(index, num_frames=2) for index in range(40)]
    val = [generate_clip(index, num_frames=2, split='val') for index in range(40)]
    statures = {clip.subject: clip.body.stature for clip in train}
    assert len(statures) == synthetic.NUM_SUBJECTS
    assert min(statures.values()) >= 1500 and max(statures.values()) <= 1950 and np.std(list(statures.values())) > 30
    assert not set(statures) & {clip.subject for clip in val}


def test_labels_take_turns():
    clips = [generate_clip(index, num_frames=2) for index in range(24)]
    assert [clip.label for clip in clips] == [*range(12), *range(12)]
    assert all(ACTIONS[clip.label] == clip.action for clip in clips)


def test_text_names_the_pace_of_the_clip():
    for index in range(120):
        clip = generate_clip(index, num_frames=2, seed=1)
        says_slow, says_quick = 'slow' in clip.text, 'quick' in clip.text or 'fast' in clip.text
        assert says_slow == (clip.pace < synthetic.SLOW) and says_quick == (clip.pace > synthetic.FAST)


def test_a_higher_pace_is_faster():
    clips = sorted(clips_of('clap', 12), key=lambda clip: clip.pace)
    beats = [np.abs(np.fft.rfft(np.ptp(clip.positions[30:, [13, 16]], axis=1).sum(-1) - np.ptp(
        clip.positions[30:, [13, 16]], axis=1).sum(-1).mean())).argmax() for clip in clips]
    assert np.mean(beats[-4:]) > 1.15 * np.mean(beats[:4])


@pytest.mark.parametrize('action, part', [('wave', 'wrist'), ('kick', 'ankle'), ('throw', 'wrist')])
def test_the_side_that_the_text_names_acts(action, part):
    for clip in clips_of(action, 8):
        left, right = (np.ptp(joint(clip, f'{side}_{part}')[:, 2]) for side in ('left', 'right'))
        acting = 'left' if left > right else 'right'
        assert acting == clip.side
        assert {'left', 'right'} & set(clip.text.split()) == {acting}
    assert {clip.side for clip in clips_of(action, 8)} == {'left', 'right'}


def test_a_hand_that_waves_above_the_head_is_there():
    high = [clip for clip in clips_of('wave', 16) if 'above the head' in clip.text]
    assert len(high) > 1
    for clip in high:
        assert np.median(joint(clip, f'{clip.side}_wrist')[:, 2] - joint(clip, 'head')[:, 2]) > 0


def test_the_hand_that_the_text_names_punches():
    for clip in clips_of('punch', 12):
        reach = {side: np.linalg.norm(joint(clip, f'{side}_wrist') - joint(clip, f'{side}_shoulder'), axis=-1).max()
                 for side in ('left', 'right')}
        named = {'left', 'right'} & set(clip.text.split()) or {'left', 'right'}
        assert {side for side, far in reach.items() if far > 0.85 * clip.body.arm} == named


def test_turns_go_as_far_and_to_the_side_that_the_text_says():
    seen = set()
    for clip in clips_of('turn', 24, num_frames=240):
        change = np.degrees(heading_change(clip))
        assert ('left' in clip.text.split()) == (change > 0)
        for word, angle in (('quarter', 90), ('half', 180), ('full', 360)):
            if word in clip.text:
                seen.add(word)
                assert abs(change) == pytest.approx(angle, abs=15)
    assert seen == {'quarter', 'half', 'full'}


def test_circles_turn_to_the_side_that_the_text_says():
    curved = [clip for clip in clips_of('walk', 12, num_frames=150) if 'straight' not in clip.text]
    assert len(curved) > 3
    for clip in curved:
        assert ('left' in clip.text.split()) == (heading_change(clip) > 0)
        assert ('circle' in clip.text) == (abs(heading_change(clip)) > 1.7 * np.pi - 0.3)


def test_a_person_who_sits_rests_at_chair_height():
    sitting = [clip for clip in clips_of('sit_down', 8) if 'up again' not in clip.text and 'rises' not in clip.text]
    for clip in sitting:
        assert 350 < joint(clip, 'root')[-1, 2] < 650
        thigh = joint(clip, 'left_knee')[-1] - joint(clip, 'left_hip')[-1]
        assert abs(thigh[2]) < 0.35 * np.linalg.norm(thigh)


@pytest.mark.parametrize('num_frames', [1, 2, 5, 400])
def test_any_length_is_made(num_frames):
    for index in range(len(ACTIONS)):
        clip = generate_clip(index, num_frames=num_frames)
        assert clip.positions.shape == (num_frames, 17, 3) and clip.smpl_pose.shape == (num_frames, 24, 3)
        assert np.isfinite(clip.positions).all() and clip.contact.shape == (num_frames, 2)


@pytest.mark.parametrize('options', [dict(index=-1), dict(index=0, num_frames=0), dict(index=0, fps=0.0),
                                     dict(index=0, seed=-1)])
def test_impossible_clips_are_refused(options):
    with pytest.raises(ValueError, match='num_frames >= 1'):
        generate_clip(**options)


@pytest.fixture(scope='module')
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp('synthetic') / 'store'
    write_store(path, num_clips=12, num_frames=30, seed=2)
    return MotionStore(path)


def test_store_holds_every_clip_from_four_cameras(store):
    assert len(store.clips) == 48 and store.skeleton == 'h36m' and store.fps == 30
    assert {clip.action for clip in store.clips} == set(ACTIONS)
    assert len({clip.camera for clip in store.clips}) == 4
    assert store.info['classes'] == list(ACTIONS) and store.info['seed'] == 2
    clip = store.clips[4 * 6]
    assert clip.text == (generate_clip(6, num_frames=30, seed=2).text,) and clip.label == 6


def test_store_2d_is_the_exact_projection_and_in_the_image(store):
    for clip in store.clips:
        rows = slice(clip.start, clip.start + clip.length)
        pixels = store.arrays['keypoints_2d'][rows]
        np.testing.assert_allclose(project(store.arrays['keypoints_3d'][rows].astype(np.float64),
                                           np.array(clip.intrinsics)), pixels, atol=1e-3)
        inside = ((pixels >= 0) & (pixels < clip.image_size)).all(-1)
        assert inside.mean() > 0.98
    error = np.linalg.norm(store.arrays['detected_2d'] - store.arrays['keypoints_2d'], axis=-1)
    assert 4.5 < error.mean() < 7.5
    assert np.corrcoef(error.ravel(), store.arrays['detected_confidence'].ravel())[0, 1] < -0.8


def test_store_rotations_are_in_the_camera_frame(store):
    for number in (0, 1, 2, 3, 22):
        clip = store.clips[number]
        rows = slice(clip.start, clip.start + clip.length)
        pose, points = store.arrays['smpl_pose'][rows], store.arrays['keypoints_3d'][rows]
        # In body axes the hips lie along x, the left one on the positive side.
        across = points[:, H36M.index('left_hip')] - points[:, H36M.index('right_hip')]
        across = Rotation.from_rotvec(pose[:, 0]).inv().apply(across)
        np.testing.assert_allclose(across[:, 1:], 0, atol=0.02)
        assert across[:, 0].min() > 100
        assert np.linalg.norm(np.diff(pose[:, 0], axis=0), axis=-1).max() < 1.0


def test_store_betas_and_rotations_pose_the_synthetic_body(store):
    model = BodyModel('synthetic')
    for number in (0, 5, 22, 47):
        clip = store.clips[number]
        rows = slice(clip.start, clip.start + clip.length)
        pose, betas, points = (torch.from_numpy(store.arrays[name][rows].copy())
                               for name in ('smpl_pose', 'smpl_betas', 'keypoints_3d'))
        assert betas.shape == (clip.length, 10) and (betas == betas[0]).all()
        joints = model.joints(model(axis_angle_to_matrix(pose), betas))
        error = (joints - joints[:, :1]) - (points - points[:, :1])
        assert error.norm(dim=-1).max() < 5.0


def test_store_does_not_depend_on_the_number_of_clips(store, tmp_path):
    write_store(tmp_path / 'few', num_clips=2, num_frames=30, seed=2)
    few = MotionStore(tmp_path / 'few')
    for name, array in few.arrays.items():
        np.testing.assert_array_equal(array, store.arrays[name][:len(array)])


def dataset_config(root, **changes):
    return dict(dict(type='SyntheticDataset', data_root=str(root), num_clips=2, num_frames=12, targets=['keypoints_3d'],
                     window=dict(num_frames=9, stride=9, tail='drop')), **changes)


def test_dataset_is_made_once_and_fetches_batches(tmp_path, monkeypatch):
    dataset = build(DATASETS, dataset_config(tmp_path))
    assert isinstance(dataset, SyntheticDataset) and len(dataset) == 8
    assert dataset.metainfo['classes'] == ACTIONS
    batch = dataset.__getitems__([0, 5])
    assert batch['keypoints_3d'].shape == (2, 1, 9, 17, 3) and list(batch['label']) == [0, 1]
    assert [name for name in os.listdir(tmp_path) if name.startswith('.')] == []
    monkeypatch.setattr(synthetic, 'generate_clip', None)  # a second use must not make anything
    np.testing.assert_array_equal(build(DATASETS, dataset_config(tmp_path)).__getitems__([5])['keypoints_3d'][0],
                                  batch['keypoints_3d'][1])


def test_dataset_of_other_arguments_is_another_store(tmp_path):
    for changes in (dict(), dict(clip_seed=1), dict(split='val'), dict(num_frames=13), dict(fps=25.0)):
        build(DATASETS, dataset_config(tmp_path, **changes))
    assert len(os.listdir(tmp_path)) == 5


def test_dataset_replaces_a_store_that_holds_something_else(tmp_path):
    build(DATASETS, dataset_config(tmp_path))
    path = tmp_path / os.listdir(tmp_path)[0]
    write_store(path, num_clips=1, num_frames=20, seed=9)
    assert len(build(DATASETS, dataset_config(tmp_path))) == 8
    assert MotionStore(path).info['seed'] == 0 and len(os.listdir(tmp_path)) == 1


def test_dataset_that_loses_a_race_uses_the_store_of_the_winner(tmp_path, monkeypatch):
    arguments = dict(num_clips=2, num_frames=12, fps=30.0, seed=0, split='train')

    def write_while_another_wins(path, **options):
        write_store(path, **options)
        write_store(tmp_path / f'synthetic-v{synthetic.GENERATOR_VERSION}-train-2x12-30fps-seed0', **options)

    monkeypatch.setattr(synthetic, 'write_store', write_while_another_wins)
    path = synthetic.find_or_make_store(tmp_path, **arguments)
    assert MotionStore(path).info['num_clips'] == 2
    assert os.listdir(tmp_path) == [path.name]


def test_command_line_writes_a_store(tmp_path, monkeypatch, capsys):
    file = Path(__file__).parents[2] / 'tools' / 'dataset_converters' / 'synthetic.py'
    spec = importlib.util.spec_from_file_location('synthetic_tool', file)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    out = tmp_path / 'out'
    monkeypatch.setattr('sys.argv', ['synthetic.py', str(out), '--clips', '1', '--frames', '5', '--split', 'val'])
    tool.main()
    assert len(MotionStore(out).clips) == 4 and MotionStore(out).info['split'] == 'val'
    assert 'each seen by 4 cameras' in capsys.readouterr().out
    monkeypatch.setattr('sys.argv', ['synthetic.py', str(out), '--clips', '1', '--frames', '0'])
    with pytest.raises(SystemExit, match='num_frames >= 1'):
        tool.main()
