import os
import sys

import numpy as np
import pytest
import scipy.sparse

from motionbert_mm.io import chumpy_pickles, safe_pickle
from tests.smpl_files import OldObjects, dump


@pytest.fixture
def old(monkeypatch):
    return OldObjects(monkeypatch)


def array(seed=0):
    return np.random.default_rng(seed).normal(size=(4, 3, 2))


def read(path, old, value, protocol=None):
    """Write a value, forget the classes, read it."""
    dump(path / 'a.pkl', {'value': value, 'name': 'lbs'}, protocol)
    old.forget()
    assert 'chumpy.ch' not in sys.modules
    return chumpy_pickles.load(path / 'a.pkl', ('value', 'absent'))['value']


@pytest.mark.parametrize('protocol', [None, 0, 1, 2, 4])
def test_wrapped_arrays_of_any_protocol(tmp_path, old, protocol):
    np.testing.assert_array_equal(read(tmp_path, old, old.chumpy(array()), protocol), array())


def test_a_selection_picks_and_reshapes(tmp_path, old):
    picked = old.make('chumpy.reordering.Select', a=old.chumpy(array()), idxs=np.array([5, 0, 7, 2]),
                      preferred_shape=(2, 2))
    np.testing.assert_array_equal(read(tmp_path, old, picked), array().ravel()[[5, 0, 7, 2]].reshape(2, 2))


def test_a_selection_without_a_shape_is_flat(tmp_path, old):
    picked = old.make('chumpy.reordering.Select', a=old.chumpy(array()), idxs=np.arange(3))
    np.testing.assert_array_equal(read(tmp_path, old, picked), array().ravel()[:3])


def test_another_shape_of_an_array(tmp_path, old):
    shaped = old.make('chumpy.reordering.Reshape', a=old.chumpy(array()), newshape=(12, 2))
    np.testing.assert_array_equal(read(tmp_path, old, shaped), array().reshape(12, 2))


def sparse_array():
    rng = np.random.default_rng(1)
    return rng.normal(size=(5, 7)) * (rng.random((5, 7)) < 0.3)


def test_a_sparse_matrix_of_old_scipy_is_written_out(tmp_path, old):
    np.testing.assert_array_equal(read(tmp_path, old, old.sparse(sparse_array())), sparse_array())


@pytest.mark.parametrize('kind', [scipy.sparse.csc_matrix, scipy.sparse.csr_matrix])
def test_sparse_matrices_of_this_scipy_are_written_out(tmp_path, old, kind):
    np.testing.assert_array_equal(read(tmp_path, old, kind(sparse_array()), 2), sparse_array())


def test_entries_that_are_given_twice_add_up(tmp_path, old):
    matrix = old.make('scipy.sparse.csc.csc_matrix', _shape=(2, 1), data=np.array([1.0, 2.0]),
                      indices=np.array([1, 1]), indptr=np.array([0, 2]))
    np.testing.assert_array_equal(read(tmp_path, old, matrix), [[0.0], [3.0]])


@pytest.mark.parametrize('changes', [
    dict(indices=np.array([0, 9])), dict(indices=np.array([0, -1])), dict(indptr=np.array([0, 1])),
    dict(indptr=np.array([0, 5, 2])), dict(data=np.array([1.0])), dict(_shape=(2**20, 2**20)), dict(_shape=(3,)),
    dict(data=np.array(['a', 'b'])), dict(indices=None), dict(indptr=np.zeros(0, int))])
def test_sparse_matrices_that_contradict_themselves_are_refused(tmp_path, old, changes):
    state = dict(_shape=(3, 2), data=np.array([1.0, 2.0]), indices=np.array([0, 1]), indptr=np.array([0, 1, 2]))
    with pytest.raises(ValueError, match=r'a.pkl: value cannot be made an array \('):
        read(tmp_path, old, old.make('scipy.sparse.csc.csc_matrix', **{**state, **changes}))


