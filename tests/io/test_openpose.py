import json

import numpy as np
import pytest

from motionbert_mm.io import read_keypoints
from motionbert_mm.io.openpose import is_openpose_folder, read_openpose
from tests.io.body import walk_2d
from tests.io.openpose import person_json, write_openpose


@pytest.mark.parametrize('name', ['body25', 'coco18'])
def test_the_pose_model_follows_from_the_number_of_joints(tmp_path, name):
    points = walk_2d(name, 12)
    track = read_keypoints(write_openpose(tmp_path / 'video', [points]))
    np.testing.assert_allclose(track.keypoints, points, atol=1e-3)
    assert track.skeleton == name and (track.confidence == np.float32(0.8)).all() and track.track_id is None
    assert track.notes == (f'took the {points.shape[1]} joints for {name}',)


def test_frames_without_people_are_filled_in(tmp_path):
    points = walk_2d('body25', 12)
    points[4:6] = np.nan
    track = read_keypoints(write_openpose(tmp_path / 'video', [points], range(100, 112)))
    np.testing.assert_array_equal(track.frame_ids, np.arange(100, 112))
    np.testing.assert_allclose(track.keypoints[4], points[3] * 2 / 3 + points[6] / 3, atol=1e-3)
    assert (track.confidence[4:6] == 0).all() and (track.confidence[[3, 6]] > 0).all()


def test_missing_joints_keep_confidence_zero(tmp_path):
    points = walk_2d('body25', 12)
    points[5, 4] = np.nan
    track = read_keypoints(write_openpose(tmp_path / 'video', [points]))
    assert track.confidence[5, 4] == 0 and (track.confidence == 0).sum() == 1
    np.testing.assert_allclose(track.keypoints[5, 4], points[[4, 6], 4].mean(0), atol=1e-3)


def test_people_are_linked_and_the_longest_is_taken(tmp_path):
    left, right = walk_2d('body25', 20), walk_2d('body25', 20) + [350, 0]
    right[:6] = np.nan
    track = read_keypoints(write_openpose(tmp_path / 'video', [right, left]))
    np.testing.assert_allclose(track.keypoints, left, atol=1e-3)
    assert 'linked them over time' in track.notes[0] and 'took track 0, the longest' in track.notes[1]
    other = read_keypoints(tmp_path / 'video', track=1)
    np.testing.assert_allclose(other.keypoints, right[6:], atol=1e-3)


def test_identities_of_openpose_are_used(tmp_path):
    points = walk_2d('body25', 6)
    folder = write_openpose(tmp_path / 'video', [points], person_id=(3,))
    assert {detection.track for detection in read_openpose(folder).detections} == {3}
    write_openpose(tmp_path / 'video', [points], person_id=(-1,))
    assert {detection.track for detection in read_openpose(folder).detections} == {None}


def test_people_with_face_or_hands_alone_are_left_out(tmp_path):
    folder = write_openpose(tmp_path / 'video', [walk_2d('body25', 3)])
    file = folder / 'dance_000000000001_keypoints.json'
    content = json.loads(file.read_text())
    content['people'].append(dict(person_json(walk_2d('body25', 1)[0]), pose_keypoints_2d=[]))
    file.write_text(json.dumps(content))
    assert len(read_openpose(folder).detections) == 3


def test_another_order_of_25_joints_is_refused(tmp_path):
    order = [0, 15, 16, 17, 18, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11, 1, 8, 19, 20, 21, 22, 23, 24]  # BODY_25B
    folder = write_openpose(tmp_path / 'video', [walk_2d('body25', 12)[:, order]])
    with pytest.raises(ValueError, match='do not look like body25 order'):
        read_keypoints(folder)


def test_normalised_coordinates_are_refused(tmp_path):
    with pytest.raises(ValueError, match='look normalised; expected pixels'):
        read_keypoints(write_openpose(tmp_path / 'video', [walk_2d('body25', 3) / 1000]))


def test_frames_of_two_videos_are_refused(tmp_path):
    write_openpose(tmp_path / 'video', [walk_2d('body25', 2)], name='first')
    write_openpose(tmp_path / 'video', [walk_2d('body25', 2)], range(2, 4), name='second')
    with pytest.raises(ValueError, match='first_.* and second_.* belong to different videos'):
        read_keypoints(tmp_path / 'video')
    (tmp_path / 'video' / 'first_1_keypoints.json').write_text('{"people": []}')
    with pytest.raises(ValueError, match='both have frame number 1'):
        read_keypoints(tmp_path / 'video')


@pytest.mark.parametrize('content, message', [
    ('', 'empty, truncated or no JSON'),
    ('{"version": 1.3, "people": [{"pose_key', 'truncated'),
    ('[]', 'no list "people"'),
    ('{"people": null}', 'no list "people"'),
    ('{"people": [{}]}', 'without pose_keypoints_2d'),
    ('{"people": [7]}', 'without pose_keypoints_2d'),
    ('{"people": [{"pose_keypoints_2d": [1, 2]}]}', 'expected 75 numbers'),
    ('{"people": [{"pose_keypoints_2d": ["a", "b", "c"]}]}', 'expected 75 numbers'),
])
def test_a_bad_frame_is_named(tmp_path, content, message):
    folder = write_openpose(tmp_path / 'video', [walk_2d('body25', 3)])
    (folder / 'dance_000000000002_keypoints.json').write_text(content)
    with pytest.raises(ValueError, match=f'dance_000000000002_keypoints.json: .*{message}'):
        read_keypoints(folder)


def test_mixed_pose_models_empty_videos_and_empty_folders_are_refused(tmp_path):
    folder = write_openpose(tmp_path / 'video', [walk_2d('body25', 3)])
    write_openpose(folder, [walk_2d('coco18', 1)], [3])
    with pytest.raises(ValueError, match=r'different numbers of joints \[18, 25\]'):
        read_openpose(folder)
    with pytest.raises(ValueError, match='nobody in any of the 3 frames'):
        read_openpose(write_openpose(tmp_path / 'empty', [walk_2d('body25', 3) * np.nan]))
    with pytest.raises(FileNotFoundError, match='no JSON file'):
        read_openpose(tmp_path)


def test_folders_are_told_by_their_content(tmp_path):
    assert is_openpose_folder(write_openpose(tmp_path / 'video', [walk_2d('body25', 1)]))
    (tmp_path / 'torn').mkdir()
    (tmp_path / 'torn' / 'a_0_keypoints.json').write_text('{')
    assert is_openpose_folder(tmp_path / 'torn')
    (tmp_path / 'results').mkdir()
    (tmp_path / 'results' / 'dance_keypoints.json').write_text('[{"image_id": "1.jpg"}]')
    assert not is_openpose_folder(tmp_path / 'results') and not is_openpose_folder(tmp_path)
