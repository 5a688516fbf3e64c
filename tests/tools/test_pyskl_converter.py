import pickle
import sys

import numpy as np
import pytest

from motionbert_mm.datasets.motion_store import MotionStore
from tests.generated import load_tool
from tests.pyskl_files import compact, dense_2d, write_pyskl, write_tiny

converter = load_tool('dataset_converters/pyskl.py')


@pytest.fixture
def convert(monkeypatch, tmp_path, capsys):
    """Call the tool; return the store and what was printed."""
    def run(source, *options):
        monkeypatch.setattr(sys, 'argv', ['pyskl.py', str(source), str(tmp_path / 'store'), *map(str, options)])
        converter.main()
        return MotionStore(tmp_path / 'store'), capsys.readouterr().out
    return run


def test_all_splits_become_one_store(convert, tmp_path):
    store, out = convert(write_tiny(tmp_path / 'tiny.pkl'), '--fps', 25)
    assert store.fps == 25 and store.info['splits'] == {'train': ['walk', 'hug'], 'val': ['alone']}
    assert '3 clips of 2 classes, coco17, 25 fps\nsplit train: 2 clips\nsplit val: 1 clips\n' in out


def test_options_and_what_was_left_out(convert, tmp_path):
    entry = compact('video', 1, 6, [(frame, 0, 0.9) for frame in range(6)])
    (tmp_path / 'kpfiles').mkdir()
    (tmp_path / 'kpfiles' / 'video.pkl').write_bytes(pickle.dumps(dict(keypoint=entry.pop('keypoint'))))
    (tmp_path / 'names.txt').write_text('walk\nhug\n')
    source = write_pyskl(tmp_path / 'k400.pkl', [entry, dense_2d('pair', 0, persons=2)],
                         dict(val=['video', 'pair', 'x']))
    store, out = convert(source, '--classes', tmp_path / 'names.txt', '--keypoint-dir', tmp_path / 'kpfiles',
                         '--max-persons', 1)
    assert [(clip.action, clip.persons) for clip in store.clips] == [('hug', 1), ('walk', 1)]
    assert out.endswith('split val: 2 clips\nleft out: 1 persons of 1 clips that have more than 1\n'
                        'left out: 1 videos of split val that have no annotation\n')


def test_joint_order_has_to_be_trusted(convert, tmp_path):
    entries = [dense_2d(str(number), 0) for number in range(6)]
    for entry in entries:
        entry['keypoint'] = entry['keypoint'][:, :, np.random.default_rng(0).permutation(17)]
    source = write_pyskl(tmp_path / 'own.pkl', entries)
    with pytest.raises(SystemExit, match='the joints are not in the order of coco17'):
        convert(source)
    assert len(convert(source, '--trust-order')[0].clips) == 6


@pytest.mark.parametrize('options, message', [(('--fps', 0), 'must be positive'), (('--max-persons', 0), 'at least 1')])
def test_senseless_options(convert, tmp_path, capsys, options, message):
    with pytest.raises(SystemExit):
        convert(tmp_path / 'tiny.pkl', *options)
    assert message in capsys.readouterr().err


def test_errors_are_one_line_and_leave_nothing(convert, tmp_path):
    source = write_pyskl(tmp_path / 'bad.pkl', [dense_2d('a', 0), dict(dense_2d('b', 0), keypoint_score=None)])
    with pytest.raises(SystemExit, match=r"bad.pkl: annotation 1 \('b'\): keypoint_score has shape \(\)") as error:
        convert(source)
    assert '\n' not in error.value.code and not (tmp_path / 'store').exists()
