import json
import sys

import numpy as np
import pytest

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.instavariety import read_packed, read_track, visible_parts
from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.datasets.tracks import Track
from motionbert_mm.datasets.windows import sliding_windows
from motionbert_mm.geometry.coords import crop_scale
from tests.generated import load_tool
from tests.track_files import make_track, write_packed, write_track_folder

ABSENT = [7, 10]  # spine and head


@pytest.fixture
def convert(monkeypatch, tmp_path):
    tool = load_tool('dataset_converters/instavariety.py')

    def run(*options):
        monkeypatch.setattr(sys, 'argv', ['instavariety.py', str(tmp_path / 'src'), str(tmp_path / 'store'), *options])
        tool.main()
        return MotionStore(tmp_path / 'store')
    return run


def detected(num_frames, seed=0, missing=0.1):
    """A track with scores, in the joints that the files have."""
    track = make_track(num_frames, seed, missing)
    track[..., 2] *= np.random.default_rng(seed + 100).uniform(0.2, 1, track.shape[:2])
    track[:, 0, 2] = 0.5
    track[:, ABSENT] = 0
    return track


def packed(track):
    """Crop to [-1, 1] and shift by the first root, as the official tool does."""
    points, confidence, _ = crop_scale(track[None, ..., :2], track[None, ..., 2])
    points = points[0] - points[0, :1, :1]
    return np.concatenate([points * (confidence[0] != 0)[..., None], confidence[0, ..., None]], axis=-1)


def test_joints_of_track_folders_are_read_by_name(tmp_path):
    track = detected(6)
    read = read_track(write_track_folder(tmp_path / '3', track, frames=[2, 3, 4, 7, 10, 11]), 'dance/v1/3')
    assert read.name == 'dance/v1/3' and read.frames.tolist() == [2, 3, 4, 7, 10, 11]
    np.testing.assert_array_equal(read.keypoints, track[..., :2])
    np.testing.assert_array_equal(read.confidence, track[..., 2])
    assert not read.confidence[:, ABSENT].any()


def test_scores_are_limited_and_unnamed_joints_missing(tmp_path):
    track = detected(3)
    track[0, 1, 2], track[1, 1, 2] = 1.2, -0.3
    folder = write_track_folder(tmp_path / '3', track)
    content = json.loads((folder / '00000002.json').read_text())
    del content['R Hip']
    (folder / '00000002.json').write_text(json.dumps(content))
    read = read_track(folder, 'x')
    assert read.confidence[:, 1].tolist() == [1.0, 0.0, 0.0] and read.keypoints[2, 1].tolist() == [0.0, 0.0]


def test_every_track_folder_becomes_a_clip(convert, tmp_path):
    tracks = {'dance/v1/0': detected(90, 0), 'dance/v1/1': detected(40, 1), 'yoga/v2/0': detected(81, 2)}
    for name, track in tracks.items():
        write_track_folder(tmp_path / 'src' / name, track)
    for folder in ('yoga/v2/0', 'yoga'):
        (tmp_path / 'src' / folder / '._0.json').write_bytes(bytes(8))
    store = convert('--whole-tracks')
    assert (store.skeleton, store.fps) == ('h36m', 30.0) and store.info['fps'].startswith('nominal')
    assert {clip.name: clip.length for clip in store.clips} == {name: len(track) for name, track in tracks.items()}
    np.testing.assert_allclose(store.arrays['detected_2d'], np.concatenate(list(tracks.values()))[..., :2], rtol=1e-6)
    assert [clip.name for clip in convert().clips] == ['dance/v1/0', 'yoga/v2/0']


def test_gaps_can_be_cut(convert, tmp_path):
    write_track_folder(tmp_path / 'src' / 'a/b/0', detected(30), frames=[*range(10), *range(12, 32)])
    assert [clip.length for clip in convert('--whole-tracks').clips] == [30]
    store = convert('--whole-tracks', '--cut-gaps')
    assert [(clip.name, clip.length) for clip in store.clips] == [('a/b/0@0', 10), ('a/b/0@12', 20)]


@pytest.mark.parametrize('num_frames, window, stride', [(81, 81, 27), (400, 81, 27), (50, 9, 4), (50, 9, 20),
                                                         (20, 9, 1)])
def test_parts_have_exactly_the_windows_with_a_visible_root(num_frames, window, stride):
    rng = np.random.default_rng(num_frames + stride)
    points = np.arange(num_frames)[:, None, None] * np.ones((1, 17, 2))
    for share in (0.0, 0.3, 0.7, 1.0):
        confidence = (rng.random((num_frames, 17)) < share).astype(float)
        track = Track('x', np.arange(num_frames), points, confidence)
        windows = sliding_windows(num_frames, window, stride)
        expected = windows[confidence[windows[:, 0], 0] > 0]
        parts = visible_parts(track, window, stride)
        found = [part.frames[sliding_windows(len(part), window, stride)] for part in parts]
        np.testing.assert_array_equal(np.concatenate([np.empty((0, window), int), *found]), expected)
        assert len({part.name for part in parts}) == len(parts)


def test_all_frames_of_a_track_whose_root_is_always_seen_are_kept(convert, tmp_path):
    write_packed(tmp_path / 'src', [packed(detected(100))])
    assert convert().clips[0].length == 100


