import json

import numpy as np
import pytest

from motionbert_mm.io import read_keypoints
from tests.io.body import walk_2d


def save_npz(tmp_path, **arrays):
    np.savez(tmp_path / 'a.npz', **arrays)
    return tmp_path / 'a.npz'


def save_npy(tmp_path, array):
    np.save(tmp_path / 'a.npy', array)
    return tmp_path / 'a.npy'


def test_npy_of_xy_has_full_confidence(tmp_path):
    points = walk_2d('coco17')
    track = read_keypoints(save_npy(tmp_path, points), skeleton='coco17')
    np.testing.assert_array_equal(track.keypoints, points)
    np.testing.assert_array_equal(track.confidence, np.ones((30, 17)))
    np.testing.assert_array_equal(track.frame_ids, np.arange(30))
    assert (track.skeleton, track.track_id, track.notes) == ('coco17', None, ())
    assert track.keypoints.dtype == track.confidence.dtype == np.float32


def test_third_channel_is_the_confidence_clipped_to_one(tmp_path):
    score = np.full((30, 17, 1), 1.2)
    score[3, 4] = 0.25
    track = read_keypoints(save_npy(tmp_path, np.concatenate([walk_2d('coco17'), score], -1)), skeleton='coco17')
    assert track.confidence[3, 4] == 0.25 and track.confidence[0, 0] == 1.0
    assert track.keypoints.shape == (30, 17, 2)


def test_npz_brings_confidence_and_frame_ids(tmp_path):
    path = save_npz(tmp_path, keypoints=walk_2d('h36m'), confidence=np.full((30, 17), 0.5),
                    frame_ids=np.arange(100, 130))
    track = read_keypoints(path)
    assert (track.confidence == 0.5).all() and track.frame_ids[0] == 100
    assert track.skeleton is None


def test_one_frame_is_accepted(tmp_path):
    assert read_keypoints(save_npy(tmp_path, walk_2d('coco17', 1)), skeleton='coco17').keypoints.shape == (1, 17, 2)


@pytest.mark.parametrize('arrays, message', [
    (dict(points=np.zeros((3, 17, 2))), r'no array "keypoints"; it holds \[\'points\'\]'),
    (dict(keypoints=np.zeros((17, 2))), r'\(17, 2\).*add a frame axis'),
    (dict(keypoints=np.zeros((2, 3, 17, 2))), 'choose one person'),
    (dict(keypoints=np.zeros((3, 17, 4))), r'expected numbers of shape \(F, J, 2\)'),
    (dict(keypoints=np.zeros((0, 17, 2))), 'no frames'),
    (dict(keypoints=np.full((3, 17, 2), 'a')), 'dtype'),
    (dict(keypoints=walk_2d('coco17', 3), confidence=np.ones((4, 17))), r'confidence has shape \(4, 17\)'),
    (dict(keypoints=walk_2d('coco17', 3), frame_ids=np.ones(2)), 'frame_ids has shape'),
    (dict(keypoints=walk_2d('coco17', 3), confidence=np.zeros((3, 17))), 'every joint has confidence 0'),
    (dict(keypoints=walk_2d('coco17', 3), confidence=np.full((3, 17), 250.0)), r'from 250 to 250; expected 0\.\.1'),
    (dict(keypoints=walk_2d('coco17', 3) / 500 - 1), 'normalised; expected pixels'),
    (dict(keypoints=np.array([None])), 'Python objects'),
])
def test_bad_arrays_are_refused(tmp_path, arrays, message):
    with pytest.raises(ValueError, match=message) as error:
        read_keypoints(save_npz(tmp_path, **arrays), skeleton='coco17')
    assert 'a.npz' in str(error.value)


def test_first_infinity_is_named_by_frame_and_joint(tmp_path):
    points = walk_2d('coco17')
    points[7, 5, 1] = points[9] = np.inf
    with pytest.raises(ValueError, match=r'first in frame 7, joint 5 \(left_shoulder\), 18 in all'):
        read_keypoints(save_npy(tmp_path, points), skeleton='coco17')


def test_wrong_joint_count_names_fitting_skeletons(tmp_path):
    with pytest.raises(ValueError, match="26 joints per frame, but skeleton 'coco17' has 17.*fit: halpe26"):
        read_keypoints(save_npy(tmp_path, walk_2d('halpe26')), skeleton='coco17')


