import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from motionbert_mm.datasets import motion_store
from motionbert_mm.datasets.motion_store import MotionStore, MotionStoreWriter
from tests.generated import CLIPS, make_cameras, make_clip


@pytest.fixture
def copied_store(tiny_store, tmp_path):
    """A store that a test may damage."""
    return shutil.copytree(tiny_store, tmp_path / 'store')


def change_index(store, **changes):
    index = json.loads((store / 'index.json').read_text())
    index.update(changes)
    (store / 'index.json').write_text(json.dumps({key: value for key, value in index.items() if value is not None}))


def open_writer(folder):
    return MotionStoreWriter(folder / 'store', skeleton='h36m', fps=30.0)


def cut(file, share=0.5):
    os.truncate(file, int(os.path.getsize(file) * share))


def test_round_trip_of_arrays_and_facts(tiny_store):
    store, cameras = MotionStore(tiny_store), make_cameras()
    assert (store.skeleton, store.fps, store.info) == ('h36m', 30.0, {'source': 'generated'})
    assert [clip.length for clip in store.clips] == [length for length in CLIPS.values() for _ in cameras]
    for number, clip in enumerate(store.clips):
        seed, camera = divmod(number, len(cameras))
        assert clip.name == f'{list(CLIPS)[seed]}#{cameras[camera].name}' and clip.action == clip.name.split('/')[0]
        assert clip.image_size == tuple(cameras[camera].image_size)
        assert clip.intrinsics == tuple(cameras[camera].intrinsics)
        assert clip.label == seed % 2 and clip.text == (f'somebody does {list(CLIPS)[seed]}',)
        for name, value in make_clip(clip.length, seed, cameras[camera]).items():
            rows = store.arrays[name][clip.start:clip.start + clip.length]
            np.testing.assert_array_equal(rows, value.astype(np.float32))


def test_persons_follow_each_other(people_store):
    store, camera = MotionStore(people_store), make_cameras()[0]
    pair, alone = store.clips
    assert (pair.persons, pair.length, alone.start) == (2, 30, 60)
    second = store.arrays['keypoints_3d'][pair.start + pair.length:pair.start + 2 * pair.length]
    np.testing.assert_array_equal(second, make_clip(30, 6, camera)['keypoints_3d'].astype(np.float32))


def test_arrays_stay_on_disk_and_are_read_only(tiny_store):
    array = MotionStore(tiny_store).arrays['keypoints_3d']
    assert isinstance(array, np.memmap) and not array.flags.writeable


def test_gather_copies_rows_of_any_shape(tiny_store):
    store = MotionStore(tiny_store)
    rows = np.array([[0, 5, 5], [90, 1, 2]])
    values = store.gather('keypoints_2d', rows)
    assert values.shape == (2, 3, 17, 2) and type(values) is np.ndarray and values.flags.writeable
    np.testing.assert_array_equal(values[1, 0], store.arrays['keypoints_2d'][90])


def test_a_pickled_store_opens_the_files_again(tiny_store):
    store = MotionStore(tiny_store)
    pickled = pickle.dumps(store)
    assert len(pickled) < 1000
    again = pickle.loads(pickled)
    assert again.clips == store.clips and isinstance(again.arrays['keypoints_3d'], np.memmap)
    np.testing.assert_array_equal(again.arrays['keypoints_3d'], store.arrays['keypoints_3d'])


def mapped_kilobytes(file):
    """Resident size of this process's mapping of a file."""
    size, is_file = 0, False
    for line in Path('/proc/self/smaps').read_text().splitlines():
        if '-' in line.split()[0]:
            is_file = line.endswith(str(file))
        elif is_file and line.startswith('Rss:'):
            size += int(line.split()[1])
    return size


