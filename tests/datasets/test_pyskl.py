"""Pickles of PYSKL and MMAction2: every form of them is read, everything wrong is named, the store is made once."""
import os
import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from motionbert_mm.datasets import made_stores
from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.datasets.ntu_classes import CLASSES, parse_name
from motionbert_mm.datasets.pyskl import PysklDataset, write_store
from motionbert_mm.datasets.pyskl_file import PysklFile, read_class_names
from motionbert_mm.registry import DATASETS, build
from motionbert_mm.structures.skeleton import get_skeleton
from tests.io.body import walk, walk_2d
from tests.pyskl_files import DISTANCE, compact, dense_2d, dense_3d, write_pyskl, write_tiny

NTU = 'S001C002P003R001A060'


@pytest.fixture
def convert(tmp_path):
    """Convert annotations; return the store."""
    def run(annotations, split=None, **options):
        write_store(tmp_path / 'store', write_pyskl(tmp_path / 'file.pkl', annotations, split), **options)
        return MotionStore(tmp_path / 'store')
    return run


def rows_of(store, name, array):
    """Return an array (M, T, ...) of one clip."""
    clip = next(clip for clip in store.clips if clip.name == name)
    rows = store.arrays[array][clip.start:clip.start + clip.persons * clip.length]
    return rows.reshape(clip.persons, clip.length, *rows.shape[1:])


# Forms


def test_2d_skeletons_with_splits(convert):
    store = convert([dense_2d('a', 1), dense_2d('b', 0, 15, persons=2)], dict(any_name=['b'], other=['b', 'a']))
    assert (store.skeleton, store.fps) == ('coco17', 30.0)
    assert store.info['splits'] == {'any_name': ['b'], 'other': ['b', 'a']}
    assert store.info['classes'] == ['class_0', 'class_1'] and store.info['notes'] == []
    assert [(clip.name, clip.label, clip.action, clip.persons, clip.length, clip.image_size, clip.subject)
            for clip in store.clips] == [('a', 1, 'class_1', 1, 12, (1920, 1080), ''),
                                         ('b', 0, 'class_0', 2, 15, (1920, 1080), '')]
    expected = (walk_2d('coco17', 15) + [DISTANCE, 0]).astype(np.float16)
    np.testing.assert_array_equal(rows_of(store, 'b', 'detected_2d')[1], expected.astype(np.float32))
    assert (rows_of(store, 'b', 'detected_confidence')[1] == 0.875).all()
    assert set(store.arrays) == {'detected_2d', 'detected_confidence', 'persons_swapped'}


def test_swaps_are_those_of_the_tracks_in_the_file(convert):
    pair = dense_2d('pair', 0, persons=2)
    pair['keypoint'][:, 7:] = pair['keypoint'][::-1, 7:]
    first_is_seen_less = {**pair, 'frame_dir': 'turned', 'keypoint_score': pair['keypoint_score'][::-1]}
    store = convert([pair, first_is_seen_less, dense_2d('alone', 0)])
    for name, persons in (('pair', 2), ('turned', 2), ('alone', 1)):
        expected = [persons == 2 and frame >= 7 for frame in range(12)]
        assert rows_of(store, name, 'persons_swapped').tolist() == [expected] * persons


def test_kinect_skeletons_become_millimetres_of_the_camera_frame(convert):
    entry = dense_3d(NTU, 59, persons=2)
    entry['keypoint'][1, 6:] = 0
    store = convert([entry])
    assert store.skeleton == 'ntu25' and set(store.arrays) == {'keypoints_3d', 'valid'}
    points = rows_of(store, NTU, 'keypoints_3d')
    np.testing.assert_allclose(points[0], walk('ntu25', 12) + [0, 0, 3000], atol=2)  # float16 metres
    assert not points[1, 6:].any() and rows_of(store, NTU, 'valid').tolist() == [[True] * 12, [True] * 6 + [False] * 6]
    clip, = store.clips
    assert (clip.subject, clip.camera, clip.image_size) == ('P003', 'C002', None)


