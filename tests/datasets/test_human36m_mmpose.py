import numpy as np
import pytest

from motionbert_mm.datasets.human36m_cameras import studio_camera
from motionbert_mm.datasets.human36m_mmpose import MMPoseFiles
from motionbert_mm.geometry.coords import image_space_3d
from tests import h36m_files as files


def open_mmpose(folder, options=None, **changes):
    paths = files.write_mmpose(folder, **changes)
    return MMPoseFiles(dict(train=str(paths['train']), test=str(paths['test'])), paths['cameras'], **(options or {}))


def test_sequences_are_found_by_image_name(tmp_path):
    source = open_mmpose(tmp_path)
    for split, videos in files.MMPOSE_VIDEOS.items():
        sequences = [source.read(split, key) for key in source.keys(split)]
        assert [(entry.name, len(entry.arrays['keypoints_3d'])) for entry in sequences] == [
            (f'{subject}_{action}.{camera}', length) for subject, action, camera, length in videos]
        assert [(entry.subject, entry.camera) for entry in sequences] == [video[::2] for video in videos]
    assert [source.read('train', key).action for key in source.keys('train')] == ['Walking', 'Photo']
    assert source.fps == {'train': 10, 'test': 10}


def test_frame_rate_follows_from_the_image_names(tmp_path):
    source = open_mmpose(tmp_path, test=files.mmpose_arrays('test', step=1))
    assert source.fps == {'train': 10, 'test': 50}


def test_arrays_come_in_millimetres_and_pixels(tmp_path):
    source, content = open_mmpose(tmp_path), files.mmpose_arrays('test')
    sequence = source.read('test', 'S11_WalkDog.58860488')
    np.testing.assert_allclose(sequence.arrays['keypoints_3d'], content['S'][8:, :, :3] * 1000, rtol=1e-6)
    np.testing.assert_allclose(sequence.arrays['keypoints_2d'], content['part'][8:, :, :2], rtol=1e-6)
    camera = studio_camera('S11', '58860488')
    np.testing.assert_allclose(sequence.intrinsics, camera.intrinsics)
    assert sequence.image_size == (1000, 1000) and set(sequence.arrays) == {'keypoints_3d', 'keypoints_2d'}


def test_rows_of_a_sequence_may_be_scattered(tmp_path):
    content = files.mmpose_arrays('test')
    order = np.argsort(np.arange(13) % 8, kind='stable')  # the two sequences interleaved
    source = open_mmpose(tmp_path, test={key: values[order] for key, values in content.items()})
    np.testing.assert_allclose(source.read('test', 'S11_WalkDog.58860488').arrays['keypoints_2d'],
                               content['part'][8:, :, :2], rtol=1e-6)


def test_detections_are_rows_of_a_file(tmp_path):
    values = (np.random.default_rng(0).random((13, 17, 3)) * [900, 900, 1]).astype(np.float32)
    np.save(tmp_path / 'detected.npy', values)
    source = open_mmpose(tmp_path, dict(detected=dict(test=str(tmp_path / 'detected.npy'))))
    arrays = source.read('test', 'S11_WalkDog.58860488').arrays
    np.testing.assert_array_equal(arrays['detected_2d'], values[8:, :, :2])
    np.testing.assert_array_equal(arrays['detected_confidence'], values[8:, :, 2])
    assert 'detected_2d' not in source.read('train', 'S1_Walking_1.54138969').arrays


def test_part_with_scores_holds_detections(tmp_path):
    content = files.mmpose_arrays('test')
    part = np.concatenate([content['part'][..., :2] + 3, np.full((13, 17, 1), 0.5)], axis=-1)
    arrays = open_mmpose(tmp_path, test=dict(part=part)).read('test', 'S9_Greeting_1.60457274').arrays
    np.testing.assert_allclose(arrays['detected_2d'], part[:8, :, :2], rtol=1e-6)
    assert (arrays['detected_confidence'] == 0.5).all()
    np.testing.assert_allclose(arrays['keypoints_2d'], content['part'][:8, :, :2], atol=1e-2)


