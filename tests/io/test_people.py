import json

import numpy as np
import pytest

from motionbert_mm.io.keypoint_json import NobodySeenError
from motionbert_mm.io.people import find_videos, read_people, read_persons
from tests.io.body import walk_2d
from tests.io.openpose import write_openpose


def alphapose(points, frames=None, track=None):
    frames = range(len(points)) if frames is None else frames
    rows = np.concatenate([points, np.full((*points.shape[:2], 1), 0.9)], -1).reshape(len(points), -1)
    return [dict(image_id=f'{frame}.jpg', category_id=1, keypoints=row.tolist(), score=2.0, box=[1.0, 2.0, 3.0, 4.0],
                 **({} if track is None else {'idx': track})) for frame, row in zip(frames, rows)]


def write_json(path, items):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(items))
    return path


def test_every_person_of_a_tracked_file_becomes_a_track(tmp_path):
    points = walk_2d('halpe26', 20)
    items = alphapose(points, track=[[4.0]]) + alphapose(points[:10] + 90, range(5, 15), track=7)
    people = read_people(write_json(tmp_path / 'a.json', items), skeleton='halpe26')
    assert [track.track_id for track in people.tracks] == [4, 7] and not people.is_linked
    np.testing.assert_allclose(people.tracks[1].keypoints, points[:10] + 90, rtol=1e-6)
    np.testing.assert_array_equal(people.tracks[1].frame_ids, np.arange(5, 15))


def test_short_gaps_are_filled_and_long_ones_part_the_track(tmp_path):
    points = walk_2d('coco17', 40)
    frames = [frame for frame in range(40) if frame not in (5, 6, 7, *range(20, 24))]
    path = write_json(tmp_path / 'a.json', alphapose(points[frames], frames, track=1))
    people = read_people(path, skeleton='coco17', max_gap=3)
    assert [(track.frame_ids[0], len(track.frame_ids)) for track in people.tracks] == [(0, 20), (24, 16)]
    first = people.tracks[0]
    np.testing.assert_array_equal(np.flatnonzero((first.confidence == 0).all(-1)), [5, 6, 7])
    np.testing.assert_allclose(first.keypoints[6], points[[4, 8]].mean(0), rtol=1e-5)
    assert len(read_people(path, skeleton='coco17', max_gap=4).tracks) == 1


def test_short_and_sparse_tracks_are_left_out_and_counted(tmp_path):
    points = walk_2d('coco17', 40)
    items = alphapose(points, track=1) + alphapose(points[:9], range(9), track=2)
    items += alphapose(points[::4], range(0, 40, 4), track=3)
    items += alphapose(points[:2], range(2))  # no identity
    people = read_people(write_json(tmp_path / 'a.json', items), skeleton='coco17', max_gap=5, min_frames=10)
    assert [track.track_id for track in people.tracks] == [1]
    assert people.dropped == {'shorter than 10 frames': 1, 'seen in less than 50% of the frames': 1,
                              'detections without a track id': 2}


def test_people_of_openpose_are_linked(tmp_path):
    left, right = walk_2d('body25', 30), walk_2d('body25', 30) + [350, 0]
    right[12:15] = np.nan
    people = read_people(write_openpose(tmp_path / 'video', [left, right]), skeleton='body25')
    assert people.is_linked and [track.track_id for track in people.tracks] == [0, 1]
    np.testing.assert_allclose(people.tracks[0].keypoints, left, atol=1e-3)
    assert (people.tracks[1].confidence[12:15] == 0).all() and (people.tracks[1].confidence > 0).sum() == 27 * 25


def test_sampled_videos_count_in_images(tmp_path):
    points = walk_2d('coco17', 20)
    frames = [frame for frame in range(20) if frame not in (8, 9)]
    path = write_json(tmp_path / 'a.json', alphapose(points[frames], [5 * frame for frame in frames], track=1))
    people = read_people(path, skeleton='coco17', max_gap=2)
    assert people.step == 5 and len(people.tracks) == 1 and len(people.tracks[0].keypoints) == 20
    assert len(read_people(path, skeleton='coco17', max_gap=1).tracks) == 2