def test_kinect_skeletons_are_not_mirrored(convert):
    points = rows_of(convert([dense_3d('a', 0)]), 'a', 'keypoints_3d')[0, 0].astype(float)
    skeleton = get_skeleton('ntu25')
    joint = {name: points[skeleton.index(name)] for name in ('root', 'neck', 'left_ankle', 'left_foot', 'left_shoulder',
                                                             'right_shoulder')}
    up, forward = joint['neck'] - joint['root'], joint['left_foot'] - joint['left_ankle']
    assert up[1] < 0
    assert np.cross(forward, up) @ (joint['right_shoulder'] - joint['left_shoulder']) > 0  # axes are right-handed


def test_plain_list_and_videos_named_by_filename(convert):
    entries = [dict(dense_2d('ignored', 0), filename=name) for name in ('x/1.mp4', 'x/2.mp4')]
    store = convert(entries)
    assert [clip.name for clip in store.clips] == ['x/1.mp4', 'x/2.mp4'] and store.info['splits'] == {}


def test_compact_annotations_follow_the_people_with_the_best_boxes(convert):
    left = [(frame, 0, 0.9) for frame in range(10)]
    right = [(frame, DISTANCE, 0.95 if frame % 2 else 0.8) for frame in range(2, 10)]
    worst = [(frame, -DISTANCE, 0.6) for frame in range(4, 8)]
    mixed = [detection for frame in range(10) for detection in
             sorted((d for d in left + right + worst if d[0] == frame), key=lambda d: d[1] * (-1) ** frame)]
    store = convert([compact('a', 0, 12, mixed)])
    points, confidence = rows_of(store, 'a', 'detected_2d'), rows_of(store, 'a', 'detected_confidence')
    body = walk_2d('coco17', 12)
    np.testing.assert_allclose(points[0, :10], body[:10], atol=0.5)
    np.testing.assert_allclose(points[1, 2:10], body[2:10] + [DISTANCE, 0], atol=0.5)
    assert (confidence[0, :10] == 0.75).all() and (confidence[1, 2:10] == 0.75).all()
    for person, absent in ((0, [10, 11]), (1, [0, 1, 10, 11])):
        assert not points[person, absent].any() and not confidence[person, absent].any()
    assert store.clips[0].image_size == (256, 340)
    assert store.info['notes'] == ['4 detections of people for whom 2 places are too few']


def test_compact_crowds_do_not_mix(convert):
    rng = np.random.default_rng(0)
    crowd = [(frame, DISTANCE * person, rng.uniform(0.5, 1)) for frame in range(20) for person in range(12)]
    store = convert([compact('a', 0, 20, crowd)])
    points = rows_of(store, 'a', 'detected_2d')
    shifts = (points - walk_2d('coco17', 20))[..., 0]
    assert np.ptp(shifts, axis=(1, 2)).max() <= 2 and rows_of(store, 'a', 'detected_confidence').all()
    assert store.info['notes'] == ['200 detections of people for whom 2 places are too few']


