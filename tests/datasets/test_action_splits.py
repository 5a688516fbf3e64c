from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from motionbert_mm.datasets.action_clips import ActionClip
from motionbert_mm.datasets.action_files import ClipSource
from motionbert_mm.datasets.action_splits import assign_splits, split_by_file, write_splits
from motionbert_mm.datasets.motion_store import MotionStore, MotionStoreWriter


def sources_of(files, split=None):
    """Clips by file: {file: 'labels'}, a letter for each clip."""
    return [ClipSource(f'{file}@{number}', Path(file), file, label, 'place', split=split)
            for file, labels in files.items() for number, label in enumerate(labels)]


def clips_of(sources, persons=1, num_frames=6):
    return [ActionClip(source, np.full((persons, num_frames, 17, 2), number, np.float32),
                       np.ones((persons, num_frames, 17), np.float32), (640.0, 480.0))
            for number, source in enumerate(sources)]


def count_val(sources, share=0.2, seed=0):
    sides = split_by_file(sources, share, seed)
    assert set(sides) <= {'train', 'val'}
    return Counter(source.action for source, side in zip(sources, sides) if side == 'val')


def test_each_class_gives_its_share():
    sources = sources_of({**{f'a{number}': 'a' for number in range(30)}, **{f'b{number}': 'b' for number in range(10)}})
    assert count_val(sources) == {'a': 6, 'b': 2}
    assert count_val(sources, share=0.5) == {'a': 15, 'b': 5}
    assert not count_val(sources, share=0.0)


def test_small_classes_are_tested_and_trained():
    sources = sources_of({'1': 'a', '2': 'a', '3': 'b', '4': 'c', '5': 'c', '6': 'c'})
    assert count_val(sources) == {'a': 1, 'c': 1}
    assert count_val(sources, share=0.9) == {'a': 1, 'c': 2}


@pytest.mark.parametrize('seed', range(20))
def test_clips_of_a_file_stay_on_one_side(seed):
    rng = np.random.default_rng(seed)
    files = {str(number): ''.join(rng.choice(list('abc'), rng.integers(1, 9))) for number in range(12)}
    sources = sources_of(files)
    sides = split_by_file(sources, 0.3, seed)
    of_file = {source.path: {side for other, side in zip(sources, sides) if other.path == source.path}
               for source in sources}
    assert all(len(found) == 1 for found in of_file.values())
    for side in ('train', 'val'):
        assert {source.action for source, found in zip(sources, sides) if found == side} == set('abc')
    assert 0.1 < sides.count('val') / len(sides) < 0.5


def test_long_files_do_not_keep_a_class_from_being_tested():
    assert count_val(sources_of({'1': 'aaaaaaaaaa', '2': 'aaaaaaaaaa'})) == {'a': 10}
    assert not count_val(sources_of({'1': 'aaaaaaaaaa'}))


def test_two_names_of_a_file_are_one_file(tmp_path):
    sources = [ClipSource(name, tmp_path / name / '..' / 'x.json', name, 'a', 'place') for name in ('b', 'c')]
    assert not count_val(sources)


def test_the_draw_follows_the_seed():
    sources = sources_of({str(number): 'a' for number in range(40)})
    draws = [tuple(split_by_file(sources, 0.2, seed)) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


def test_classes_that_are_not_tested_are_named():
    splits, notes = assign_splits(clips_of(sources_of({'1': 'a', '2': 'bb', '3': 'c', '4': 'c'})))
    assert Counter(clip.source.action for clip in splits['train']) == {'a': 1, 'b': 2, 'c': 1}
    assert [clip.source.action for clip in splits['val']] == ['c']
    assert notes == ["class 'a' has one clip, all in train: it is not tested",
                     "class 'b' has 2 clips of one file, all in train: it is not tested"]


def test_nothing_tested_is_said_once():
    splits, notes = assign_splits(clips_of(sources_of({'1': 'a', '2': 'b'})))
    assert list(splits) == ['train'] and notes == ['no clip is in val: nothing is tested']


def test_splits_of_the_user_are_kept():
    sources = [source for split, files in (('train', {'1': 'ab'}), ('val', {'1': 'a', '2': 'a'}), ('test', {'3': 'b'}))
               for source in sources_of(files, split)]
    splits, notes = assign_splits(clips_of(sources), val_share=0.9)
    assert {name: [clip.source.video for clip in clips] for name, clips in splits.items()} == {
        'train': ['1', '1'], 'val': ['1', '2'], 'test': ['3']}
    assert notes == ['1 files have clips in several splits, e.g. 1: results look better than they are',
                     "class 'b' has one clip, all in train: it is not tested"]


def test_a_class_that_lost_its_training_clips_is_left_out():
    sources = sources_of({'1': 'a'}, 'train') + sources_of({'2': 'abb'}, 'val')
    splits, notes = assign_splits(clips_of(sources))
    assert [clip.source.action for clip in splits['val']] == ['a']
    assert notes == ["class 'b': no clip is left in train, so 2 in other splits are left out too"]
    with pytest.raises(ValueError, match='no clip is left in train; 3 in other splits'):
        assign_splits(clips_of(sources[1:]))


def test_classes_are_numbered_by_name(tmp_path):
    clips = clips_of(sources_of({'1': 'w', '2': 'b', '3': 'w'}))
    pair = clips_of(sources_of({'4': 'b'}), persons=2)
    with MotionStoreWriter(tmp_path / 'store', skeleton='coco17', fps=30.0) as writer:
        write_splits(writer, {'train': clips, 'val': pair})
    store = MotionStore(tmp_path / 'store')
    assert store.info == {'classes': ['b', 'w'], 'splits': {'train': ['1@0', '2@0', '3@0'], 'val': ['4@0']}}
    assert [(clip.action, clip.label, clip.persons, clip.image_size) for clip in store.clips] == [
        ('w', 1, 1, (640.0, 480.0)), ('b', 0, 1, (640.0, 480.0)), ('w', 1, 1, (640.0, 480.0)),
        ('b', 0, 2, (640.0, 480.0))]
    assert store.arrays['detected_2d'].shape == (5 * 6, 17, 2)
    assert store.arrays['detected_confidence'].shape == (5 * 6, 17)