def test_the_order_is_judged_for_all_people_together(tmp_path):
    walker = walk_2d('coco17', 30)
    acrobat = 2000 - walker[:8]  # on their hands
    path = write_json(tmp_path / 'a.json', alphapose(walker, track=1) + alphapose(acrobat, track=2))
    assert len(read_people(path, skeleton='coco17').tracks) == 2
    path = write_json(tmp_path / 'b.json', alphapose(walk_2d('h36m', 30), track=1))
    with pytest.raises(ValueError, match='do not look like coco17 order.*look like h36m'):
        read_people(path, skeleton='coco17')
    assert len(read_people(path, skeleton='coco17', trust_order=True).tracks) == 1


def test_nan_is_a_missing_joint(tmp_path):
    points = walk_2d('coco17', 10)
    items = alphapose(points, track=1)
    items[7]['keypoints'][3 * 5] = float('nan')
    track = read_people(write_json(tmp_path / 'a.json', items), skeleton='coco17').tracks[0]
    np.testing.assert_allclose(track.keypoints[7, 5], points[[6, 8], 5].mean(0), rtol=1e-5)
    assert np.argwhere(track.confidence == 0).tolist() == [[7, 5]]


def test_an_array_holds_one_person(tmp_path):
    points = walk_2d('coco17', 40)
    confidence = np.full((40, 17), 0.7)
    confidence[[0, 8]] = confidence[20:30] = 0
    np.savez(tmp_path / 'a.npz', keypoints=points, confidence=confidence, frame_ids=np.arange(100, 140))
    people = read_people(tmp_path / 'a.npz', skeleton='coco17', max_gap=5)
    assert [(track.track_id, track.frame_ids[0], len(track.frame_ids)) for track in people.tracks] == [
        (0, 101, 19), (0, 130, 10)] and not people.is_linked
    np.testing.assert_array_equal(np.flatnonzero((people.tracks[0].confidence == 0).all(-1)), [7])
    np.testing.assert_allclose(people.tracks[0].keypoints[:7], points[1:8], rtol=1e-6)
    np.testing.assert_allclose(people.tracks[0].keypoints[7], points[[7, 9]].mean(0), rtol=1e-5)


@pytest.mark.parametrize('arrays, error, message', [
    (dict(keypoints=np.zeros((9, 17, 3))), NobodySeenError, 'every joint has confidence 0'),
    (dict(keypoints=walk_2d('coco17', 9), frame_ids=np.zeros(9)), ValueError, 'frame_ids do not rise'),
    (dict(keypoints=walk_2d('h36m', 30)), ValueError, 'do not look like coco17 order'),
    (dict(keypoints=walk_2d('halpe26', 9)), ValueError, '26 joints per frame'),
])
def test_bad_arrays_are_refused(tmp_path, arrays, error, message):
    np.savez(tmp_path / 'a.npz', **arrays)
    with pytest.raises(error, match=message):
        read_people(tmp_path / 'a.npz', skeleton='coco17')


def test_the_skeleton_of_an_array_is_not_guessed(tmp_path):
    np.save(tmp_path / 'a.npy', walk_2d('coco17', 9))
    with pytest.raises(ValueError, match='the skeleton cannot be guessed; name it .*coco17'):
        read_people(tmp_path / 'a.npy')


def test_infinity_is_named_by_the_number_of_its_image(tmp_path):
    items = alphapose(walk_2d('coco17', 10), range(100, 110), track=1)
    items[7]['keypoints'][3 * 5] = float('inf')
    with pytest.raises(ValueError, match=r'first in frame 107, joint 5 \(left_shoulder\)'):
        read_people(write_json(tmp_path / 'a.json', items), skeleton='coco17')


def test_videos_are_found_at_any_depth(tmp_path):
    points = walk_2d('body25', 1)
    write_openpose(tmp_path / 'jump' / 'take 1', [points])
    write_json(tmp_path / 'jump' / 'take2.json', alphapose(points))
    write_json(tmp_path / 'run' / 'one' / 'alphapose-results.json', alphapose(points))
    (tmp_path / 'run' / '.hidden.json').write_text('')
    (tmp_path / 'run' / 'log.txt').write_text('')
    found = find_videos(tmp_path)
    assert {name: path.relative_to(tmp_path).as_posix() for name, path in found.items()} == {
        'jump/take 1': 'jump/take 1', 'jump/take2': 'jump/take2.json', 'run/one': 'run/one/alphapose-results.json'}


def test_arrays_are_found_where_they_are_wanted(tmp_path):
    write_json(tmp_path / 'a.json', [])
    np.save(tmp_path / 'b.npy', np.zeros(3))
    (tmp_path / 'in').mkdir()
    np.savez(tmp_path / 'in' / 'c.npz', keypoints=np.zeros(3))
    assert list(find_videos(tmp_path)) == ['a'] and list(find_videos(tmp_path, with_arrays=True)) == ['a', 'b', 'in/c']