def test_compact_people_who_take_turns_share_a_place(convert):
    turns = [(frame, DISTANCE * (frame // 4), 0.9) for frame in range(12)]
    store = convert([compact('a', 0, 12, turns)], max_persons=1)
    expected = walk_2d('coco17', 12) + np.array([DISTANCE, 0]) * (np.arange(12) // 4)[:, None, None]
    np.testing.assert_allclose(rows_of(store, 'a', 'detected_2d')[0], expected, atol=0.5)
    assert store.info['notes'] == []


def test_compact_detections_without_a_place_are_counted(convert):
    # No frame has more than two people, but the third person's time is that of both others.
    first = [(frame, 0, 0.9) for frame in range(0, 12, 2)]
    second = [(frame, 2 * DISTANCE, 0.9) for frame in range(12) if frame != 4]
    third = [(frame, -2 * DISTANCE, 0.9) for frame in (1, 4)]
    store = convert([compact('a', 0, 12, first + second + third)])
    seen = rows_of(store, 'a', 'detected_confidence').any(-1)
    assert seen.sum(axis=1).tolist() == [11, 6]
    assert store.info['notes'] == ['2 detections of people for whom 2 places are too few']


def test_compact_without_boxes_ranks_by_the_joints(convert):
    entry = compact('a', 0, 6, [(frame, shift, 0) for frame in range(6) for shift in (0, DISTANCE)])
    entry.pop('box_score')
    entry['keypoint'][1::2, :, 2] = 0.875
    entry['keypoint'][2, :, 2] = 0  # nobody at all
    store = convert([entry], max_persons=1)
    np.testing.assert_allclose(rows_of(store, 'a', 'detected_2d')[0], walk_2d('coco17', 6) + [DISTANCE, 0], atol=0.5)


@pytest.mark.parametrize('kept', [np.arange(6) < 4, np.arange(4)])
def test_compact_rows_that_are_not_to_be_kept(convert, kept):
    store = convert([compact('a', 0, 6, [(frame, 0, 0.9) for frame in range(6)], anno_inds=kept)])
    assert rows_of(store, 'a', 'detected_confidence').any(-1).tolist() == [[True] * 4 + [False] * 2]


def test_keypoint_files_of_both_projects(convert, tmp_path):
    entries = [compact(name, 0, 6, [(frame, shift, 0.9) for frame in range(6)])
               for name, shift in (('own', 0), ('first', 10), ('other', 20), ('second', 30))]
    keypoints = {entry['frame_dir']: dict(keypoint=entry.pop('keypoint')) for entry in entries}
    entries[1].update(raw_file='data/k400/kpfiles/part_1.pkl')
    entries[2].update(raw_file='data/k400/kpfiles/part_0.pkl', key='elsewhere')
    entries[3].update(raw_file='data/k400/kpfiles/part_1.pkl')
    for name, content in (('own', keypoints['own']), ('part_0', {'elsewhere': keypoints['other']}),
                          ('part_1', {name: keypoints[name] for name in ('first', 'second')})):
        (tmp_path / 'kpfiles').mkdir(exist_ok=True)
        (tmp_path / 'kpfiles' / f'{name}.pkl').write_bytes(pickle.dumps(content))
    store = convert(entries, keypoint_dir=tmp_path / 'kpfiles')
    for name, shift in (('own', 0), ('first', 10), ('other', 20), ('second', 30)):
        np.testing.assert_allclose(rows_of(store, name, 'detected_2d')[0], walk_2d('coco17', 6) + [shift, 0], atol=0.5)
    with pytest.raises(ValueError, match=r"annotation 0 \('own'\): has no keypoint; Kinetics-400 keeps it in separate"):
        convert(entries)
    (tmp_path / 'kpfiles' / 'part_1.pkl').write_bytes(pickle.dumps({'nobody': {}}))
    with pytest.raises(ValueError, match=r"annotation 1 \('first'\): .*part_1.pkl holds no keypoint of it"):
        convert(entries, keypoint_dir=tmp_path / 'kpfiles')


# Persons


def test_the_persons_seen_most_are_kept_in_that_order(convert):
    entry = dense_2d('a', 0, persons=3)
    entry['keypoint_score'][0, 3:] = 0
    entry['keypoint_score'][1, 8:] = 0
    store = convert([entry, dense_2d('b', 0)])
    points, confidence = rows_of(store, 'a', 'detected_2d'), rows_of(store, 'a', 'detected_confidence')
    np.testing.assert_array_equal(points[0], entry['keypoint'][2].astype(np.float32))
    np.testing.assert_array_equal(points[1, :8], entry['keypoint'][1, :8].astype(np.float32))
    assert not points[1, 8:].any() and not confidence[1, 8:].any()
    assert store.info['notes'] == ['1 persons of 1 clips that have more than 2']


def test_persons_whom_nobody_sees_are_none(convert):
    entry = dense_2d('a', 0, persons=2)
    entry['keypoint'][0] = entry['keypoint_score'][0] = 0
    store = convert([entry])
    assert store.clips[0].persons == 1
    np.testing.assert_array_equal(rows_of(store, 'a', 'detected_2d')[0], entry['keypoint'][1].astype(np.float32))


def test_annotations_of_nobody_are_left_out(convert):
    nobody = dense_2d('nobody', 3)
    nobody['keypoint_score'][:] = 0
    annotations = [dense_2d('a', 0), nobody, compact('empty', 1, 5, [])]
    store = convert(annotations, dict(train=['a', 'empty'], val=['nobody']))
    assert [clip.name for clip in store.clips] == ['a']
    assert store.info['splits'] == {'train': ['a'], 'val': []}
    assert store.info['notes'] == ["2 annotations in which nobody is seen, e.g. 'empty'"]
    with pytest.raises(ValueError, match='nobody is seen in any of the 1 annotations'):
        convert([nobody])


def test_scores_of_the_detector_are_limited(convert):
    entry = dense_2d('a', 0)
    entry['keypoint_score'][0, 0, 0], entry['keypoint_score'][0, 1, 0] = 1.05, -0.01
    confidence = rows_of(convert([entry]), 'a', 'detected_confidence')[0]
    assert (confidence.max(), confidence[1, 0]) == (1, 0)


# Classes


@pytest.mark.parametrize('other, num_classes', [('S001C001P001R001A001', 60), ('S018C001P001R001A061', 120)])
def test_ntu_names_give_ntu_classes(tmp_path, other, num_classes):
    names = (NTU, other)
    file = PysklFile(write_pyskl(tmp_path / 'ntu.pkl', [dense_2d(name, int(name[-3:]) - 1) for name in names]))
    assert file.classes == CLASSES[:num_classes]
    assert next(file.clips()).action == 'walking apart from each other'


def test_ntu_names_with_other_labels_do_not_give_ntu_classes(tmp_path):
    assert PysklFile(write_pyskl(tmp_path / 'ntu.pkl', [dense_2d(NTU, 1)])).classes == ('class_0', 'class_1')
    assert parse_name(NTU) == (1, 2, 3, 1, 60) and parse_name(f'{NTU}_rgb') is None
    assert len(set(CLASSES)) == 120 and CLASSES[22] == 'hand waving' and CLASSES[119].startswith('finger-guessing')


def test_given_class_names(convert, tmp_path):
    (tmp_path / 'names.txt').write_text('\ufeffwalk\r\nhug \r\n\r\n', encoding='utf-8')
    store = convert([dense_2d('a', np.int64(1))], classes=read_class_names(tmp_path / 'names.txt'))
    assert store.info['classes'] == ['walk', 'hug'] and store.clips[0].action == 'hug'


@pytest.mark.parametrize('content, message', [
    ('walk\nhug\nwalk\n', "line 1 is 'walk', empty or there twice"), ('walk\n\nhug', "line 2 is ''"),
    ('', "line 1 is ''")])
def test_bad_class_names(tmp_path, content, message):
    (tmp_path / 'names.txt').write_text(content)
    with pytest.raises(ValueError, match=f'names.txt: {message}'):
        read_class_names(tmp_path / 'names.txt')
    with pytest.raises(FileNotFoundError, match='none.txt: no such file, expected a text'):
        read_class_names(tmp_path / 'none.txt')


# Defects


def change(**changes):
    return lambda entry: entry.update(changes)


@pytest.mark.parametrize('spoil, message', [
    (change(label=7), 'has label 7, but there are 2 different class names'),
    (change(label=-1), 'has label -1, expected a class number'),
    (change(label=[1]), r'has label \[1\], expected'),
    (lambda entry: entry.pop('label'), 'has label None, expected'),
    (lambda entry: entry.pop('keypoint_score'), ': lacks keypoint_score; it holds frame_dir, img_shape'),
    (lambda entry: entry.pop('total_frames'), ': lacks total_frames'),
    (lambda entry: entry.pop('img_shape'), r'has img_shape None, expected \(height, width\)'),
    (change(img_shape=(0, 5)), r'has img_shape \(0, 5\), expected'),
    (change(total_frames=9), r': keypoint has shape \(1, 12, 17, 2\), total_frames is 9'),
    (change(keypoint=np.ones((1, 12, 18, 2))), r': keypoint has shape \(1, 12, 18, 2\)'),
    (change(keypoint=np.full((1, 12, 17, 2), np.nan)), ': keypoint holds NaN'),
    (change(keypoint_score=np.ones((1, 12))), r': keypoint_score has shape \(1, 12\)'),
    (change(keypoint_score=np.full((1, 12, 17), 90.0)), ': the scores of the joints run from 0 to 90'),
    (change(frame_inds=np.arange(12)), r': keypoint has shape \(1, 12, 17, 2\) .* of shape \(N, 17, 3\)'),
    (lambda entry: entry.update(dense_3d('b', 0)), "has the joints of ntu25, the first one those of coco17"),
])
def test_defects_of_an_annotation_name_it(convert, spoil, message):
    entries = [dense_2d('a', 0), dense_2d('b', 0)]
    spoil(entries[1])
    with pytest.raises(ValueError, match=rf"file.pkl: annotation 1 \('b'\) ?{message}"):
        convert(entries, classes=['walk', 'hug'])


@pytest.mark.parametrize('changes, message', [
    (dict(frame_inds=np.arange(1, 13)), 'frame_inds run from 1 to 12, expected 0 to 11'),
    (dict(frame_inds=np.arange(5)), r'frame_inds has shape \(5,\)'),
    (dict(box_score=np.ones(5)), r'box_score has shape \(5,\)'),
    (dict(box_score=np.full(12, np.nan)), 'box_score holds NaN'),
    (dict(anno_inds=[12]), r'anno_inds has shape \(1,\)'),
    (dict(keypoint=np.full((12, 17, 3), np.inf)), 'keypoint holds NaN or infinity'),
])
def test_defects_of_a_compact_annotation(convert, changes, message):
    entry = compact('a', 0, 12, [(frame, 0, 0.9) for frame in range(12)])
    with pytest.raises(ValueError, match=rf"annotation 0 \('a'\): {message}"):
        convert([dict(entry, **changes)])


@pytest.mark.parametrize('content, message', [
    ({'split': {}}, r"holds a dict with \['split'\]; expected \{'split'"),
    ('text', 'holds str; expected'), ([], 'holds no annotation'),
    (['a'], 'annotation 0 has no frame_dir, it holds str'),
    ([dense_2d('a', 0), dense_2d('a', 1)], "annotation 1 has the frame_dir 'a' of annotation 0"),
    (dict(split={'train': 5}, annotations=[dense_2d('a', 0)]), 'split holds something else than lists'),
    (dict(split={'train': ['x.mp4']}, annotations=[dense_2d('a', 0)]),
     "split 'train' names 1 videos, none of which has an annotation, e.g. 'x.mp4'; annotations are named like 'a'"),
])
def test_defects_of_a_file(tmp_path, content, message):
    (tmp_path / 'file.pkl').write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=f'file.pkl:? {message}'):
        PysklFile(tmp_path / 'file.pkl')


def test_split_names_without_annotation_are_counted(convert):
    store = convert([dense_2d('a', 0)], dict(train=['a', 'b', 'c']))
    assert store.info['splits'] == {'train': ['a']}
    assert store.info['notes'] == ['2 videos of split train that have no annotation']


def test_torn_and_malicious_files_are_refused(tmp_path):
    path = write_tiny(tmp_path / 'tiny.pkl')
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ValueError, match='tiny.pkl: not a complete pickle'):
        PysklFile(path)

    class Malicious:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / 'harm'),)

    with pytest.raises(ValueError, match=r'asks for the global \w+.mkdir'):
        PysklFile(write_pyskl(path, [dense_2d('a', 0, extra=Malicious())]))
    assert not (tmp_path / 'harm').exists()
    with pytest.raises(FileNotFoundError, match='none.pkl: no such file'):
        PysklFile(tmp_path / 'none.pkl')


