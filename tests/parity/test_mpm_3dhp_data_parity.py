"""MPM's reader of MPI-INF-3DHP, common/load_data_3dhp_mae.py, against our 16 joints of it.

Two deviations are on purpose. Official: the joint called head goes to the place of the thorax, and its mean with the
head's top to that of the head, while the neck is dropped; here the thorax is the neck and the head is the head's top.
Official: 2D inputs that lie in [-1, 1] already are divided by 1000, as if they were millimetres; here they are not.
"""
import numpy as np
import pytest

from motionbert_mm.structures.skeleton import get_skeleton
from tests.parity.official_3dhp import fetch, sequences, write_test_store
from tests.parity.vectors import assert_close, load_vector

NAME = 'mpm_3dhp_data'
SOURCE, TARGET = get_skeleton('mpi_inf_3dhp17'), get_skeleton('h36m16')
METRES = dict(type='NormalizeCoords', target='root_relative')
OURS = [dict(type='ConvertSkeleton', target=TARGET.name), METRES]
THOUSAND = 1000.0
EQUAL = [joint for joint in TARGET.joints if joint not in ('thorax', 'head')]


@pytest.fixture(scope='module')
def store(tmp_path_factory):
    return write_test_store(load_vector(NAME), tmp_path_factory.mktemp('3dhp'))


def points_of(batch):
    """2D inputs and 3D targets of a batch of single frames, (N, J, 2) and (N, J, 3)."""
    return batch['inputs'][:, 0, 0, :, :2], batch['target_3d'][:, 0, 0]


def official(name):
    """The recorded arrays, 2D multiplied by 1000 again, the root at zero, where the training loop puts it."""
    outputs = load_vector(NAME).outputs
    solid = outputs[f'{name}_3d'].copy()
    solid[:, TARGET.root] = 0.0
    return outputs[f'{name}_2d'] * THOUSAND, solid


def test_joints_that_are_read_alike(store):
    places = [TARGET.index(joint) for joint in EQUAL]
    assert len(places) == 14
    for name in sequences(load_vector(NAME)):
        for ours, recorded in zip(points_of(fetch(store, name, OURS)), official(name)):
            assert_close(ours[:, places], recorded[:, places])


def test_thorax_and_head_are_other_joints(store):
    """Were the two joints of ours taken as the released code does, they would be equal too."""
    neck, head, top = map(SOURCE.index, ('neck', 'head', 'head_top'))
    thorax, crown = TARGET.index('thorax'), TARGET.index('head')
    for name in sequences(load_vector(NAME)):
        sources, ours = (points_of(fetch(store, name, pipeline)) for pipeline in ([METRES], OURS))
        for source, our, recorded in zip(sources, ours, official(name)):
            assert_close(recorded[:, thorax], source[:, head])
            assert_close(recorded[:, crown], source[:, [head, top]].mean(axis=1))
            assert_close(our[:, thorax], source[:, neck])
            assert_close(our[:, crown], source[:, top])


def test_the_official_order_is_that_of_our_joints_but_for_the_thorax():
    taken = {'thorax': 'head', 'head': 'head_top'}  # before, the official code puts its mean with the head at the top
    order = [SOURCE.index(taken.get(joint, joint)) for joint in TARGET.joints]
    assert load_vector(NAME).meta['order'] == order


def test_valid_frames(store):
    vector = load_vector(NAME)
    for name in sequences(vector):
        valid = vector.outputs[f'{name}_valid'] > 0
        visible = fetch(store, name, OURS)['visible'][:, 0, 0]
        np.testing.assert_array_equal(visible, valid[:, None].repeat(TARGET.num_joints, 1))