def test_joint_count_of_no_skeleton_is_said(tmp_path):
    with pytest.raises(ValueError, match='no known skeleton has 5'):
        read_keypoints(save_npy(tmp_path, walk_2d('coco17')[:, :5]), skeleton='coco17')


def test_unknown_skeleton_lists_the_known(tmp_path):
    with pytest.raises(KeyError, match='coco17'):
        read_keypoints(save_npy(tmp_path, walk_2d('coco17')), skeleton='coco')


def test_wrong_order_names_the_skeleton_that_fits(tmp_path):
    path = save_npy(tmp_path, walk_2d('coco17'))
    with pytest.raises(ValueError, match='do not look like h36m order.*they look like coco17.*--trust-order'):
        read_keypoints(path, skeleton='h36m')
    assert read_keypoints(path, skeleton='h36m', trust_order=True).skeleton == 'h36m'


def test_random_order_is_refused(tmp_path):
    order = np.random.default_rng(0).permutation(17)
    with pytest.raises(ValueError, match='do not look like coco17 order'):
        read_keypoints(save_npy(tmp_path, walk_2d('coco17')[:, order]), skeleton='coco17')


@pytest.mark.parametrize('name', ['a.npz', 'a.npy', 'a.json'])
@pytest.mark.parametrize('keep', [0, 100, -20])
def test_truncated_files_are_named(tmp_path, name, keep):
    path = tmp_path / name
    if name == 'a.json':
        path.write_text(json.dumps(alphapose(walk_2d('coco17', 3))))
    else:
        with open(path, 'wb') as file:
            np.savez(file, keypoints=walk_2d('coco17')) if name == 'a.npz' else np.save(file, walk_2d('coco17'))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=f'{name}: .*(truncated|empty)'):
        read_keypoints(path, skeleton='coco17')


def test_missing_file_directory_and_suffix_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.npz: no such file'):
        read_keypoints(tmp_path / 'none.npz')
    with pytest.raises(FileNotFoundError, match='is a directory'):
        read_keypoints(tmp_path)
    (tmp_path / 'a.csv').write_text('1,2')
    with pytest.raises(ValueError, match=r"suffix '\.csv'; expected keypoints as \.npy, \.npz, \.json"):
        read_keypoints(tmp_path / 'a.csv')


def test_track_of_an_array_is_refused(tmp_path):
    with pytest.raises(ValueError, match='arrays hold one person'):
        read_keypoints(save_npy(tmp_path, walk_2d('coco17')), skeleton='coco17', track=1)


def test_missing_joint_is_interpolated_without_confidence(tmp_path):
    points, confidence = walk_2d('coco17'), np.ones((30, 17))
    true = points.copy()
    points[4:6, 9], confidence[4:6, 9] = 0, 0
    track = read_keypoints(save_npz(tmp_path, keypoints=points, confidence=confidence), skeleton='coco17')
    np.testing.assert_allclose(track.keypoints[4, 9], true[3, 9] * 2 / 3 + true[6, 9] / 3, rtol=1e-5)
    assert (track.confidence[4:6, 9] == 0).all()


def test_nan_and_confidence_zero_both_mean_missing(tmp_path):
    points, confidence = walk_2d('coco17'), np.ones((30, 17))
    holes = np.zeros((30, 17), bool)
    holes[4:6, 9] = holes[0, 3] = holes[20] = True
    tracks = []
    for keypoints, certainty in ((np.where(holes[..., None], np.nan, points), confidence),
                                 (points, np.where(holes, np.nan, confidence)),
                                 (points, np.where(holes, 0, confidence)),
                                 (np.where(holes[..., None], 0, points), np.where(holes, 0, confidence))):
        tracks.append(read_keypoints(save_npz(tmp_path, keypoints=keypoints, confidence=certainty), skeleton='coco17'))
    for track in tracks:
        np.testing.assert_array_equal(track.keypoints, tracks[0].keypoints)
        np.testing.assert_array_equal(track.confidence, ~holes)
    np.testing.assert_allclose(tracks[0].keypoints[20], points[[19, 21]].mean(0), rtol=1e-5)
    np.testing.assert_array_equal(tracks[0].keypoints[0, 3], points[1, 3])
    np.testing.assert_array_equal(tracks[0].keypoints[~holes], points[~holes])


