import json
import sys

import numpy as np
import pytest

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.datasets.posetrack18 import TrackFilter, read_tracks
from motionbert_mm.structures.skeleton import get_skeleton
from tests.generated import load_tool
from tests.track_files import POSETRACK_JOINTS, make_track, posetrack_content, write_posetrack

HIP = POSETRACK_JOINTS.index('left_hip')


@pytest.fixture
def convert(monkeypatch, tmp_path):
    tool = load_tool('dataset_converters/posetrack18.py')

    def run(*options):
        monkeypatch.setattr(sys, 'argv', ['posetrack18.py', str(tmp_path / 'train'), str(tmp_path / 'store'), *options])
        tool.main()
        return MotionStore(tmp_path / 'store')
    return run


def test_tracks_are_read_in_order_of_the_images(tmp_path):
    tracks = [make_track(5, 0), make_track(3, 1)]
    path = write_posetrack(tmp_path / 'a_train.json', tracks, frames=[range(5), [1, 2, 4]])
    content = json.loads(path.read_text())
    content['annotations'].reverse()  # no file promises an order
    path.write_text(json.dumps(content))
    file = read_tracks(path)
    by_name = {track.name: track for track in file.tracks}
    assert sorted(by_name) == ['a_train#0', 'a_train#1'] and not file.unused
    assert by_name['a_train#1'].frames.tolist() == [1, 2, 4]
    np.testing.assert_array_equal(by_name['a_train#1'].keypoints, tracks[1][..., :2])
    np.testing.assert_array_equal(by_name['a_train#0'].confidence, np.ones((5, 17)))


def test_joints_are_taken_by_name(tmp_path):
    track, order = make_track(4), np.random.default_rng(0).permutation(17)
    path = write_posetrack(tmp_path / 'a.json', [track[:, order]])
    content = json.loads(path.read_text())
    content['categories'][0]['keypoints'] = [POSETRACK_JOINTS[joint] for joint in order]
    path.write_text(json.dumps(content))
    np.testing.assert_array_equal(read_tracks(path).tracks[0].keypoints, track[..., :2])


def test_many_videos_in_one_file_are_told_apart(tmp_path):
    """The files of MMPose: the same track id in two videos is two people."""
    content = posetrack_content([make_track(3, 0)], video='000001')
    other = posetrack_content([make_track(2, 1)], video='000002', first_image=10000020000)
    for image in (*content['images'], *other['images']):
        image.update(width=1280, height=720)
    for key in ('images', 'annotations'):
        content[key] += other[key]
    (tmp_path / 'posetrack18_val.json').write_text(json.dumps(content))
    tracks = read_tracks(tmp_path / 'posetrack18_val.json').tracks
    assert [(track.name, len(track), track.image_size) for track in tracks] == [
        ('posetrack18_val/000001#0', 3, (1280, 720)), ('posetrack18_val/000002#0', 2, (1280, 720))]


@pytest.mark.parametrize('size, expected', [
    (dict(width=640, height=480), (640, 480)), ({}, None), (dict(width=640), None),
    (dict(width=None, height=None), None), (dict(width='640', height='480'), None), (dict(width=0, height=480), None)])
def test_sizes_that_are_none_are_unknown(tmp_path, size, expected):
    content = posetrack_content([make_track(4)])
    for image in content['images']:
        image.update(size)
    (tmp_path / 'a.json').write_text(json.dumps(content))
    assert read_tracks(tmp_path / 'a.json').tracks[0].image_size == expected


def test_annotations_that_say_nothing_are_counted(tmp_path):
    content = posetrack_content([make_track(3)])
    content['annotations'].append(dict(content['annotations'][0], keypoints=[1.0] * 51))
    content['annotations'].append(dict(content['annotations'][0], keypoints=[]))
    content['annotations'][1]['keypoints'][2::3] = [2] * 17  # COCO's mark for visible
    (tmp_path / 'a.json').write_text(json.dumps(content))
    file = read_tracks(tmp_path / 'a.json')
    assert file.unused == {'without keypoints': 1, 'of a track that is in the image already': 1}
    assert (file.tracks[0].confidence == 1).all() and file.tracks[0].keypoints[0, 0, 0] != 1.0


def hidden(track, frame, joints):
    track[frame, joints] = 0
    return track


@pytest.mark.parametrize('track, reason', [
    (make_track(29), 'shorter than 30 frames'),
    (hidden(make_track(30), slice(12), slice(None)), 'at most 60% of the joints visible'),
    (hidden(make_track(40), 17, HIP), 'without a hip in some frame'),
])
def test_official_filter_names_its_reason(tmp_path, track, reason):
    tracks = read_tracks(write_posetrack(tmp_path / 'a.json', [track])).tracks
    assert TrackFilter()(tracks[0]) == ([], {reason: 1})


def test_official_bound_on_visible_joints_is_sharp(tmp_path):
    """306 of 510 joints are too few, 307 are enough; both hips stay visible."""
    track = make_track(30)
    track[:, :6], track[0, 6:10], track[1:21, 6] = 0, 0, 0
    read = read_tracks(write_posetrack(tmp_path / 'a.json', [track])).tracks[0]
    assert read.confidence.sum() == 306 and not TrackFilter()(read)[0]
    track[0, 6] = 1
    read = read_tracks(write_posetrack(tmp_path / 'a.json', [track])).tracks[0]
    assert read.confidence.sum() == 307 and len(TrackFilter()(read)[0]) == 1