@pytest.mark.parametrize('name, state', [
    ('chumpy.ch.Ch', {}), ('chumpy.ch.Ch', {'x': 'text'}), ('chumpy.ch.MatVecMult', {'mtx': 1}),
    ('chumpy.reordering.Select', {'a': np.zeros(3), 'idxs': np.array([7])}),
    ('chumpy.reordering.Reshape', {'a': np.zeros(3), 'newshape': (2, 2)})])
def test_objects_that_are_no_array_are_refused(tmp_path, old, name, state):
    with pytest.raises(ValueError, match=r'a.pkl: value cannot be made an array \('):
        read(tmp_path, old, old.make(name, **state))


def test_an_object_inside_itself_is_refused(tmp_path, old):
    loop = old.make('chumpy.ch.Ch')
    loop.x = loop
    with pytest.raises(ValueError, match='cannot be made an array'):
        read(tmp_path, old, loop)


def test_objects_where_nobody_looks_do_no_harm(tmp_path, old):
    dump(tmp_path / 'a.pkl', {'J': old.make('chumpy.ch.MatVecMult', mtx=None), 'f': np.arange(3)})
    assert list(chumpy_pickles.load(tmp_path / 'a.pkl', ('f', 'weights'))) == ['f']


def test_other_classes_and_functions_are_refused(tmp_path, old):
    class Attack:
        def __reduce__(self):
            return os.system, (f'touch {tmp_path}/ran',)

    for value in (Attack(), old.chumpy(Attack()), old.make('chumpy.utils.Harm', x=1)):
        dump(tmp_path / 'a.pkl', {'value': value}, 2)
        with pytest.raises(safe_pickle.UnsafePickleError, match='asks for the global'):
            chumpy_pickles.load(tmp_path / 'a.pkl', ('value',))
    assert not (tmp_path / 'ran').exists()


def test_arguments_of_stand_ins_are_dropped(tmp_path, old):
    """A pickle may call the class itself, with anything."""
    (tmp_path / 'a.pkl').write_bytes(b'\x80\x02}X\x05\x00\x00\x00valuecchumpy.ch\nCh\nK\x01X\x02\x00\x00\x00ls\x86Rs.')
    with pytest.raises(ValueError, match="the pickled object has no 'x'"):
        chumpy_pickles.load(tmp_path / 'a.pkl', ('value',))


def test_a_maker_of_objects_makes_stand_ins_only(tmp_path):
    """Protocol 0 names the class to make; here that is dict."""
    (tmp_path / 'a.pkl').write_bytes(b'ccopy_reg\n_reconstructor\n(c__builtin__\ndict\nc__builtin__\nobject\nNtR.')
    with pytest.raises(safe_pickle.UnsafePickleError, match='rebuilds an object of type'):
        chumpy_pickles.load(tmp_path / 'a.pkl', ('value',))


def test_dtypes_inside_objects_are_checked(tmp_path, old):
    structured = np.zeros(2, [('a', 'f8')])
    dump(tmp_path / 'a.pkl', {'value': old.chumpy(structured)})
    with pytest.raises(ValueError, match='dtype'):
        chumpy_pickles.load(tmp_path / 'a.pkl', ('value',))


def test_the_plain_reader_stays_strict(tmp_path, old):
    dump(tmp_path / 'a.pkl', {'value': old.chumpy(array())})
    with pytest.raises(safe_pickle.UnsafePickleError, match='asks for the global chumpy.ch.Ch'):
        safe_pickle.load(tmp_path / 'a.pkl')
    dump(tmp_path / 'b.pkl', {'value': object()}, 0)
    with pytest.raises(safe_pickle.UnsafePickleError, match='asks for the global'):
        safe_pickle.load(tmp_path / 'b.pkl')


def test_what_is_no_dictionary_is_refused(tmp_path):
    with pytest.raises(ValueError, match='holds an object of type list, expected a dictionary'):
        chumpy_pickles.load(dump(tmp_path / 'a.pkl', [1]), ('value',))