def test_a_file_of_nan_alone_is_refused(tmp_path):
    with pytest.raises(ValueError, match='a.npy: every joint has confidence 0 or is NaN in every frame'):
        read_keypoints(save_npy(tmp_path, np.full((3, 17, 2), np.nan)), skeleton='coco17')


def test_joint_that_is_never_seen_is_reported(tmp_path):
    points, confidence = walk_2d('coco17'), np.ones((30, 17))
    points[:, 16], confidence[:, 16] = 0, 0
    track = read_keypoints(save_npz(tmp_path, keypoints=points, confidence=confidence), skeleton='coco17')
    np.testing.assert_allclose(track.keypoints[:, 16], points[:, :16].mean(1), rtol=1e-5)
    assert track.notes == ('never detected: right_ankle',)


def alphapose(points, frames=None, track=None, score=0.9, **extra):
    frames = range(len(points)) if frames is None else frames
    rows = np.concatenate([points, np.full((*points.shape[:2], 1), score)], -1).reshape(len(points), -1)
    return [dict(image_id=f'{frame}.jpg', category_id=1, keypoints=row.tolist(), score=2.0,
                 **({} if track is None else {'idx': track}), **extra) for frame, row in zip(frames, rows)]


def save_json(tmp_path, content):
    (tmp_path / 'a.json').write_text(json.dumps(content))
    return tmp_path / 'a.json'


def test_alphapose_frames_are_ordered_by_number(tmp_path):
    points = walk_2d('halpe26', 12)
    items = sorted(alphapose(points), key=lambda item: item['image_id'])  # '10.jpg' before '2.jpg'
    track = read_keypoints(save_json(tmp_path, items))
    np.testing.assert_allclose(track.keypoints, points, rtol=1e-6)
    assert track.skeleton == 'halpe26' and track.confidence[0, 0] == np.float32(0.9)
    assert track.notes == ('took the 26 joints for halpe26',)


def test_missing_images_are_interpolated_without_confidence(tmp_path):
    points = walk_2d('coco17', 12)
    items = [item for item in alphapose(points, range(5, 17)) if item['image_id'] not in ('8.jpg', '9.jpg')]
    track = read_keypoints(save_json(tmp_path, items), skeleton='coco17')
    np.testing.assert_array_equal(track.frame_ids, np.arange(5, 17))
    np.testing.assert_allclose(track.keypoints[3], points[2] * 2 / 3 + points[5] / 3, rtol=1e-5)
    np.testing.assert_array_equal(track.confidence[:, 0] == 0, np.isin(np.arange(12), [3, 4]))
    assert track.notes == ('2 of 12 frames have no detection and were interpolated with confidence 0; '
                           'the longest gap is 2 frame(s)',)


def test_joint_missing_beside_a_gap_does_not_pull_the_gap_to_zero(tmp_path):
    points = walk_2d('coco17', 12)
    items = [item for item in alphapose(points) if item['image_id'] != '5.jpg']
    items[4]['keypoints'][27:30] = [0, 0, 0]  # left wrist of image 4
    track = read_keypoints(save_json(tmp_path, items), skeleton='coco17')
    np.testing.assert_allclose(track.keypoints[5, 9], points[3, 9] / 3 + points[6, 9] * 2 / 3, rtol=1e-5)


@pytest.mark.parametrize('absent', [float('nan'), None])
def test_nan_and_null_of_a_detector_are_missing_joints(tmp_path, absent):
    points = walk_2d('coco17', 12)
    items = alphapose(points)
    items[4]['keypoints'][27] = absent  # x of the left wrist
    items[7]['keypoints'] = [absent] * 51
    track = read_keypoints(save_json(tmp_path, items), skeleton='coco17')
    np.testing.assert_allclose(track.keypoints[4, 9], points[[3, 5], 9].mean(0), rtol=1e-5)
    np.testing.assert_allclose(track.keypoints[7], points[[6, 8]].mean(0), rtol=1e-5)
    assert track.confidence[4, 9] == 0 and (track.confidence == 0).sum() == 18
    assert '1 of 12 frames have no detection' in track.notes[0]


