"""3DPW's own pickles as motion stores."""
import sys

import numpy as np
import pytest

from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.datasets.regressed_joints import RegressedJoints
from motionbert_mm.datasets.threedpw import find_sequences, read_sequence
from motionbert_mm.geometry.camera import project
from motionbert_mm.geometry.rotation import axis_angle_to_matrix
from motionbert_mm.io.body_files import read_body, read_regressor
from motionbert_mm.structures.skeleton import convert as convert_joints
from tests.generated import load_tool
from tests.mesh_files import PW3D_LENS, pw3d_sequence, write_pickle, write_pw3d, write_smpl


@pytest.fixture
def convert(monkeypatch, tmp_path):
    tool = load_tool('dataset_converters/threedpw.py')

    def run(*options):
        arguments = ['threedpw.py', tmp_path / 'pw3d', tmp_path / 'out', *options]
        monkeypatch.setattr(sys, 'argv', [str(argument) for argument in arguments])
        tool.main()
        return tmp_path / 'out'
    return run


def test_each_person_is_a_clip_in_camera_axes(convert, tmp_path):
    content = pw3d_sequence()
    write_pw3d(tmp_path / 'pw3d', content=content)
    store = MotionStore(convert() / 'test')
    assert [(clip.name, clip.length, clip.image_size) for clip in store.clips] == [
        ('downtown_test_00#0', 24, (1080, 1920)), ('downtown_test_00#1', 24, (1080, 1920))]
    np.testing.assert_allclose(store.clips[0].intrinsics, [1961.9, 1969.2, 540, 960])
    assert store.fps == 30 and store.info['genders'] == {'downtown_test_00#0': 'male', 'downtown_test_00#1': 'female'}
    poses = np.concatenate(content['poses']).reshape(-1, 24, 3)
    turns = np.tile(content['cam_poses'][:, :3, :3], (2, 1, 1))
    np.testing.assert_allclose(axis_angle_to_matrix(store.arrays['smpl_pose'][:, 0].astype(np.float64)),
                               turns @ axis_angle_to_matrix(poses[:, 0]), atol=1e-6)
    np.testing.assert_array_equal(store.arrays['smpl_pose'][:, 1:], poses[:, 1:].astype(np.float32))
    np.testing.assert_array_equal(store.arrays['smpl_betas'][24], content['betas'][1][:10].astype(np.float32))
    assert set(store.arrays) == {'smpl_pose', 'smpl_betas', 'detected_2d', 'detected_confidence'}


def test_detections_are_those_of_openpose_by_name(convert, tmp_path):
    content = pw3d_sequence(genders='m')
    write_pw3d(tmp_path / 'pw3d', content=content)
    store = MotionStore(convert() / 'test')
    points = content['poses2d'][0].transpose(0, 2, 1)
    expected = convert_joints(points[..., :2], 'coco18', 'h36m', points[..., 2])
    np.testing.assert_allclose(store.arrays['detected_2d'], expected.keypoints, rtol=1e-6)
    np.testing.assert_allclose(store.arrays['detected_confidence'], expected.confidence, rtol=1e-6)


def test_joints_that_were_not_found_are_interpolated_without_confidence(convert, tmp_path):
    content = pw3d_sequence(genders='m')
    whole = content['poses2d'][0].copy()
    content['poses2d'][0][6] = 0  # fewer than six joints
    content['poses2d'][0][9, :, 4] = 0  # a wrist
    write_pw3d(tmp_path / 'pw3d', content=content)
    store = MotionStore(convert() / 'test')
    points, confidence = store.arrays['detected_2d'], store.arrays['detected_confidence']
    assert (confidence[6] == 0).all() and (confidence[9] == 0).sum() == 1
    np.testing.assert_allclose(points[6], (points[5] + points[7]) / 2, rtol=1e-5)
    np.testing.assert_allclose(points[9, 16], (whole[8, :2, 4] + whole[10, :2, 4]) / 2, rtol=1e-5)