def test_packed_coordinates_give_the_inputs_of_the_pixels(convert, tmp_path):
    """Cropping, shifting and putting into the virtual image are undone by the crop of the pipeline."""
    track = detected(30)
    write_packed(tmp_path / 'src', [packed(track)])
    store = convert('--window', '9', '--stride', '4')
    assert store.clips[0].image_size == (1000, 1000)
    dataset = MotionDataset(str(store.path), window=dict(num_frames=9, stride=4, tail='drop'), targets=(),
                            pipeline=[dict(type='NormalizeCoords', inputs='crop_scale'), dict(type='ZeroMissing')])
    inputs = dataset.__getitems__(np.arange(len(dataset)))['inputs'][:, 0]
    windows = track[sliding_windows(30, 9, 4)]
    points, confidence, _ = crop_scale(windows[..., :2], windows[..., 2])
    np.testing.assert_allclose(inputs[..., :2], points * (confidence > 0)[..., None], atol=2e-6)
    np.testing.assert_allclose(inputs[..., 2], confidence, rtol=1e-6)


def test_runs_of_an_id_are_tracks(tmp_path):
    source = write_packed(tmp_path, [packed(detected(5, seed)) for seed in range(3)], ids=[7, 8, 7])
    assert [(track.name, len(track)) for track in read_packed(source, 'crop')] == [('7', 5), ('8', 5), ('7.2', 5)]


def test_short_tracks_are_left_out_or_stretched(convert, tmp_path, capsys):
    write_packed(tmp_path / 'src', [packed(detected(20)), packed(detected(5, 1))])
    assert [clip.length for clip in convert('--window', '9', '--stride', '4').clips] == [20]
    assert 'left out: 1 tracks: shorter than 9 frames' in capsys.readouterr().out
    store = convert('--window', '9', '--stride', '4', '--stretch-short')
    assert [clip.length for clip in store.clips] == [20, 9]
    stretched = store.arrays['detected_2d'][20:]
    assert len(np.unique(stretched[:, 0], axis=0)) == 5


def test_bad_tracks_are_named_and_the_others_converted(convert, tmp_path):
    write_track_folder(tmp_path / 'src' / 'a/b/0', detected(81))
    torn = write_track_folder(tmp_path / 'src' / 'a/b/1', detected(81)) / '00000004.json'
    torn.write_text(torn.read_text()[:50])
    with pytest.raises(SystemExit, match=r'00000004.json: empty, truncated or no JSON(.|\n)*1 tracks failed'):
        convert()
    store = MotionStore(tmp_path / 'store')
    assert [clip.name for clip in store.clips] == ['a/b/0'] and list(store.info['failed']) == ['a/b/1']


@pytest.mark.parametrize('content, message', [
    ([], 'holds a list, expected an object with joints'),
    ({'frame': 1}, 'names no known joint but frame; expected Hip, R Hip'),
    ({'frame': 0, 'Hip': {'x': 1.0, 'y': 2.0, 'logits': 0.4}}, 'frame is 0, expected a number that no other file'),
    ({'frame': 'one', 'Hip': {'x': 1.0, 'y': 2.0, 'logits': 0.4}}, "frame is 'one', expected a number"),
    ({'frame': 1, 'Hip': {'x': 1.0, 'y': 2.0}}, 'Hip is .*, expected numbers x, y and logits'),
    ({'frame': 1, 'Hip': {'x': 1.0, 'y': None, 'logits': 0.4}}, 'Hip is .*None'),
    ({'frame': 1, 'Hip': {'x': float('inf'), 'y': 1.0, 'logits': 0.4}}, 'Hip is .*inf.*, expected finite numbers'),
])
def test_other_frames_are_refused(tmp_path, content, message):
    folder = write_track_folder(tmp_path / '3', detected(1))
    (folder / 'a.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f'a.json.* {message}'):
        read_track(folder, 'x')


@pytest.mark.parametrize('motion, ids, message', [
    (np.zeros((5, 16, 3)), np.zeros(5), r'motion_all.npy has shape \(5, 16, 3\)'),
    (np.full((5, 17, 3), '1'), np.zeros(5), r'shape \(5, 17, 3\) and dtype <U1, '),
    (np.zeros((5, 17, 3)), np.zeros(4), r'id_all.npy \(4,\); expected numbers of shape \(N, 17, 3\), and \(N,\)'),
    (np.full((5, 17, 3), np.nan), np.zeros(5, int), 'id 0: NaN or infinity'),
    (np.full((5, 17, 3), 300.0), np.full(5, 3), 'id 3: a coordinate is 300, expected at most 2.*say --unit pixel'),
    (np.array([{}]), np.zeros(5), 'motion_all.npy: truncated or no .npy of plain arrays'),
])
def test_other_packed_arrays_are_refused(tmp_path, motion, ids, message):
    np.save(tmp_path / 'motion_all.npy', motion)
    np.save(tmp_path / 'id_all.npy', ids)
    with pytest.raises(ValueError, match=message):
        list(read_packed(tmp_path, 'crop'))


def test_nothing_to_convert_is_one_line(convert, tmp_path, capsys):
    with pytest.raises(SystemExit, match='src holds neither motion_all.npy and id_all.npy nor folders'):
        convert()
    np.save((tmp_path / 'src').mkdir() or tmp_path / 'src' / 'motion_all.npy', packed(detected(5)))
    with pytest.raises(SystemExit, match='id_all.npy: no such file.* motion_all.npy and id_all.npy side by side'):
        convert()
    write_packed(tmp_path / 'src', [packed(detected(5))])
    with pytest.raises(SystemExit, match='no clip in 1 tracks; 1 shorter than 81 frames'):
        convert()
    with pytest.raises(SystemExit):
        convert('--cut-gaps')
    assert '--cut-gaps needs frame numbers' in capsys.readouterr().err