def test_longest_track_is_chosen_and_said(tmp_path):
    points = walk_2d('coco17', 12)
    items = alphapose(points[:5] + 100, track=[[1.0]]) + alphapose(points, track=[[2.0], [0.5]])
    path = save_json(tmp_path, items)
    track = read_keypoints(path, skeleton='coco17')
    assert track.track_id == 2 and len(track.keypoints) == 12
    assert 'took track 2, the longest' in track.notes[0] and '1 (5 frames)' in track.notes[0]
    other = read_keypoints(path, skeleton='coco17', track=1)
    np.testing.assert_allclose(other.keypoints, points[:5] + 100, rtol=1e-6)
    assert other.notes == ()


def test_unknown_track_lists_the_tracks(tmp_path):
    path = save_json(tmp_path, alphapose(walk_2d('coco17', 4), track=3))
    with pytest.raises(ValueError, match=r'no track 7; tracks here: 3 \(4 frames\)'):
        read_keypoints(path, skeleton='coco17', track=7)


@pytest.mark.parametrize('track', [None, 0, [[0.0]]])
def test_several_persons_without_ids_are_linked(tmp_path, track):
    points = walk_2d('coco17', 12)
    items = alphapose(points[3:8] + [300, 0], range(3, 8), track=track) + alphapose(points, track=track)
    path = save_json(tmp_path, items)
    result = read_keypoints(path, skeleton='coco17')
    np.testing.assert_allclose(result.keypoints, points, rtol=1e-6)
    assert result.notes[0].startswith('several persons without track ids: linked them') and result.track_id == 0
    other = read_keypoints(path, skeleton='coco17', track=1)
    np.testing.assert_allclose(other.keypoints, points[3:8] + [300, 0], rtol=1e-6)


def test_one_person_without_id_is_not_cut_where_the_camera_cuts(tmp_path):
    points = walk_2d('coco17', 12)
    points[6:] += [900, 0]
    track = read_keypoints(save_json(tmp_path, alphapose(points)), skeleton='coco17')
    assert track.track_id is None and track.notes == () and len(track.keypoints) == 12


def test_double_detection_of_a_track_keeps_the_better(tmp_path):
    points = walk_2d('coco17', 4)
    worse = alphapose(points[1:2] + 9, [1], track=1)[0]
    worse['score'] = 0.1
    track = read_keypoints(save_json(tmp_path, [worse, *alphapose(points, track=1)]), skeleton='coco17')
    np.testing.assert_allclose(track.keypoints, points, rtol=1e-6)
    assert 'more than once in 1 image' in track.notes[0]


@pytest.mark.parametrize('count, name', [(136, 'halpe26'), (133, 'coco17')])
def test_whole_body_detectors_give_their_body(tmp_path, count, name):
    body = walk_2d(name, 4)
    points = np.concatenate([body, np.full((4, count - body.shape[1], 2), 480.0)], axis=1)
    track = read_keypoints(save_json(tmp_path, alphapose(points)))
    assert track.skeleton == name
    np.testing.assert_allclose(track.keypoints, body, rtol=1e-6)


def test_sampled_videos_keep_their_step(tmp_path):
    track = read_keypoints(save_json(tmp_path, alphapose(walk_2d('coco17', 6), range(10, 40, 5))), skeleton='coco17')
    np.testing.assert_array_equal(track.frame_ids, [10, 15, 20, 25, 30, 35])
    assert 'steps of 5' in track.notes[0]


def test_images_of_no_video_are_refused(tmp_path):
    items = alphapose(walk_2d('coco17', 4), [139, 285, 632, 58077])
    with pytest.raises(ValueError, match='span 57939 frames, but the person is in only 4'):
        read_keypoints(save_json(tmp_path, items), skeleton='coco17')


@pytest.mark.parametrize('names, message', [
    (['a_1.jpg', 'b_2.jpg'], 'different sequences'),
    (['left.jpg', 'right.jpg'], 'holds no frame number'),
    (['1.jpg', '01.jpg'], 'both have frame number 1'),
])
def test_image_names_must_give_an_order(tmp_path, names, message):
    items = alphapose(walk_2d('coco17', 2))
    for item, name in zip(items, names):
        item['image_id'] = name
    with pytest.raises(ValueError, match=message):
        read_keypoints(save_json(tmp_path, items), skeleton='coco17')