def test_other_units_and_joint_orders_are_refused(convert, tmp_path):
    normalised = dense_2d('a', 0)
    normalised['keypoint'] = normalised['keypoint'] / 1000
    with pytest.raises(ValueError, match='look normalised; expected pixels'):
        convert([normalised])
    millimetres = dense_3d('a', 0)
    millimetres['keypoint'] = millimetres['keypoint'].astype(np.float32) * 1000
    with pytest.raises(ValueError, match='expected metres'):
        convert([millimetres])
    shuffled = [dense_2d(str(number), 0) for number in range(6)]
    for entry in shuffled:
        entry['keypoint'] = entry['keypoint'][:, :, np.random.default_rng(0).permutation(17)]
    with pytest.raises(ValueError, match='the joints are not in the order of coco17.*--trust-order'):
        convert(shuffled)
    assert not (tmp_path / 'store').exists()
    assert len(convert(shuffled, trust_order=True).clips) == 6


# The data set


def dataset_config(path, **changes):
    return dict(type='PysklDataset', ann_file=str(path), data_root=str(path.parent / 'data'),
                window=dict(num_frames=9, stride=9), pipeline=[dict(type='NormalizeCoords', target=None)], **changes)


def test_dataset_reads_a_split_with_absent_persons_zero(tmp_path):
    dataset = build(DATASETS, dataset_config(write_tiny(tmp_path / 'tiny.pkl'), split='train'))
    assert [clip.name for clip in dataset.clips] == ['walk', 'hug'] and dataset.classes == ('class_0', 'class_1')
    batch = dataset.__getitems__(np.flatnonzero(dataset.labels == 0))
    assert batch['confidence'].shape[1:] == (2, 9, 17) and batch['label'].tolist() == [0] * len(batch['label'])
    assert batch['confidence'][:, 0].all() and not batch['confidence'][:, 1].any() and not batch['visible'][:, 1].any()
    with pytest.raises(ValueError, match="has no split 'test'; it has train, val"):
        build(DATASETS, dataset_config(tmp_path / 'tiny.pkl', split='test'))


