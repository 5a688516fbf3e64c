import numpy as np
import pytest

from motionbert_mm.datasets.amass import (
    RATE_FIXES,
    WORLD_TO_CAMERA,
    AmassConverter,
    AmassOptions,
    find_sequences,
    read_sequence,
)
from motionbert_mm.geometry.rotation import axis_angle_to_matrix
from motionbert_mm.structures.skeleton import get_skeleton
from tests.smplh_files import (
    NUM_JOINTS,
    joint_places,
    make_body,
    make_motion,
    make_regressor,
    write_body,
    write_motion,
)

H36M = get_skeleton('h36m')
STILL = dict(poses=None, betas=np.zeros(16))


@pytest.fixture
def options(tmp_path):
    write_body(tmp_path / 'bodies')
    np.save(tmp_path / 'regressor.npy', make_regressor(make_body()))
    return AmassOptions(kind='smplh', body_dir=str(tmp_path / 'bodies'), regressor=str(tmp_path / 'regressor.npy'))


def convert(options, path):
    return AmassConverter(options)(read_sequence(path, 'smplh'))


@pytest.mark.parametrize('source_fps', [25.0, 59.94, 60.0, 100.0, 120.0, 250.0])
@pytest.mark.parametrize('fps', [30.0, 60.0])
def test_frames_are_taken_by_time_whatever_the_rate(options, tmp_path, source_fps, fps):
    """A body at rest that drifts at a constant speed is a clock."""
    num_frames = int(3 * source_fps)
    path = write_motion(tmp_path / 'x_poses.npz', num_frames, source_fps,
                        **{**STILL, 'poses': np.zeros((num_frames, 156))})
    joints = convert(AmassOptions(**{**vars(options), 'fps': fps}), path)['keypoints_3d']
    last = (num_frames - 1) / source_fps
    assert len(joints) == int(last * fps + 1e-6) + 1
    time = np.arange(len(joints))[:, None] / fps
    place = joint_places()[0] + [0.1, 0.2, 0.9] + time * [0.5, -0.3, 0.02]  # world, metres
    expected = 1000 * np.stack([place[:, 0], -place[:, 2], place[:, 1]], axis=-1)
    np.testing.assert_allclose(joints[:, H36M.root], expected, atol=2e-3)


def test_a_standing_body_has_its_head_up_and_its_right_hip_right(options, tmp_path):
    upright = np.zeros((4, 156))
    upright[:, 0] = np.pi / 2  # SMPL's rest pose has y up, the world z
    path = write_motion(tmp_path / 'x_poses.npz', 4, 30.0, **{**STILL, 'poses': upright})
    joints = dict(zip(H36M.joints, convert(options, path)['keypoints_3d'][0]))
    assert joints['head'][1] < joints['thorax'][1] < joints['root'][1] < joints['left_ankle'][1]  # y points down
    # The body faces -y of the world, which is towards this camera: its left is right in the image.
    assert joints['left_hip'][0] - joints['right_hip'][0] == pytest.approx(140, abs=1)


def test_rotations_come_in_camera_axes_and_smpl_order(options, tmp_path):
    path = write_motion(tmp_path / 'x_poses.npz', 7, 30.0)
    pose = convert(AmassOptions(**{**vars(options), 'with_pose': True}), path)['smpl_pose']
    source = make_motion(7, 30.0)['poses'].reshape(7, NUM_JOINTS, 3)
    assert pose.shape == (7, 24, 3)
    np.testing.assert_allclose(pose[:, 1:], source[:, [*range(1, 22), 22, 37]], atol=1e-5)
    np.testing.assert_allclose(axis_angle_to_matrix(pose[:, 0].astype(np.float64)),
                               WORLD_TO_CAMERA @ axis_angle_to_matrix(source[:, 0]), atol=1e-6)


def test_every_other_frame_of_twice_the_rate_is_the_same_motion(options, tmp_path):
    fast, slow = (convert(options, write_motion(tmp_path / f'{fps}_poses.npz', int(fps), fps))['keypoints_3d']
                  for fps in (120.0, 60.0))
    np.testing.assert_allclose(fast[:len(slow)], slow, atol=2e-3)


def test_soft_tissue_moves_the_joints(options, tmp_path):
    write_body(tmp_path / 'dmpls', eigvec=np.full((208, 3, 10), 0.001))
    path, soft = write_motion(tmp_path / 'x_poses.npz', 5, 30.0), {**vars(options), 'dmpl_dir': str(tmp_path / 'dmpls')}
    motion = make_motion(5, 30.0)
    shift = np.linalg.norm(convert(AmassOptions(**soft), path)['keypoints_3d'] - convert(options, path)['keypoints_3d'],
                           axis=-1)
    np.testing.assert_allclose(shift, np.abs(motion['dmpls'].sum(-1))[:, None] * np.sqrt(3) * np.ones(17), rtol=1e-3)
    hard = write_motion(tmp_path / 'hard_poses.npz', 5, 30.0, dmpls=None)
    with pytest.raises(ValueError, match='has no 8 dmpls; convert without --dmpls'):
        convert(AmassOptions(**soft), hard)