@pytest.mark.parametrize('is_computed', [False, True])
def test_factors_make_the_truth_of_its_label_codec(tmp_path, is_computed):
    camera, points = studio_camera('S11', '58860488'), files.mmpose_arrays('test')['S'][:, :, :3] * 1000
    # The box of 2 m at the depth of the root, and the border pixel.
    factors = (2000 / (2000 * camera.intrinsics[0] / points[:, 0, 2] + 1) if is_computed
               else np.random.default_rng(0).uniform(3, 6, 13))
    np.save(tmp_path / 'factors.npy', factors)
    source = open_mmpose(tmp_path, dict(factors=dict(
        test='computed' if is_computed else str(tmp_path / 'factors.npy'))))
    arrays = source.read('test', 'S11_WalkDog.58860488').arrays
    image = image_space_3d(points[8:], np.array(camera.intrinsics), 0)
    np.testing.assert_allclose(arrays['keypoints_image'], image, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(arrays['image_factor'], factors[8:], rtol=1e-6)
    relative = arrays['keypoints_3d'] - arrays['keypoints_3d'][:, :1]
    np.testing.assert_allclose(relative, (image - image[:, :1]) * factors[8:, None, None], atol=1e-2)


MMPOSE_TEST = files.mmpose_arrays('test')


def renamed(row, name):
    return dict(imgname=np.array([name if number == row else image
                                  for number, image in enumerate(MMPOSE_TEST['imgname'].tolist())]))


@pytest.mark.parametrize('changes, message', [
    (dict(part=np.ones((13, 16, 3))), r'part has shape \(13, 16, 3\).*\(13, 17, 3\)'),
    (dict(S=np.ones((13, 17, 3))), r'S has shape \(13, 17, 3\)'),
    (dict(imgname=np.array('S9')), r'imgname has shape \(\), expected one name for each image'),
    (dict(S=MMPOSE_TEST['S'][:12]), r'S has shape \(12, 17, 4\).*\(13, 17, 4\)'),
    (dict(S=MMPOSE_TEST['S'] * [1, 1, 1, 0]), 'S has joints that are not visible'),
    (dict(S=MMPOSE_TEST['S'] * [1000, 1000, 1000, 1]), 'a pose extends over .* expected metres'),
    ({key: values[:0] for key, values in MMPOSE_TEST.items()}, 'holds no image'),
    (renamed(3, 'walk.jpg'), "imgname 'walk.jpg', expected one like"),
    (renamed(3, 'S9/S9_Greeting_1.60457274/S9_Greeting_1.60457274_000099.jpg'), 'consecutive images must be one'),
    ({key: values[7:9] for key, values in MMPOSE_TEST.items()}, 'found sequences of single images only'),
    (files.mmpose_arrays('train'), 'holds S1, S5, but subjects of the test split are S9, S11'),
])
def test_wrong_annotations_are_named(tmp_path, changes, message):
    with pytest.raises(ValueError, match=f'h36m_test.npz.*{message}'):
        open_mmpose(tmp_path, test=changes)


def test_missing_keys_are_named(tmp_path):
    paths = files.write_mmpose(tmp_path)
    np.savez(paths['test'], imgname=MMPOSE_TEST['imgname'])
    with pytest.raises(ValueError, match='h36m_test.npz lacks part, S'):
        MMPoseFiles(dict(train=str(paths['train']), test=str(paths['test'])), paths['cameras'])


@pytest.mark.parametrize('cameras, message', [
    ({}, r"has no camera \('S9', '60457274'\), which the annotations name"),
    ([1], 'expected a dict of cameras, got list'),
    ({('S9', '60457274'): dict(f=[1, 1], c=[2, 2])}, r"camera \('S9', '60457274'\) cannot be read \(KeyError\('k'\)"),
    ({('S9', '60457274'): dict(f=[1])}, r"camera \('S9', '60457274'\) cannot be read \(ValueError"),
])
def test_wrong_cameras_are_named(tmp_path, cameras, message):
    paths = files.write_mmpose(tmp_path)
    files.write_pickle(paths['cameras'], cameras)
    with pytest.raises(ValueError, match=f'cameras.pkl.*{message}'):
        MMPoseFiles(dict(train=str(paths['train']), test=str(paths['test'])), paths['cameras']).read(
            'test', 'S9_Greeting_1.60457274')


@pytest.mark.parametrize('option, values, message', [
    ('detected', np.zeros((13, 17, 2)), r'extra.npy has shape \(13, 17, 2\)'),
    ('detected', np.zeros((12, 17, 3)), r'extra.npy has shape \(12, 17, 3\)'),
    ('factors', np.ones((13, 1)), r'extra.npy has shape \(13, 1\)'),
    ('factors', np.arange(13.0), 'extra.npy: factors must be positive millimetres per pixel, got a minimum of 0'),
    ('factors', np.array([{}]), 'extra.npy: truncated or no .npy of plain arrays'),
    ('factors', None, 'extra.npy: no such file'),
])
def test_wrong_extra_files_are_named(tmp_path, option, values, message):
    if values is not None:
        np.save(tmp_path / 'extra.npy', values)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        open_mmpose(tmp_path, {option: dict(test=str(tmp_path / 'extra.npy'))})


def test_detections_twice_are_refused(tmp_path):
    np.save(tmp_path / 'detected.npy', np.zeros((13, 17, 3)))
    part = MMPOSE_TEST['part'] * [1, 1, 0.5]
    with pytest.raises(ValueError, match='part has scores other than 1'):
        open_mmpose(tmp_path, dict(detected=dict(test=str(tmp_path / 'detected.npy'))), test=dict(part=part))