def test_dataset_passes_its_arguments_on(tmp_path):
    path = write_pyskl(tmp_path / '3d.pkl', [dense_3d('a', 0), dense_3d('b', 1, persons=2)])
    (tmp_path / 'names.txt').write_text('walk\nhug\n')
    dataset = PysklDataset(str(path), data_root=str(tmp_path), window=dict(num_frames=9), input_2d=None,
                           targets=['keypoints_3d'], class_names=str(tmp_path / 'names.txt'), classes=['hug'],
                           other_classes='leave_out', num_persons=1, fps=25.0)
    batch = dataset.__getitems__([0])
    assert dataset.classes == ('hug',) and batch['label'].tolist() == [0] and batch['fps'].tolist() == [25.0]
    assert batch['keypoints_3d'].shape == (1, 1, 9, 25, 3) and batch['visible'].all()


def test_dataset_converts_once_and_again_when_the_file_changes(tmp_path):
    path = write_tiny(tmp_path / 'tiny.pkl')
    build(DATASETS, dataset_config(path))
    first, = os.listdir(tmp_path / 'data')
    index = tmp_path / 'data' / first / 'index.json'
    made = index.stat().st_mtime_ns
    build(DATASETS, dataset_config(path, split='val'))
    assert first.startswith('pyskl-tiny-') and os.listdir(tmp_path / 'data') == [first]
    assert index.stat().st_mtime_ns == made
    assert len(build(DATASETS, dataset_config(write_pyskl(path, [dense_2d('new', 0)]))).clips) == 1
    assert len(os.listdir(tmp_path / 'data')) == 2