def test_one_video_takes_the_name_of_its_folder_or_file(tmp_path):
    folder = write_openpose(tmp_path / 'dance', [walk_2d('body25', 1)])
    assert find_videos(folder) == {'dance': folder}
    path = write_json(tmp_path / 'walk' / 'alphapose-results.json', [])
    assert find_videos(path.parent) == {'walk': path}
    assert find_videos(path) == {'alphapose-results': path}


def test_missing_empty_and_ambiguous_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere: no such'):
        find_videos(tmp_path / 'nowhere')
    with pytest.raises(FileNotFoundError, match='no JSON file; expected results of AlphaPose'):
        find_videos(tmp_path)
    write_json(tmp_path / 'a.json', [])
    write_json(tmp_path / 'a' / 'alphapose-results.json', [])
    with pytest.raises(ValueError, match="both named 'a'"):
        find_videos(tmp_path)


def test_the_stays_of_a_person_come_as_one_track_and_the_one_seen_most_first(tmp_path):
    points = walk_2d('coco17', 60)
    frames = [*range(10), *range(40, 60)]
    items = alphapose(points[frames], frames, track=7) + alphapose(points[:40] + 90, range(15, 55), track='b')
    path = write_json(tmp_path / 'a.json', items)
    people, notes = read_persons(path)
    assert [track.track_id for track in people.tracks] == ['b', 7] and notes == ('took the joints for coco17',)
    track = people.tracks[1]
    np.testing.assert_array_equal(track.frame_ids, np.arange(60))
    np.testing.assert_array_equal(np.flatnonzero((track.confidence == 0).all(-1)), np.arange(10, 40))
    np.testing.assert_allclose(track.keypoints[frames], points[frames], rtol=1e-6)
    assert not track.keypoints[10:40].any()
    assert [track.track_id for track in read_persons(path, track='7')[0].tracks] == [7]
    with pytest.raises(ValueError, match=r'no track 8; tracks here: b \(40 frames\), 7 \(30 frames\)'):
        read_persons(path, track=8)


def test_somebody_alone_without_identity_is_one_person(tmp_path):
    points = walk_2d('coco17', 60)
    points[50:] += 400  # farther than anybody moves between images
    frames = [*range(10), *range(40, 60)]
    people, _ = read_persons(write_json(tmp_path / 'a.json', alphapose(points[frames], frames)), skeleton='coco17')
    assert [len(track.keypoints) for track in people.tracks] == [60] and not people.is_linked
    assert people.tracks[0].track_id == 0


def test_an_array_is_one_person(tmp_path):
    points = walk_2d('coco17', 40)
    points[5:30] = np.nan
    np.savez(tmp_path / 'a.npz', keypoints=points, frame_ids=np.arange(100, 180, 2))
    people, notes = read_persons(tmp_path / 'a.npz', skeleton='coco17')
    assert people.step == 2 and 'images are numbered in steps of 2' in notes[0]
    np.testing.assert_array_equal(people.tracks[0].frame_ids, np.arange(100, 180, 2))
    np.testing.assert_array_equal((people.tracks[0].confidence == 0).all(-1), np.isnan(points[:, 0, 0]))


def test_what_is_left_out_is_noted(tmp_path):
    points = walk_2d('coco17', 20)
    unseen = alphapose(points, track=2)
    for item in unseen:
        item['keypoints'][2::3] = [0.0] * 17
    path = write_json(tmp_path / 'a.json', alphapose(points, track=1) + unseen + alphapose(points[::4], range(0, 20, 4),
                                                                                           track=3))
    people, notes = read_persons(path, skeleton='coco17')
    assert [track.track_id for track in people.tracks] == [1]
    assert notes == ('left out 1, never seen: confidence 0 in all frames',
                     'left out 1, seen in less than 50% of the frames')


def test_nobody_who_can_be_followed_is_an_error(tmp_path):
    points = walk_2d('coco17', 40)
    path = write_json(tmp_path / 'a.json', alphapose(points[[0, 13, 27, 39]], [0, 13, 27, 39], track=1) +
                      alphapose(points[[20]], [20]))
    with pytest.raises(NobodySeenError, match=r'a\.json: nobody can be followed \(1 detections without a track id, '
                                              r'1 seen in less than 50% of the frames\)'):
        read_persons(path, skeleton='coco17')
