import numpy as np
import pytest

from motionbert_mm.datasets.action_files import find_clips
from tests.io.body import walk_2d
from tests.io.openpose import write_openpose


def touch(root, *names):
    """Empty keypoint files: finding clips reads none."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def table(tmp_path, text):
    (tmp_path / 'clips.csv').write_text(text)
    return tmp_path / 'clips.csv'


def test_a_sub_folder_is_a_class(tmp_path):
    touch(tmp_path, 'wave/a.json', 'wave/day 2/a.json', 'jump/b.npz', 'jump/c.npy', 'jump/notes.txt', '.git/x.json',
          '__MACOSX/jump/b.npz')
    write_openpose(tmp_path / 'jump' / 'd', [walk_2d('body25', 1)])
    clips = find_clips(tmp_path)
    assert [(clip.name, clip.action, clip.path.relative_to(tmp_path).as_posix()) for clip in clips] == [
        ('jump/b', 'jump', 'jump/b.npz'), ('jump/c', 'jump', 'jump/c.npy'), ('jump/d', 'jump', 'jump/d'),
        ('wave/a', 'wave', 'wave/a.json'), ('wave/day 2/a', 'wave', 'wave/day 2/a.json')]
    assert {(clip.split, clip.start, clip.end) for clip in clips} == {(None, None, None)}


def test_folders_train_and_val_are_splits(tmp_path):
    touch(tmp_path, 'train/wave/a.json', 'train/jump/b.json', 'val/wave/a.json', 'test/jump/c.json')
    assert {clip.name: (clip.action, clip.split) for clip in find_clips(tmp_path)} == {
        'train/jump/b': ('jump', 'train'), 'train/wave/a': ('wave', 'train'), 'val/wave/a': ('wave', 'val'),
        'test/jump/c': ('jump', 'test')}


def test_a_test_folder_without_val_is_taken_for_val(tmp_path):
    touch(tmp_path, 'train/wave/a.json', 'test/wave/b.json')
    assert [(clip.name, clip.split) for clip in find_clips(tmp_path)] == [
        ('train/wave/a', 'train'), ('test/wave/b', 'val')]


def test_a_class_may_be_called_train(tmp_path):
    touch(tmp_path, 'train/a.json', 'bus/b.json')
    assert [(clip.action, clip.split) for clip in find_clips(tmp_path)] == [('bus', None), ('train', None)]


@pytest.mark.parametrize('files, error, message', [
    ((), FileNotFoundError, 'no sub-folder; expected a sub-folder per class'),
    (('a.json', 'jump/b.json'), ValueError, r'1 keypoint files lie directly in it, e\.g\. a\.json'),
    (('train/a.json', 'val/b.json'), ValueError, 'train: 1 keypoint files lie directly in it'),
    (('jump/a.mp4',), FileNotFoundError, r'jump: no keypoint file; expected keypoints as \.npy'),
    (('jump/a.json', 'jump/a.npy'), ValueError, "both named 'a'"),
    (('train/jump/a.json', 'val/jump/b.json', 'wave/c.json'), ValueError, 'has train, val and wave side by side'),
    (('train/jump/a.json', 'train/wave/a.json', 'val/hop/b.json'), ValueError,
     "val/hop: the label 'hop' of val is none of those of train: jump, wave"),
])
def test_other_folders_are_refused(tmp_path, files, error, message):
    with pytest.raises(error, match=message):
        find_clips(touch(tmp_path, *files))


def test_a_table_cuts_files(tmp_path):
    clips = find_clips(table(tmp_path, '\ufefffile,label,start,end\na.json,walk,,2.5\na.json,wave,2.5,\n'
                                       'b/c.npz, jump up ,1,1.75\n/far/d.v2,"walk, run"\n'))
    assert [(clip.name, clip.video, clip.action, clip.start, clip.end) for clip in clips] == [
        ('a@-2.5', 'a', 'walk', None, 2.5), ('a@2.5-', 'a', 'wave', 2.5, None),
        ('b/c@1-1.75', 'b/c', 'jump up', 1.0, 1.75), ('/far/d.v2', '/far/d.v2', 'walk, run', None, None)]
    assert [clip.path for clip in clips[1:3]] == [tmp_path / 'a.json', tmp_path / 'b' / 'c.npz']
    assert clips[2].place == f'{tmp_path / "clips.csv"}, line 4'


def test_a_table_names_splits(tmp_path):
    clips = find_clips(table(tmp_path, 'split,file,label\ntrain,a.json,walk\ntest,b.json,walk\nval,c.json,walk\n'))
    assert [clip.split for clip in clips] == ['train', 'test', 'val']
    clips = find_clips(table(tmp_path, 'file,label,split\na.json,walk,\nb.json,walk,\n'))
    assert [clip.split for clip in clips] == [None, None]


@pytest.mark.parametrize('text, message', [
    ('', 'the head line is'),
    ('a.json,walk\n', r"the head line is 'a\.json,walk'; expected file,label\[,start,end\[,split\]\]"),
    ('file,label,begin\na.json,walk,2\n', "the head line is 'file,label,begin'"),
    ('file;label\na.json;walk\n', 'separated by commas'),
    ('file,label\n', 'no line after the head line'),
    ('file,label\na.json\n', r"line 2: file is 'a\.json' and label is ''"),
    ('file,label\na.json,walk,3\n', 'line 2: more cells than columns'),
    ('file,label,start\na.json,walk,0:12\n', "line 2: start is '0:12'; expected seconds"),
    ('file,label,end\na.json,walk,nan\n', "line 2: end is 'nan'; expected seconds"),
    ('file,label,start\na.json,walk,-1\n', "line 2: start is '-1'"),
    ('file,label,start,end\na.json,walk,3,3\n', 'line 2: end is 3 s and start 3 s; the end must come after'),
    ('file,label\na.json,walk\n\na.json,wave\n', r"line 4: 'a' is listed before, in .*line 2"),
    ('file,label,split\na.json,walk,dev\n', "line 2: split is 'dev', expected one of train, val, test"),
    ('file,label,split\na.json,walk,train\nb.json,walk,\n', 'line 3: no split, but 1 other lines have one'),
    ('file,label,split\na.json,walk,val\n', 'no clip is in the split train, but in val'),
    ('file,label,split\na.json,walk,train\nb.json,run,val\n',
     "line 3: the label 'run' of val is none of those of train: walk"),
])
def test_bad_tables_are_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as error:
        find_clips(table(tmp_path, text))
    assert 'clips.csv' in str(error.value)


def test_what_is_neither_folder_nor_table_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere: no such file or folder; expected a sub-folder per class'):
        find_clips(tmp_path / 'nowhere')
    np.save(tmp_path / 'a.npy', np.zeros(3))
    with pytest.raises(ValueError, match=r'a\.npy is neither a folder nor a CSV'):
        find_clips(tmp_path / 'a.npy')
    (tmp_path / 'clips.csv').write_bytes(b'file,label\n\xff\xfe,walk\n')
    with pytest.raises(ValueError, match='no CSV in UTF-8'):
        find_clips(tmp_path / 'clips.csv')