def test_dataset_logs_what_was_left_out(tmp_path, monkeypatch):
    messages = []
    logger = SimpleNamespace(info=messages.append)
    monkeypatch.setattr('motionbert_mm.datasets.pyskl.MMLogger', SimpleNamespace(get_current_instance=lambda: logger))
    path = write_pyskl(tmp_path / 'a.pkl', [dense_2d('a', 0, persons=3)])
    build(DATASETS, dataset_config(path))
    assert messages == [f'{path}: left out: 1 persons of 1 clips that have more than 2']


# Stores made once


def test_other_processes_wait_for_the_main_one_and_use_its_store(tmp_path, monkeypatch):
    source, path, calls = write_tiny(tmp_path / 'tiny.pkl'), tmp_path / 'data' / 'store', []

    def write(made):
        calls.append(made)
        write_store(made, source)

    def main_process_works(failure):  # while this one waits
        write_store(path, source)

    monkeypatch.setattr(made_stores, 'is_main_process', lambda: False)
    monkeypatch.setattr(made_stores, 'broadcast_object_list', main_process_works)
    assert made_stores.find_or_make_in_main_process(path, {}, write) == path and not calls
    monkeypatch.setattr(made_stores, 'broadcast_object_list', lambda failure: None)  # on another disk
    made_stores.find_or_make_in_main_process(tmp_path / 'here' / 'store', {}, write)
    assert len(calls) == 1 and os.listdir(tmp_path / 'here') == ['store']


def test_all_processes_raise_what_stopped_the_main_one(tmp_path, monkeypatch):
    sent = []
    monkeypatch.setattr(made_stores, 'broadcast_object_list', lambda failure: sent.append(failure[0]))
    path = write_pyskl(tmp_path / 'bad.pkl', [dense_2d('a', -1)])
    with pytest.raises(ValueError, match='has label -1'):
        build(DATASETS, dataset_config(path))
    assert 'has label -1' in str(sent[0]) and os.listdir(tmp_path / 'data') == []

    def fail(failure):
        failure[0] = OSError('disk full')

    monkeypatch.setattr(made_stores, 'is_main_process', lambda: False)
    monkeypatch.setattr(made_stores, 'broadcast_object_list', fail)
    with pytest.raises(OSError, match='disk full'):
        build(DATASETS, dataset_config(path))