@pytest.mark.skipif(not os.path.exists('/proc/self/smaps'), reason='reads the memory map of a Linux process')
def test_gather_gives_pages_back(tmp_path, monkeypatch):
    with MotionStoreWriter(tmp_path / 'big', skeleton='h36m', fps=30.0) as writer:
        writer.add_clip('clip', {'keypoints_3d': np.ones((20000, 17, 3), np.float32)})  # 4 MB
    store, rows = MotionStore(tmp_path / 'big'), np.arange(0, 20000, 5)
    store.gather('keypoints_3d', rows)
    assert mapped_kilobytes(tmp_path / 'big' / 'keypoints_3d.npy') > 2000
    monkeypatch.setattr(motion_store, 'RELEASE_BYTES', 0)
    store.gather('keypoints_3d', rows)
    assert mapped_kilobytes(tmp_path / 'big' / 'keypoints_3d.npy') > 2000  # few enough to keep
    monkeypatch.setattr(motion_store, 'KEPT_BYTES', 1 << 20)
    values = store.gather('keypoints_3d', rows)
    assert mapped_kilobytes(tmp_path / 'big' / 'keypoints_3d.npy') < 100
    assert (values == 1).all() and (store.gather('keypoints_3d', rows) == 1).all()


def test_an_exception_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), open_writer(tmp_path) as writer:
        writer.add_clip('clip', {'keypoints_3d': np.zeros((3, 17, 3))})
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_nothing_appears_before_the_end(tmp_path):
    with open_writer(tmp_path) as writer:
        writer.add_clip('clip', {'keypoints_3d': np.zeros((3, 17, 3))})
        assert not (tmp_path / 'store').exists()
    assert [path.name for path in tmp_path.iterdir()] == ['store']


def test_an_old_store_survives_a_failed_rewrite(copied_store):
    before = MotionStore(copied_store).clips
    with pytest.raises(ValueError, match='NaN'), MotionStoreWriter(copied_store, skeleton='h36m', fps=30.0) as writer:
        writer.add_clip('clip', {'keypoints_3d': np.full((3, 17, 3), np.nan)})
    assert MotionStore(copied_store).clips == before


def test_an_old_store_is_replaced(copied_store):
    with MotionStoreWriter(copied_store, skeleton='h36m16', fps=25.0) as writer:
        writer.add_clip('clip', {'keypoints_3d': np.zeros((3, 16, 3))})
    store = MotionStore(copied_store)
    assert [clip.name for clip in store.clips] == ['clip'] and list(store.arrays) == ['keypoints_3d']
    assert sorted(path.name for path in copied_store.iterdir()) == ['index.json', 'keypoints_3d.npy']


def test_a_store_behind_a_link_is_replaced_there(copied_store, tmp_path):
    link = tmp_path / 'links' / 'store'
    link.parent.mkdir()
    link.symlink_to(copied_store)
    with open_writer(link.parent) as writer:
        writer.add_clip('new', {'x': np.zeros((2, 3))})
    assert link.is_symlink() and [clip.name for clip in MotionStore(copied_store).clips] == ['new']


def test_clips_may_have_a_frame_rate_of_their_own(tmp_path):
    with open_writer(tmp_path) as writer:
        for name, fps in (('as stated', None), ('same', 30), ('fast', 50)):
            writer.add_clip(name, {'x': np.zeros((2, 3))}, fps=fps)
    store = MotionStore(tmp_path / 'store')
    assert [clip.fps for clip in store.clips] == [None, None, 50.0]
    assert [store.clip_fps(clip) for clip in store.clips] == [30.0, 30.0, 50.0]
    with pytest.raises(ValueError, match='odd: frame rate 0, expected a positive number'), \
            open_writer(tmp_path) as writer:
        writer.add_clip('odd', {'x': np.zeros((2, 3))}, fps=0)


@pytest.mark.parametrize('fps', [0, -1, float('nan'), float('inf')])
def test_a_store_needs_a_frame_rate(tmp_path, fps):
    with pytest.raises(ValueError, match=f'store: frame rate {fps:g}, expected a positive number'):
        MotionStoreWriter(tmp_path / 'store', skeleton='h36m', fps=fps)


def test_other_directories_are_not_overwritten(tmp_path):
    (tmp_path / 'thesis.tex').write_text('years of work')
    with pytest.raises(ValueError, match='is not a motion store'):
        MotionStoreWriter(tmp_path, skeleton='h36m', fps=30.0)
    with pytest.raises(ValueError, match='thesis.tex is a file'):
        MotionStoreWriter(tmp_path / 'thesis.tex', skeleton='h36m', fps=30.0)