@pytest.mark.parametrize('content, message', [
    ([], 'holds no detection'),
    ({'images': [], 'annotations': []}, 'holds no detection'),
    ({'0.jpg': {'version': 0.1, 'bodies': []}}, r"got an object with keys \['0.jpg'\]"),
    ([{'image_id': '0.jpg'}], 'item 0 lacks image_id or keypoints'),
    ([3], 'item 0 lacks'),
    ([{'image_id': 0, 'keypoints': [1, 2]}], 'has 2 keypoint numbers'),
    ([{'image_id': 0, 'keypoints': None}], 'keypoint'),
    ([{'image_id': 0, 'keypoints': [0] * 51}], 'all keypoints are 0'),
    ([{'image_id': 0, 'keypoints': ['a'] * 51}], 'are not a list of numbers'),
    ([{'image_id': 0, 'keypoints': [1] * 51}, {'image_id': 1, 'keypoints': [1] * 78}], r'numbers of joints \[17, 26\]'),
    ([{'image_id': 0, 'keypoints': [5.0] * 15}], '5 joints per person, so the skeleton cannot be guessed'),
])
def test_bad_json_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as error:
        read_keypoints(save_json(tmp_path, content))
    assert 'a.json' in str(error.value)


def coco(points, frame_ids, **extra):
    rows = np.concatenate([points, np.full((*points.shape[:2], 1), 2)], -1).reshape(len(points), -1)
    images = [dict(id=1000 - frame, file_name=f'x{frame}.jpg', frame_id=int(frame)) for frame in frame_ids]
    return dict(images=images, **extra, annotations=[
        dict(id=index, image_id=image['id'], track_id=4, keypoints=row.tolist())
        for index, (image, row) in enumerate(zip(images, rows))])


def test_coco_style_uses_frame_ids_and_visibility_flags(tmp_path):
    points = walk_2d('coco17', 6)
    content = coco(points, range(3, 9))
    content['annotations'][2]['keypoints'][2] = 0
    track = read_keypoints(save_json(tmp_path, content))
    np.testing.assert_allclose(track.keypoints, points, rtol=1e-6)
    np.testing.assert_array_equal(track.frame_ids, np.arange(3, 9))
    assert track.track_id == 4 and track.confidence[2, 0] == 0 and track.confidence.sum() == 6 * 17 - 1


def test_persons_without_keypoints_are_left_out(tmp_path):
    content = coco(walk_2d('coco17', 3), range(3))
    content['annotations'].append(dict(content['annotations'][1], keypoints=[0] * 51))
    track = read_keypoints(save_json(tmp_path, content))
    assert track.notes == ('took the 17 joints for coco17',) and (track.confidence == 1).all()


def test_list_of_coco_annotations(tmp_path):
    points = walk_2d('coco17', 6)
    annotations = coco(points, range(6))['annotations']
    for index, annotation in enumerate(annotations):
        annotation['image_id'] = index
    np.testing.assert_allclose(read_keypoints(save_json(tmp_path, annotations)).keypoints, points, rtol=1e-6)


def test_joint_names_of_the_categories_restore_the_order(tmp_path):
    from motionbert_mm.structures.skeleton import get_skeleton
    points, order = walk_2d('coco17', 6), np.random.default_rng(0).permutation(17)
    names = [get_skeleton('coco17').joints[index] for index in order]
    content = coco(points[:, order], range(6), categories=[dict(id=1, name='person', keypoints=names)])
    track = read_keypoints(save_json(tmp_path, content))
    np.testing.assert_allclose(track.keypoints, points, rtol=1e-6)
    assert any('order of coco17 by the names' in note for note in track.notes)


def test_annotation_of_an_unlisted_image_is_refused(tmp_path):
    content = coco(walk_2d('coco17', 3), range(3))
    content['annotations'][1]['image_id'] = 77
    with pytest.raises(ValueError, match='image_id 77, which "images" does not list'):
        read_keypoints(save_json(tmp_path, content))
