import numpy as np
import pytest

from motionbert_mm.datasets.human36m_cameras import studio_camera
from motionbert_mm.datasets.human36m_videopose3d import CAMERAS, VideoPose3DFiles
from motionbert_mm.geometry.bones import bone_lengths
from motionbert_mm.structures.skeleton import get_skeleton
from tests import h36m_files as files

LIMBS = get_skeleton('h36m').limbs


def test_sequences_are_seen_by_every_camera(tmp_path):
    source = VideoPose3DFiles(files.write_videopose3d(tmp_path))
    sequences = [source.read('test', key) for key in source.keys('test')]
    assert [entry.name for entry in sequences] == [f'S9/{action}.{camera}' for action in ('Greeting 1', 'WalkDog')
                                                   for camera in CAMERAS]
    assert {entry.action for entry in sequences} == {'Greeting', 'WalkDog'}
    assert [entry.image_size for entry in sequences[:4]] == [(1000, 1002), (1000, 1000), (1000, 1000), (1000, 1002)]
    assert {entry.subject for entry in (source.read('train', key) for key in source.keys('train'))} == {'S1'}


def test_poses_come_to_the_camera_in_millimetres(tmp_path):
    source = VideoPose3DFiles(files.write_videopose3d(tmp_path))
    world = files.world_motion(9, len('Greeting 1'))
    for number, key in enumerate(source.keys('test')[:4]):
        sequence, camera = source.read('test', key), studio_camera('S9', CAMERAS[number])
        points = sequence.arrays['keypoints_3d']
        np.testing.assert_allclose(bone_lengths(points, LIMBS), bone_lengths(world, LIMBS), rtol=1e-4)
        # The quaternion as a rotation matrix, written out.
        w, x, y, z = camera.orientation
        matrix = np.array([[1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                           [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                           [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]])
        np.testing.assert_allclose(points, (world - camera.translation) @ matrix, atol=0.01)
        assert sequence.intrinsics == camera.intrinsics


def test_projections_bend_as_the_lens_does(tmp_path):
    source = VideoPose3DFiles(files.write_videopose3d(tmp_path))
    sequence = source.read('test', source.keys('test')[0])
    camera = studio_camera('S9', CAMERAS[0])
    x, y = (sequence.arrays['keypoints_3d'][..., :2] / sequence.arrays['keypoints_3d'][..., 2:]).transpose(2, 0, 1)
    k1, k2, k3, p1, p2 = camera.distortion
    square = x * x + y * y
    stretch = 1 + k1 * square + k2 * square ** 2 + k3 * square ** 3 + p1 * x + p2 * y
    fx, fy, cx, cy = camera.intrinsics
    expected = np.stack([fx * (x * stretch + p1 * square) + cx, fy * (y * stretch + p2 * square) + cy], axis=-1)
    np.testing.assert_allclose(sequence.arrays['keypoints_2d'], expected, atol=1e-2)


def walk_dog(tmp_path, layout, camera=0, num_joints=17, role='detected'):
    """The arrays of one sequence with 2D joints of a layout."""
    path = files.write_keypoints(tmp_path, layout, files.videopose3d_keypoints(num_joints), files.METADATA[layout])
    source = VideoPose3DFiles(files.write_videopose3d(tmp_path), **{role: path})
    assert source.notes() == []
    return source.read('test', ('S9', 'WalkDog', camera)).arrays


def test_detections_belong_to_sequence_camera_and_joint(tmp_path):
    arrays = walk_dog(tmp_path, 'h36m', camera=2)
    np.testing.assert_array_equal(arrays['detected_2d'][..., 0], np.tile(200 + np.arange(17), (12, 1)))
    np.testing.assert_array_equal(arrays['detected_2d'][:, 5, 1], np.arange(12))
    assert (arrays['detected_confidence'] == np.ones((12, 17))).all()


def test_given_projections_replace_computed_ones(tmp_path):
    arrays = walk_dog(tmp_path, 'h36m', camera=1, role='exact')
    np.testing.assert_array_equal(arrays['keypoints_2d'][0, :, 0], 100 + np.arange(17))
    assert 'detected_2d' not in arrays


def test_longer_detections_are_truncated_and_noted(tmp_path):
    keypoints = files.videopose3d_keypoints(surplus=3)
    keypoints['S2'] = {'Walking': []}
    path = files.write_keypoints(tmp_path, 'cpn_ft_h36m_dbb', keypoints, files.METADATA['h36m'])
    source = VideoPose3DFiles(files.write_videopose3d(tmp_path), detected=path)
    for key in source.keys('test'):
        arrays = source.read('test', key).arrays
        assert len(arrays['detected_2d']) == len(arrays['keypoints_3d'])
    unused, surplus = source.notes()
    assert 'no 3D for S2/Walking; left out' in unused
    assert '24 frames after the last 3D frame of 8 sequences left out' in surplus


def test_stacked_hourglass_has_no_nose(tmp_path):
    arrays = walk_dog(tmp_path, 'mpii', num_joints=16)
    # MPII: right ankle, knee, hip, left hip, knee, ankle, pelvis, thorax (here spine), neck (here thorax), head, ...
    order = [6, 2, 1, 0, 3, 4, 5, 7, 8, None, 9, 13, 14, 15, 12, 11, 10]
    for joint, row in enumerate(order):
        if row is not None:
            assert (arrays['detected_2d'][:, joint, 0] == row).all()
        assert (arrays['detected_confidence'][:, joint] == (row is not None)).all()


def test_coco_detections_are_converted(tmp_path):
    arrays = walk_dog(tmp_path, 'coco')
    assert arrays['detected_2d'][0, :, 0].tolist()[:4] == [11.5, 12, 14, 16]


def change(tree, subject, action, values):
    return {**tree, subject: {**tree[subject], action: values}}


POSITIONS, KEYPOINTS, METADATA = files.videopose3d_positions(), files.videopose3d_keypoints(), files.METADATA['h36m']


@pytest.mark.parametrize('positions, keypoints, metadata, message', [
    ({'S2': {}}, None, None, r"positions_3d has subjects \['S2'\]"),
    ([], None, None, 'positions_3d is ndarray, expected a dict'),
    (change(POSITIONS, 'S9', 'WalkDog', np.zeros((12, 17, 3))), None, None, r'S9/WalkDog has shape \(12, 17, 3\)'),
    (change(POSITIONS, 'S9', 'WalkDog', POSITIONS['S9']['WalkDog'] * 1000), None, None, 'S9/WalkDog: a pose extends'),
    (change(POSITIONS, 'S9', 'WalkDog', POSITIONS['S9']['WalkDog'] * np.nan), None, None, 'S9/WalkDog is empty, or'),
    (change(POSITIONS, 'S9', 'WalkDog', POSITIONS['S9']['WalkDog'][:0]), None, None, 'S9/WalkDog is empty, or'),
    (change(POSITIONS, 'S9', 'Juggling', POSITIONS['S9']['WalkDog']), None, None, "unknown action 'Juggling'"),
    (POSITIONS, {'S9': {}}, METADATA, 'positions_2d has no S9/Greeting 1, which has 3D positions'),
    (POSITIONS, {'S9': [1]}, METADATA, r"positions_2d\['S9'\] is list, expected a dict"),
    (POSITIONS, change(KEYPOINTS, 'S9', 'WalkDog', [np.full((12, 17, 2), 0.5)] * 4), METADATA,
     'S9/WalkDog.54138969: all coordinates lie between 0.5 and 0.5, so they look normalised'),
    (POSITIONS, change(KEYPOINTS, 'S9', 'WalkDog', [np.zeros((12, 17, 2))] * 3), METADATA, 'S9/WalkDog has 3 views'),
    (POSITIONS, change(KEYPOINTS, 'S9', 'WalkDog', [np.full((11, 17, 2), 9.0)] * 4), METADATA,
     'S9/WalkDog has 11 frames for camera 54138969, .* has 12'),
    (POSITIONS, change(KEYPOINTS, 'S9', 'WalkDog', [np.zeros((12, 16, 2))] * 4), METADATA,
     r'S9/WalkDog.54138969 has shape \(12, 16, 2\)'),
    (POSITIONS, KEYPOINTS, dict(num_joints=20, keypoints_symmetry=[[1], [2]]), 'no known joint order has 20 joints'),
    (POSITIONS, KEYPOINTS, dict(num_joints=17), 'expected num_joints and keypoints_symmetry'),
])
def test_wrong_files_are_named(tmp_path, positions, keypoints, metadata, message):
    detected = None
    if keypoints is not None:
        detected = files.write_keypoints(tmp_path, 'cpn', keypoints, metadata)
    with pytest.raises(ValueError, match=rf'data_[23]d_h36m.*{message}'):
        source = VideoPose3DFiles(files.write_videopose3d(tmp_path, positions), detected=detected)
        for key in source.keys('test'):
            source.read('test', key)


def test_missing_keys_are_named(tmp_path):
    np.savez(tmp_path / 'other.npz', poses=np.zeros(3))
    with pytest.raises(ValueError, match=r"other.npz lacks positions_3d; it holds \['poses'\]"):
        VideoPose3DFiles(tmp_path / 'other.npz')