POSE = np.zeros((5, 17, 3))


@pytest.mark.parametrize('arrays, options, message', [
    ({'keypoints_3d': np.where(np.arange(5)[:, None, None] == 3, np.inf, POSE)}, {}, 'first in frame 3'),
    ({'keypoints_3d': POSE[:0]}, {}, 'positive number of frames'),
    ({}, {}, 'positive number of frames'),
    ({'keypoints_3d': POSE, 'keypoints_2d': POSE[:4, :, :2]}, {}, "'keypoints_2d': 4"),
    ({'keypoints_3d': POSE}, {'persons': 2}, r'expected \(2, T'),
])
def test_impossible_clips_are_refused(tmp_path, arrays, options, message):
    with pytest.raises(ValueError, match=message), open_writer(tmp_path) as writer:
        writer.add_clip('clip', arrays, **options)


@pytest.mark.parametrize('second, arrays, message', [
    ('clip', {'keypoints_3d': POSE}, 'used twice'),
    ('other', {'keypoints_2d': POSE}, 'earlier clips had'),
    ('other', {'keypoints_3d': POSE[:, :16]}, r'row shape \(16, 3\)'),
])
def test_clips_must_fit_each_other(tmp_path, second, arrays, message):
    with pytest.raises(ValueError, match=message), open_writer(tmp_path) as writer:
        writer.add_clip('clip', {'keypoints_3d': POSE})
        writer.add_clip(second, arrays)


def test_an_empty_source_makes_no_store(tmp_path):
    with pytest.raises(ValueError, match='no clip was written'), open_writer(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_missing_store_says_how_to_make_one(tmp_path):
    with pytest.raises(FileNotFoundError, match='tools/dataset_converters'):
        MotionStore(tmp_path / 'nowhere')


@pytest.mark.parametrize('changes, message', [
    (dict(version=99), 'format version 99, this package reads 1'),
    (dict(version=None), 'torn or not an index'),
    (dict(clips=[]), 'lists no clip'),
    (dict(clips=None), 'torn or not an index'),
    (dict(arrays=None), 'torn or not an index'),
    (dict(skeleton=None), 'torn or not an index'),
    (dict(clips=[{'name': 'clip'}]), 'torn or not an index'),
    (dict(clips=[{'name': 'clip', 'start': 0, 'length': 7}]), r'keypoints_3d\.npy has shape .* inconsistent'),
    (dict(clips=[{'name': 'clip', 'start': 100, 'length': 398}]), 'inconsistent'),
    (dict(arrays={'keypoints_3d': [16, 3]}), r'asks for \(398, 16, 3\).* inconsistent'),
])
def test_a_wrong_index_is_named(copied_store, changes, message):
    change_index(copied_store, **changes)
    with pytest.raises(ValueError, match=message) as error:
        MotionStore(copied_store)
    assert str(copied_store) in str(error.value) and 'convert again' in str(error.value)


@pytest.mark.parametrize('text', ['', '[1, 2]', '{"version": 1, "clips"', '\x00\x00'])
def test_a_torn_index_is_named(copied_store, text):
    (copied_store / 'index.json').write_text(text)
    with pytest.raises(ValueError, match=r'index\.json is torn'):
        MotionStore(copied_store)


@pytest.mark.parametrize('share', [0.0, 0.0002, 0.5, 0.999])
def test_a_truncated_array_is_named(copied_store, share):
    cut(copied_store / 'keypoints_2d.npy', share)
    with pytest.raises(ValueError, match=r'keypoints_2d\.npy is torn'):
        MotionStore(copied_store)


def test_a_missing_array_is_named(copied_store):
    (copied_store / 'keypoints_2d.npy').unlink()
    with pytest.raises(FileNotFoundError, match=r'keypoints_2d\.npy is listed in index\.json but missing'):
        MotionStore(copied_store)


def test_an_array_of_objects_is_not_unpickled(copied_store):
    np.save(copied_store / 'keypoints_2d.npy', np.array([{}], object))
    with pytest.raises(ValueError, match=r'keypoints_2d\.npy is torn or no \.npy file'):
        MotionStore(copied_store)
