import json
import sys

import numpy as np
import pytest

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.motion_store import MotionStore
from tests.generated import load_tool, run_tool
from tests.io.body import walk_2d
from tests.io.openpose import write_openpose
from tests.io.test_people import alphapose, write_json

converter = load_tool('dataset_converters/action_folder.py')
SIZE = ('--image-size', '1000', '1000')
POINTS = walk_2d('coco17', 20)


@pytest.fixture
def convert(monkeypatch, tmp_path, capsys):
    """Call the tool; return the store and what was printed."""
    def run(source, *options, skeleton='coco17', size=SIZE):
        monkeypatch.setattr(sys, 'argv', ['action_folder.py', str(source), str(tmp_path / 'store'), '--skeleton',
                                          skeleton, *size, *options])
        converter.main()
        return MotionStore(tmp_path / 'store'), capsys.readouterr().out
    return run


@pytest.fixture
def folder(tmp_path):
    """A folder of two classes with five clips each, of 20 frames."""
    for name in ('wave', 'jump'):
        for number in range(5):
            write_json(tmp_path / 'in' / name / f'{number}.json', alphapose(POINTS + number, track=1))
    return tmp_path / 'in'


def table_of(out):
    """The rows of the printed table, {class: numbers}."""
    lines = out.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith('class '))
    last = next(number for number, line in enumerate(lines) if line.startswith('all '))
    return {words[0]: [int(word) for word in words[1:]] for words in map(str.split, lines[first + 1:last + 1])}


def test_a_folder_per_class_becomes_a_store(convert, folder):
    store, out = convert(folder, '--fps', '25')
    assert (store.skeleton, store.fps) == ('coco17', 25.0) and store.info['classes'] == ['jump', 'wave']
    assert {clip.name: (clip.action, clip.label, clip.length) for clip in store.clips} == {
        f'{name}/{number}': (name, label, 20) for label, name in enumerate(('jump', 'wave')) for number in range(5)}
    splits = store.info['splits']
    assert sorted(splits['train'] + splits['val']) == sorted(clip.name for clip in store.clips)
    assert sorted(name.split('/')[0] for name in splits['val']) == ['jump', 'wave']
    clip = next(clip for clip in store.clips if clip.name == 'wave/3')
    np.testing.assert_allclose(store.arrays['detected_2d'][clip.start:clip.start + 20], POINTS + 3, rtol=1e-6)
    assert (store.arrays['detected_confidence'] == np.float32(0.9)).all() and clip.image_size == (1000.0, 1000.0)
    assert table_of(out) == {'jump': [4, 1, 100], 'wave': [4, 1, 100], 'all': [8, 2, 200]}
    assert 'note' not in out and 'warning' not in out


def test_the_split_follows_seed_and_share(convert, folder):
    splits = [convert(folder, '--seed', str(seed))[0].info['splits']['val'] for seed in (0, 0, 1, 2, 3)]
    assert splits[0] == splits[1] and any(split != splits[0] for split in splits)
    assert len(convert(folder, '--val-share', '0.4')[0].info['splits']['val']) == 4
    store, out = convert(folder, '--val-share', '0')
    assert list(store.info['splits']) == ['train'] and 'warning: no clip is in val: nothing is tested' in out


def test_files_of_all_kinds(convert, tmp_path):
    points = walk_2d('body25', 20)
    write_openpose(tmp_path / 'in' / 'wave' / 'openpose', [points])
    write_json(tmp_path / 'in' / 'wave' / 'coco.json', alphapose(points))
    write_json(tmp_path / 'in' / 'jump' / 'alphapose.json', alphapose(points, track=2))
    np.save(tmp_path / 'in' / 'jump' / 'xy.npy', points)
    np.savez(tmp_path / 'in' / 'jump' / 'named.npz', keypoints=points, confidence=np.full((20, 25), 0.5))
    store, _ = convert(tmp_path / 'in', skeleton='body25')
    confidence = {}
    for clip in store.clips:
        rows = slice(clip.start, clip.start + 20)
        np.testing.assert_allclose(store.arrays['detected_2d'][rows], points, atol=1e-3)
        confidence[clip.name], = np.unique(store.arrays['detected_confidence'][rows])
    assert confidence == pytest.approx({'wave/openpose': 0.8, 'wave/coco': 0.9, 'jump/alphapose': 0.9, 'jump/xy': 1.0,
                                        'jump/named': 0.5})


