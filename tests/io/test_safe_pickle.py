import collections
import datetime
import io
import os
import pickle
import zipfile

import numpy as np
import pytest

from motionbert_mm.io import safe_pickle


def dump(path, content, protocol=pickle.HIGHEST_PROTOCOL):
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def sample():
    rng = np.random.default_rng(0)
    ragged = np.empty(2, dtype=object)
    ragged[:] = [{'name': 'a'}, rng.random(3)]
    return {'pose': rng.random((4, 3)).astype(np.float32), 'fortran': np.asfortranarray(rng.random((3, 2))),
            'flags': np.array([True, False]), 'names': np.array(['left', 'right']), 'empty': np.zeros((0, 3)),
            'scalar': np.float64(2.5), 'count': np.int64(7), 'word': np.str_('walk'), 'ragged': ragged,
            'plain': [1, 2.5, 'text', None, True, (1, 2), {3}, frozenset({4}), b'\xff\x00', 1j, slice(1, 2)],
            'ordered': collections.OrderedDict(a=1), 'grouped': collections.defaultdict(list, b=[2])}


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_containers_survive_every_protocol(tmp_path, protocol):
    content, expected = safe_pickle.load(dump(tmp_path / 'a.pkl', sample(), protocol)), sample()
    assert list(content) == list(expected)
    for key in ('pose', 'fortran', 'flags', 'names', 'empty', 'scalar', 'count', 'word'):
        np.testing.assert_array_equal(content[key], expected[key])
        assert type(content[key]) is type(expected[key]) and content[key].dtype == expected[key].dtype
    assert content['plain'] == expected['plain']
    assert content['ordered'] == expected['ordered'] and content['grouped'] == expected['grouped']
    assert content['ragged'][0] == {'name': 'a'}
    np.testing.assert_array_equal(content['ragged'][1], expected['ragged'][1])


@pytest.mark.parametrize('core', ['numpy.core', 'numpy._core'])
def test_module_names_of_numpy_1_and_2_are_known(tmp_path, core):
    stream = pickle.dumps([np.arange(3), np.float64(1.5)], 2)
    for other in (b'numpy._core', b'numpy.core'):
        stream = stream.replace(b'c' + other + b'.', b'c' + core.encode() + b'.')
    (tmp_path / 'a.pkl').write_bytes(stream)
    array, scalar = safe_pickle.load(tmp_path / 'a.pkl')
    np.testing.assert_array_equal(array, [0, 1, 2])
    assert scalar == 1.5


class Attack:
    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('protocol', [0, 2, 5])
def test_code_is_refused_by_name_and_not_run(tmp_path, protocol):
    victim = tmp_path / 'made_by_attack'
    path = dump(tmp_path / 'a.pkl', {'x': Attack(os.mkdir, str(victim))}, protocol)
    with pytest.raises(safe_pickle.UnsafePickleError, match=rf'a\.pkl.*{os.mkdir.__module__}\.mkdir.*numpy\.savez'):
        safe_pickle.load(path)
    assert not victim.exists()


@pytest.mark.parametrize('content, name', [
    (datetime.date(2020, 1, 1), 'datetime.date'),
    (Attack(eval, '1'), 'builtins.eval'),
    (Attack(getattr, 'a', 'upper'), 'builtins.getattr'),
    (Attack(np.load, 'x'), r'numpy.*load'),
    (np.random.default_rng(0), 'numpy.random'),
])
def test_other_globals_are_refused(tmp_path, content, name):
    with pytest.raises(safe_pickle.UnsafePickleError, match=name):
        safe_pickle.load(dump(tmp_path / 'a.pkl', content))


def test_object_array_with_code_inside_is_refused(tmp_path):
    array = np.array([Attack(os.getcwd)], dtype=object)
    with pytest.raises(safe_pickle.UnsafePickleError, match='getcwd'):
        safe_pickle.load(dump(tmp_path / 'a.pkl', array))


def test_dtype_with_false_flags_is_refused(tmp_path):
    # An object dtype that denies holding objects makes numpy take these eight bytes for a pointer.
    stream = pickle.dumps(np.array([None], dtype=object), 2)
    forged = stream.replace(b'K?', b'K\x00').replace(b']q\x11Na', b'U\x08' + b'\x01' * 8)
    assert len(forged) == len(stream) + 5
    (tmp_path / 'a.pkl').write_bytes(forged)
    with pytest.raises(safe_pickle.UnsafePickleError, match='dtype'):
        safe_pickle.load(tmp_path / 'a.pkl')