def test_gaps_are_joined_as_official_or_cut(convert, tmp_path):
    frames = [*range(31), *range(60, 92), *range(100, 110)]
    write_posetrack(tmp_path / 'train' / 'a.json', [make_track(len(frames))], frames=[frames])
    (tmp_path / 'train' / 'notes.txt').write_text('no annotation')
    (tmp_path / 'train' / 'more.json').mkdir()
    (tmp_path / 'train' / '._a.json').write_bytes(bytes(8))
    assert [(clip.name, clip.length) for clip in convert().clips] == [('a#0', 30)]
    assert [(clip.name, clip.length) for clip in convert('--whole-tracks').clips] == [('a#0', 73)]
    assert [(clip.name, clip.length) for clip in convert('--cut-gaps').clips] == [('a#0@0', 30), ('a#0@60', 30)]
    store = convert('--cut-gaps', '--whole-tracks', '--min-frames', '10')
    assert [(clip.name, clip.length) for clip in store.clips] == [('a#0@0', 31), ('a#0@60', 32), ('a#0@100', 10)]


def test_the_store_is_in_pixels_of_the_file(convert, tmp_path, capsys):
    tracks = [make_track(30, 0, missing=0.0), make_track(20, 1)]
    tracks[0][3, 2] = 0
    write_posetrack(tmp_path / 'train' / '000342_mpii_train.json', tracks)
    store = convert()
    assert (store.skeleton, store.fps, store.clips[0].name) == ('posetrack18', 30.0, '000342_mpii_train#0')
    np.testing.assert_allclose(store.arrays['detected_2d'], tracks[0][..., :2], rtol=1e-6)
    np.testing.assert_array_equal(store.arrays['detected_confidence'], tracks[0][..., 2])
    assert store.info['fps'].startswith('nominal') and store.info['left_out'] == {'tracks shorter than 30 frames': 1}
    assert '1 clips of 2 tracks in 1 files' in capsys.readouterr().out
    pipeline = [dict(type='RandomFlip'), dict(type='NormalizeCoords', inputs='crop_scale'),
                dict(type='ConvertSkeleton', target='h36m'), dict(type='ZeroMissing')]
    batch = MotionDataset(str(store.path), window=dict(num_frames=30), targets=(), pipeline=pipeline)[0]
    assert batch['inputs'].shape == (1, 30, 17, 3)
    assert not batch['inputs'][0, 3, get_skeleton('h36m').index('head')].any()


def test_bad_files_are_named_and_the_others_converted(convert, tmp_path):
    write_posetrack(tmp_path / 'train' / 'a.json', [make_track(30)])
    (tmp_path / 'train' / 'b.json').write_text((tmp_path / 'train' / 'a.json').read_text()[:-100])
    with pytest.raises(SystemExit, match=r'b.json: empty, truncated or no JSON(.|\n)*1 of 2 files failed'):
        convert()
    assert [clip.name for clip in MotionStore(tmp_path / 'store').clips] == ['a#0']


def changed(key, value):
    def change(content):
        content[key] = value
    return change


def drop_joint(content):
    content['categories'][0]['keypoints'].remove('head_bottom')


def forget_image(content):
    del content['images'][1]


def set_annotation(**values):
    def change(content):
        content['annotations'][2].update(values)
    return change


def set_keypoints(values):
    return set_annotation(keypoints=values)


@pytest.mark.parametrize('change, message', [
    (changed('images', None), "has no list 'images'; expected a file of PoseTrack18"),
    (changed('annotations', [1, 2]), "has no list 'annotations'"),
    (changed('categories', []), r'categories\[0\].keypoints are missing; expected nose'),
    (drop_joint, 'keypoints are nose, head_top.*expected nose, upper_neck, head_top'),
    (forget_image, 'annotation 1 has image_id 10003420001 and track_id 0; expected an id of images'),
    (changed('categories', [{'keypoints': 5}]), r'categories\[0\].keypoints are missing'),
    (set_annotation(image_id=[1]), r'annotation 2 has image_id \[1\] and track_id 0'),
    (set_annotation(track_id={}), r'annotation 2 has image_id \d+ and track_id {}; expected'),
    (set_keypoints([1.0] * 50), 'keypoints of annotation 2 are not 51 numbers'),
    (set_keypoints(['x'] * 51), 'keypoints of annotation 2 are not 51 numbers'),
    (set_keypoints([float('nan')] * 51), 'keypoints of annotation 2 hold NaN'),
    (set_keypoints([-1.0] * 51), 'a negative visibility'),
])
def test_other_content_is_refused(tmp_path, change, message):
    content = posetrack_content([make_track(4)])
    change(content)
    (tmp_path / 'a.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f'a.json.*{message}'):
        read_tracks(tmp_path / 'a.json')


def test_nothing_to_convert_is_one_line(convert, tmp_path):
    with pytest.raises(SystemExit, match=r'train holds no \*.json; expected a file of PoseTrack18'):
        convert()
    write_posetrack(tmp_path / 'train' / 'a.json', [make_track(10)])
    with pytest.raises(SystemExit, match='no clip in 1 files; 1 tracks shorter than 30 frames'):
        convert()
    with pytest.raises(SystemExit, match='2'):
        convert('--min-frames', '0')