def test_a_table_cuts_files_by_seconds(convert, tmp_path):
    points = walk_2d('coco17', 60)
    for name in ('a', 'b'):
        write_json(tmp_path / 'in' / f'{name}.json', alphapose(points, track=1))
    (tmp_path / 'in' / 'clips.csv').write_text(
        'file,label,start,end\na.json,walk,,2\na.json,wave,1.5,\nb.json,walk,3,4.5\nb.json,wave,,\n')
    store, out = convert(tmp_path / 'in' / 'clips.csv', '--fps', '10')
    clips = {clip.name: clip for clip in store.clips}
    assert {name: (clip.action, clip.length) for name, clip in clips.items()} == {
        'a@-2': ('walk', 20), 'a@1.5-': ('wave', 45), 'b@3-4.5': ('walk', 15), 'b': ('wave', 60)}
    start = clips['b@3-4.5'].start
    np.testing.assert_allclose(store.arrays['detected_2d'][start:start + 15], points[30:45], rtol=1e-6)
    assert {name[0] for name in store.info['splits']['train']} != {name[0] for name in store.info['splits']['val']}
    assert table_of(out) == {'walk': [1, 1, 35], 'wave': [1, 1, 105], 'all': [2, 2, 140]}


def test_train_and_val_folders_are_the_splits(convert, tmp_path, folder):
    folder.rename(tmp_path / 'train')
    (tmp_path / 'own').mkdir()
    (tmp_path / 'train').rename(tmp_path / 'own' / 'train')
    write_json(tmp_path / 'own' / 'val' / 'wave' / '0.json', alphapose(POINTS, track=1))
    store, out = convert(tmp_path / 'own', '--val-share', '0.9')
    assert store.info['splits']['val'] == ['val/wave/0'] and len(store.info['splits']['train']) == 10
    assert "warning: class 'jump' has 5 clips, all in train: it is not tested" in out
    write_json(tmp_path / 'own' / 'val' / 'hop' / '0.json', alphapose(POINTS, track=1))
    with pytest.raises(SystemExit, match="label 'hop' of val is none of those of train: jump, wave"):
        convert(tmp_path / 'own')


def test_a_class_with_one_clip_is_trained_and_a_warning(convert, folder):
    write_json(folder / 'bow' / '0.json', alphapose(POINTS, track=1))
    store, out = convert(folder)
    assert 'bow/0' in store.info['splits']['train'] and table_of(out)['bow'] == [1, 0, 20]
    assert "warning: class 'bow' has one clip, all in train: it is not tested" in out


def test_short_clips_and_clips_of_nobody_are_left_out(convert, folder):
    write_json(folder / 'jump' / 'short.json', alphapose(POINTS[:4], track=1))
    np.save(folder / 'wave' / 'zero.npy', np.zeros((30, 17, 3)))
    write_json(folder / 'bow' / 'empty.json', [])
    store, out = convert(folder)
    assert store.info['classes'] == ['jump', 'wave'] and len(store.clips) == 10
    assert 'note: left out 1 clips shorter than 5 frames, or seen in fewer: jump/short' in out
    assert 'note: left out 2 clips in which nobody is seen: bow/empty, wave/zero' in out
    assert "warning: class 'bow': no clip is left, so the store does not have it" in out


def test_three_persons_of_two(convert, folder):
    items = [item for track in range(3) for item in alphapose(POINTS[track * 3:] + 80 * track, track=track)]
    write_json(folder / 'wave' / 'three.json', items)
    store, out = convert(folder, '--num-persons', '2')
    clip = next(clip for clip in store.clips if clip.name == 'wave/three')
    assert clip.persons == 2 and {other.persons for other in store.clips if other != clip} == {1}
    rows = store.arrays['detected_2d'][clip.start:clip.start + 40].reshape(2, 20, 17, 2)
    np.testing.assert_allclose(rows[0], POINTS, rtol=1e-6)
    np.testing.assert_allclose(rows[1, :17], POINTS[3:] + 80, rtol=1e-6)
    assert not rows[1, 17:].any()
    assert ('note: 1 clips show more than 2 persons, up to 3; took those seen most (--num-persons): wave/three'
            in out)
    assert 'show more than 1 persons' in convert(folder)[1] and 'show more' not in convert(folder, '--num-persons',
                                                                                          '3')[1]