def test_clips_part_where_the_camera_is_not_known(convert, tmp_path, capsys):
    content = pw3d_sequence(genders='mf')
    content['campose_valid'][0][[0, 1, 10, 11, 12]] = 0
    content['cam_poses'][0] = np.nan  # what stands there means nothing
    content['campose_valid'][1][:] = 0
    write_pw3d(tmp_path / 'pw3d', content=content)
    store = MotionStore(convert() / 'test')
    assert [(clip.name, clip.length) for clip in store.clips] == [('downtown_test_00#0@2', 8),
                                                                  ('downtown_test_00#0@13', 11)]
    assert {clip.subject for clip in store.clips} == {'downtown_test_00#0'}
    pose = content['poses'][0].reshape(-1, 24, 3)[np.r_[2:10, 13:24], 1:]
    np.testing.assert_array_equal(store.arrays['smpl_pose'][:, 1:], pose.astype(np.float32))
    assert store.info['left_out'] == {'persons without a known camera': 1}
    assert 'left out: 1 persons without a known camera' in capsys.readouterr().out


def test_splits_are_stores_and_images_may_count_as_squares(convert, tmp_path):
    for split in ('train', 'validation'):
        write_pw3d(tmp_path / 'pw3d', split)
    out = convert('--image-size', 1920, 1920)
    assert sorted(path.name for path in out.iterdir()) == ['train', 'validation']
    assert {clip.image_size for clip in MotionStore(out / 'train').clips} == {(1920, 1920)}


def test_bodies_give_positions_in_front_of_the_camera(convert, tmp_path):
    """World vertices of the gendered body moved by the camera; SMPL turns about the pelvis, not about the origin."""
    content = pw3d_sequence()
    write_pw3d(tmp_path / 'pw3d', content=content)
    folder, regressor = write_smpl(tmp_path / 'smpl')
    store = MotionStore(convert('--smpl', folder, '--regressor', regressor) / 'test')
    for person, (clip, gender) in enumerate(zip(store.clips, ('MALE', 'FEMALE'))):
        joints = RegressedJoints(read_body(folder / f'SMPL_{gender}.npz', 'smpl', 10), read_regressor(regressor, 17))
        betas = np.tile(content['betas'][person][:10], (24, 1))
        world = joints(content['poses'][person].reshape(-1, 24, 3), betas, content['trans'][person])
        camera = content['cam_poses']
        expected = 1000 * (np.einsum('fij,fnj->fni', camera[:, :3, :3], world) + camera[:, None, :3, 3])
        rows = slice(clip.start, clip.start + clip.length)
        np.testing.assert_allclose(store.arrays['keypoints_3d'][rows], expected, atol=0.02)
        pixels = project(expected, np.array([PW3D_LENS[0, 0], PW3D_LENS[1, 1], 540, 960]))
        np.testing.assert_allclose(store.arrays['keypoints_2d'][rows], pixels, atol=0.05)
        # The rule that forgets the pelvis is off by decimetres.
        plain = 1000 * (np.einsum('fij,fj->fi', camera[:, :3, :3], content['trans'][person]) + camera[:, :3, 3])
        assert np.linalg.norm(store.arrays['smpl_translation'][rows] - plain, axis=-1).min() > 50


def test_a_regressor_with_exchanged_sides_is_put_right(convert, tmp_path, capsys):
    write_pw3d(tmp_path / 'pw3d')
    folder, regressor = write_smpl(tmp_path / 'smpl')
    before = np.array(MotionStore(convert('--smpl', folder, '--regressor', regressor) / 'test').arrays['keypoints_3d'])
    rows = np.load(regressor)
    np.save(regressor, rows[[0, 4, 5, 6, 1, 2, 3, *range(7, 17)]])
    capsys.readouterr()
    after = MotionStore(convert('--smpl', folder, '--regressor', regressor) / 'test').arrays['keypoints_3d']
    np.testing.assert_array_equal(after, before)
    assert 'note: rows of the regressor were exchanged: it has the left and right legs' in capsys.readouterr().err


def test_a_camera_in_the_wrong_direction_is_refused(convert, tmp_path):
    content = pw3d_sequence()
    content['cam_poses'][:, :3, 3] *= -1
    write_pw3d(tmp_path / 'pw3d', content=content)
    folder, regressor = write_smpl(tmp_path / 'smpl')
    with pytest.raises(SystemExit, match='downtown_test_00#0: joints lie behind the camera, first in image 0'):
        convert('--smpl', folder, '--regressor', regressor)


