import os

import numpy as np
import pytest

from motionbert_mm.io.work_folder import WorkFolder

SETTINGS = dict(fps=30.0, regressor='a.npy')


@pytest.fixture
def source(tmp_path):
    path = tmp_path / 'source.npz'
    path.write_bytes(b'content')
    return path


def test_pieces_survive_a_new_start_with_the_same_settings(tmp_path, source):
    WorkFolder(tmp_path / 'out', SETTINGS).save('a b/c.d', source, dict(x=np.arange(3)))
    again = WorkFolder(tmp_path / 'out', SETTINGS)
    assert again.path == tmp_path / '.out.parts'
    assert again.has('a b/c.d', source) and not again.has('a b/c', source)
    np.testing.assert_array_equal(again.load('a b/c.d')['x'], np.arange(3))
    assert list(again.load('a b/c.d')) == ['x']


def test_other_settings_start_over(tmp_path, source):
    WorkFolder(tmp_path / 'out', SETTINGS).save('a', source, dict(x=np.arange(3)))
    assert not WorkFolder(tmp_path / 'out', {**SETTINGS, 'fps': 60.0}).has('a', source)


@pytest.mark.parametrize('change', [lambda path: path.write_bytes(b'other, longer content'),
                                    lambda path: os.utime(path, ns=(0, 1))])
def test_a_piece_of_a_changed_source_is_not_taken(tmp_path, source, change):
    work = WorkFolder(tmp_path / 'out', SETTINGS)
    work.save('a', source, dict(x=np.arange(3)))
    change(source)
    assert not work.has('a', source)


@pytest.mark.parametrize('size', [0, 100])
def test_a_torn_piece_is_not_finished(tmp_path, source, size):
    work = WorkFolder(tmp_path / 'out', SETTINGS)
    work.save('a', source, dict(x=np.arange(3)))
    os.truncate(work.path / 'pieces' / 'a.npz', size)
    assert not work.has('a', source)


def test_an_interrupted_write_leaves_no_piece(tmp_path, source):
    work = WorkFolder(tmp_path / 'out', SETTINGS)
    with pytest.raises(TypeError):
        work.save('a', source, dict(x=np.arange(3), file=None, source_stamp=0))
    assert not work.has('a', source) and not list(work.path.rglob('*.npz'))
    work.remove()
    assert not work.path.exists()