def test_a_damaged_file_stops_the_tool_or_is_skipped(convert, folder, tmp_path):
    items = alphapose(POINTS, track=1)
    (folder / 'wave' / 'torn.json').write_text(json.dumps(items)[:-9])
    with pytest.raises(SystemExit, match=r'wave/torn\.json: .*truncated.*--skip-bad') as error:
        convert(folder)
    assert '\n' not in str(error.value) and not (tmp_path / 'store').exists()
    write_json(folder / 'wave' / 'order.json', alphapose(walk_2d('h36m', 20), track=1))
    store, out = convert(folder, '--skip-bad')
    assert len(store.clips) == 10
    *_, order, torn = out.splitlines()
    assert order.startswith('skipped: ') and 'order.json' in order and 'do not look like coco17 order' in order
    assert torn.startswith('skipped: ') and 'torn.json' in torn
    store, out = convert(folder, '--skip-bad', '--trust-order')
    assert len(store.clips) == 11 and 'order.json' not in out


def test_a_wrong_order_stops_the_tool(convert, folder):
    write_json(folder / 'wave' / 'order.json', alphapose(walk_2d('h36m', 20), track=1))
    with pytest.raises(SystemExit, match=r'order\.json: the joints do not look like coco17 order.*like h36m'):
        convert(folder)


def test_images_of_several_sizes(convert, folder, tmp_path):
    (tmp_path / 'sizes.csv').write_text('video,width,height\nwave/1,1920,1080\n')
    store, _ = convert(folder, '--image-sizes', str(tmp_path / 'sizes.csv'))
    sizes = {clip.name: clip.image_size for clip in store.clips}
    assert sizes.pop('wave/1') == (1920.0, 1080.0) and set(sizes.values()) == {(1000.0, 1000.0)}
    with pytest.raises(SystemExit, match='no row for 9 of 10 videos'):
        convert(folder, size=('--image-sizes', str(tmp_path / 'sizes.csv')))


def test_nothing_left_is_an_error(convert, tmp_path):
    write_json(tmp_path / 'in' / 'wave' / 'a.json', [])
    write_json(tmp_path / 'in' / 'jump' / 'b.json', alphapose(POINTS[:3], track=1))
    (tmp_path / 'in' / 'jump' / 'c.json').write_text('[')
    with pytest.raises(SystemExit, match='none of 3 clips is left: 1 shorter than 5 frames, or seen in fewer; 1 in '
                                         'which nobody is seen; 1 files that cannot be read, first: .*c.json'):
        convert(tmp_path / 'in', '--skip-bad')
    assert not (tmp_path / 'store').exists()


def test_one_class_is_a_warning(convert, tmp_path):
    write_json(tmp_path / 'in' / 'clips' / 'wave' / 'a.json', alphapose(POINTS, track=1))
    assert "warning: 'clips' is the only class: nothing to tell apart" in convert(tmp_path / 'in')[1]


@pytest.mark.parametrize('options, message', [
    (('--val-share', '1'), '--val-share must be at least 0 and below 1'),
    (('--num-persons', '0'), '--num-persons must be at least 1'),
    (('--fps', '-1'), '--fps must be positive'),
])
def test_a_wrong_command_line_is_refused(convert, folder, capsys, options, message):
    with pytest.raises(SystemExit):
        convert(folder, *options)
    assert message in capsys.readouterr().err


def test_a_store_among_the_classes_is_refused(convert, tmp_path, capsys):
    with pytest.raises(SystemExit):
        convert(tmp_path)
    assert 'lies in SRC' in capsys.readouterr().err


def test_the_store_feeds_a_classifier(convert, folder):
    items = alphapose(POINTS, track=1) + alphapose(POINTS[8:] + 90, range(8, 20), track=2)
    write_json(folder / 'wave' / 'two.json', items)
    store, _ = convert(folder, '--num-persons', '2')
    pipeline = [dict(type='ConvertSkeleton', target='h36m'),
                dict(type='NormalizeCoords', inputs='crop_scale', target=None, crop_range=[2, 2]),
                dict(type='ZeroMissing'), dict(type='PackInputs', fields=['label'])]
    data = MotionDataset(str(store.path), targets=[], pipeline=pipeline, split='train', num_persons=2,
                         window=dict(num_frames=9, kind='uniform'))
    batch = data.__getitems__(list(range(len(data))))
    assert data.classes == ('jump', 'wave') and len(data) == len(store.info['splits']['train'])
    assert batch['inputs'].shape == (len(data), 2, 9, 17, 3)
    assert batch['fields']['label'].tolist() == [name.startswith('wave') for name in store.info['splits']['train']]


def test_the_tool_runs_as_a_user_runs_it(folder, tmp_path):
    result = run_tool('dataset_converters/action_folder.py', folder, tmp_path / 'store', '--skeleton', 'coco17', *SIZE)
    assert result.returncode == 0, result.stderr
    assert len(MotionStore(tmp_path / 'store').clips) == 10 and 'all' in result.stdout