@pytest.mark.parametrize('options', [('--smpl', 'x'), ('--regressor', 'x.npy')])
def test_bodies_need_a_regressor_and_the_other_way_round(convert, tmp_path, options):
    write_pw3d(tmp_path / 'pw3d')
    with pytest.raises(SystemExit, match='positions need both, .*got x'):
        convert(*options)


def change(content, key, value, person=None):
    if person is None:
        content[key] = value
    else:
        content[key][person] = value
    return content


@pytest.mark.parametrize('key, value, person, message', [
    ('poses', np.zeros((24, 69)), 0, r'person 0: poses has shape \(24, 69\).* \(N, 72\)'),
    ('poses', np.full((24, 72), np.nan), 1, 'person 1: poses holds NaN or infinity, first in image 0'),
    ('trans', np.full((24, 3), np.inf), 0, 'person 0: trans holds NaN or infinity'),
    ('trans', np.zeros((23, 3)), 0, "one row for each image, got {'poses': 24, 'trans': 23"),
    ('poses2d', np.zeros((24, 18, 3)), 0, r'poses2d has shape \(24, 18, 3\).* \(N, 3, 18\)'),
    ('poses2d', np.full((24, 3, 18), np.nan), 0, 'poses2d holds NaN or infinity, first in image 0'),
    ('betas', np.zeros(9), 0, 'person 0 has 9 betas and gender'),
    ('genders', 'x', 0, "gender 'x', expected at least 10, and one of m, f"),
    ('genders', ['m'], None, 'different numbers of persons'),
    ('poses', None, None, 'poses is a NoneType, expected a list of persons'),
    ('cam_poses', np.zeros((24, 3, 4)), None, r'cam_poses has shape \(24, 3, 4\)'),
    ('cam_poses', np.tile(2 * np.eye(4), (24, 1, 1)), None, 'cam_poses hold no rotations'),
    ('cam_intrinsics', np.eye(3), None, 'expected focal lengths and principal point in pixels'),
])
def test_wrong_fields_are_named(tmp_path, key, value, person, message):
    path = write_pw3d(tmp_path, content=change(pw3d_sequence(), key, value, person))
    with pytest.raises(ValueError, match=message):
        read_sequence(path)


def test_missing_fields_and_other_pickles_are_named(tmp_path):
    content = pw3d_sequence()
    del content['campose_valid']
    with pytest.raises(ValueError, match='lacks campose_valid, got .*expected a file of the sequenceFiles of 3DPW'):
        read_sequence(write_pw3d(tmp_path, content=content))
    with pytest.raises(ValueError, match='got list'):
        read_sequence(write_pickle(tmp_path / 'list.pkl', [1]))


def test_the_readme_calls_genders_gender(tmp_path):
    content = pw3d_sequence()
    content['gender'] = content.pop('genders')
    people = read_sequence(write_pw3d(tmp_path, content=content)).people
    assert [person.gender for person in people] == ['male', 'female']


def test_torn_files_are_listed_and_the_others_converted(convert, tmp_path):
    torn = write_pw3d(tmp_path / 'pw3d', name='a')
    torn.write_bytes(torn.read_bytes()[:500])
    write_pw3d(tmp_path / 'pw3d', name='b')
    with pytest.raises(SystemExit, match=r'a\.pkl: not a complete pickle.*\n1 files failed; unpack'):
        convert()
    store = MotionStore(tmp_path / 'out' / 'test')
    assert [clip.name for clip in store.clips] == ['b#0', 'b#1'] and list(store.info['failed']) == ['a.pkl']


def test_nobody_left_is_an_error(convert, tmp_path):
    content = pw3d_sequence(genders='m')
    content['poses2d'][0][:] = 0
    write_pw3d(tmp_path / 'pw3d', content=content)
    with pytest.raises(SystemExit, match='test: no clip in 1 files; 1 persons without 2D detections'):
        convert()
    assert not (tmp_path / 'out' / 'test').exists()


def test_a_folder_without_sequences_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='has none of sequenceFiles/train/.*unpack sequenceFiles.zip'):
        find_sequences(tmp_path)
    write_pw3d(tmp_path)
    assert list(find_sequences(tmp_path / 'sequenceFiles')) == list(find_sequences(tmp_path)) == ['test']