@pytest.mark.parametrize('gender', ['male', b'male', "b'male'", 'Male', np.array(['male', 'male']),
                                    np.array([b'male'])])
def test_genders_of_all_spellings(tmp_path, gender):
    path = write_motion(tmp_path / 'x_poses.npz', gender=np.array(gender))
    assert read_sequence(path, 'smplh').gender == 'male'


def test_known_wrong_rates_are_put_right(tmp_path):
    for part, rate in RATE_FIXES.items():
        assert read_sequence(write_motion(tmp_path / part / 'x_poses.npz', fps=120.0), 'smplh').fps == rate


def test_names_of_the_newer_release(tmp_path):
    path = write_motion(tmp_path / 'x_stageii.npz', 6, mocap_framerate=None, mocap_frame_rate=np.array(100.0),
                        poses=np.zeros((6, 165)))
    sequence = read_sequence(path, 'smplx')
    assert sequence.fps == 100.0 and sequence.pose.shape == (6, 55, 3)


def bad_frame(name):
    values = make_motion(40, 120.0)[name]
    values[7] = np.nan
    return {name: values}


@pytest.mark.parametrize('changes, message', [
    (dict(trans=None), 'lacks trans; it holds'),
    (dict(poses=np.zeros((40, 72))), r'poses has shape \(40, 72\) and trans \(40, 3\), expected \(F, 156\)'),
    (dict(poses=np.zeros((0, 156)), trans=np.zeros((0, 3))), r'poses has shape \(0, 156\)'),
    (dict(trans=np.zeros((39, 3))), r'trans \(39, 3\)'),
    (dict(dmpls=np.zeros((39, 8))), r'dmpls has shape \(39, 8\)'),
    (bad_frame('poses'), 'poses holds NaN or infinity, first in row 7'),
    (bad_frame('trans'), 'trans holds NaN or infinity, first in row 7'),
    (dict(gender=np.array('unknown')), 'gender is .*unknown.*, expected one of male, female, neutral'),
    (dict(gender=np.array([{}])), 'it holds Python objects'),
    (dict(mocap_framerate=None), 'frame rate is missing'),
    (dict(mocap_framerate=np.array('fast')), 'mocap_framerate has dtype <U4, expected numbers'),
    (dict(mocap_framerate=np.array(0.0)), r'frame rate is \[0.0\]'),
])
def test_bad_motions_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=f'x_poses.npz.*{message}'):
        read_sequence(write_motion(tmp_path / 'x_poses.npz', **changes), 'smplh')


@pytest.mark.parametrize('damage', [lambda data: data[:len(data) // 2], lambda data: b'', lambda data: b'nonsense',
                                    lambda data: data[:500] + bytes(200) + data[700:]])
def test_torn_motions_are_refused(tmp_path, damage):
    path = write_motion(tmp_path / 'x_poses.npz')
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match='x_poses.npz: truncated or no .npz'):
        read_sequence(path, 'smplh')


def test_only_motions_of_the_body_are_found(tmp_path):
    for name in ('ACCAD/s 1/B14 -  Walk  t2_poses.npz', 'ACCAD/s 1/shape.npz', 'KIT/3/neutral_stagei.npz',
                 'KIT/3/walk_stageii.npz', 'CMU.tar.bz2', 'LICENSE.txt', 'ACCAD/._B14_poses.npz'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found, skipped = find_sequences(tmp_path, 'smplh')
    assert list(found) == ['ACCAD/s 1/B14 -  Walk  t2_poses']
    assert skipped == {'shape files': 2, 'motions of another body model (*_stageii.npz)': 1,
                       'archives that are not unpacked': 1, 'other files': 2}
    with pytest.raises(FileNotFoundError, match=r'holds no \*_poses.npz, but 1 shape files, 1 motions of another body'):
        find_sequences(tmp_path / 'KIT', 'smplh')
    with pytest.raises(FileNotFoundError, match='none is not a folder'):
        find_sequences(tmp_path / 'none', 'smplh')


def test_a_folder_without_bodies_is_refused_at_once(options, tmp_path):
    with pytest.raises(FileNotFoundError, match="no smplh body of gender 'male' or 'female' or 'neutral'"):
        AmassConverter(AmassOptions(**{**vars(options), 'body_dir': str(tmp_path / 'none')}))