def test_structured_array_is_refused(tmp_path):
    with pytest.raises(safe_pickle.UnsafePickleError, match='dtype'):
        safe_pickle.load(dump(tmp_path / 'a.pkl', [np.zeros(2, dtype=[('x', 'f4'), ('y', 'O')])]))


def test_bytes_of_other_codecs_are_refused(tmp_path):
    import codecs
    with pytest.raises(safe_pickle.UnsafePickleError, match='rot13'):
        safe_pickle.load(dump(tmp_path / 'a.pkl', Attack(codecs.encode, 'a', 'rot13')))


def test_array_of_an_array_subclass_is_refused(tmp_path):
    array = np.zeros(2).view(np.matrix)
    with pytest.raises(safe_pickle.UnsafePickleError, match='matrix'):
        safe_pickle.load(dump(tmp_path / 'a.pkl', array))


@pytest.mark.parametrize('keep', [0, 1, 40, -1])
def test_truncated_file_is_named(tmp_path, keep):
    path = tmp_path / 'torn.pkl'
    path.write_bytes(pickle.dumps(sample())[:keep])
    with pytest.raises(ValueError, match=r'torn\.pkl: not a complete pickle'):
        safe_pickle.load(path)


def test_text_file_is_no_pickle(tmp_path):
    path = tmp_path / 'a.pkl'
    path.write_text('{"a": 1}')
    with pytest.raises(ValueError, match='not a complete pickle'):
        safe_pickle.load(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='nothing.pkl'):
        safe_pickle.load(tmp_path / 'nothing.pkl')


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_archives_with_objects_are_read_as_numpy_reads_them(tmp_path, save):
    tree = {'S1': {'Walking 1': np.ones((2, 32, 3), np.float32)}}
    content = dict(positions=tree, plain=np.arange(6).reshape(2, 3), names=np.array(['a', 'b']),
                   ragged=sample()['ragged'])
    save(tmp_path / 'a.npz', **content)
    arrays = safe_pickle.load_npz(tmp_path / 'a.npz')
    with np.load(tmp_path / 'a.npz', allow_pickle=True) as expected:
        assert list(arrays) == expected.files
        for name in ('plain', 'names'):
            np.testing.assert_array_equal(arrays[name], expected[name])
            assert arrays[name].dtype == expected[name].dtype
        assert arrays['ragged'].shape == expected['ragged'].shape == (2,)
    assert arrays['positions'].shape == ()
    np.testing.assert_array_equal(arrays['positions'].item()['S1']['Walking 1'], tree['S1']['Walking 1'])


def test_headers_of_the_second_format_version_are_read(tmp_path):
    member = io.BytesIO()
    np.lib.format.write_array(member, np.arange(3), version=(2, 0))
    with zipfile.ZipFile(tmp_path / 'a.npz', 'w') as archive:
        archive.writestr('x.npy', member.getvalue())
    np.testing.assert_array_equal(safe_pickle.load_npz(tmp_path / 'a.npz')['x'], [0, 1, 2])


def test_code_in_an_archive_is_refused_and_not_run(tmp_path):
    victim = tmp_path / 'made_by_attack'
    np.savez(tmp_path / 'a.npz', fine=np.arange(3), bad=np.array([Attack(os.mkdir, str(victim))], dtype=object))
    with pytest.raises(safe_pickle.UnsafePickleError, match=r'a\.npz: bad\.npy: .*mkdir'):
        safe_pickle.load_npz(tmp_path / 'a.npz')
    assert not victim.exists()


@pytest.mark.parametrize('keep', [0, 1, 300, -1])
def test_truncated_archive_is_named(tmp_path, keep):
    np.savez(tmp_path / 'whole.npz', x=np.arange(100), y={'a': 1})
    (tmp_path / 'torn.npz').write_bytes((tmp_path / 'whole.npz').read_bytes()[:keep])
    with pytest.raises(ValueError, match=r'torn\.npz: not a complete \.npz file'):
        safe_pickle.load_npz(tmp_path / 'torn.npz')


def test_missing_archive_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='nothing.npz'):
        safe_pickle.load_npz(tmp_path / 'nothing.npz')
