"""P-STMO's reader of MPI-INF-3DHP, common/load_data_3dhp_mae.py, from the npz through a store to the network.

Official: the root keeps its absolute place in the 3D array and is set to zero in the target later.
"""
import numpy as np
import pytest

from motionbert_mm.structures.skeleton import get_skeleton
from tests.parity.official_3dhp import fetch, sequences, write_test_store
from tests.parity.vectors import assert_close, load_vector

NAME = 'ps_3dhp_data'
ROOT = get_skeleton('mpi_inf_3dhp17').root
NUM_FRAMES = 5
PIPELINE = [dict(type='NormalizeCoords', target='root_relative', unit_mm=1.0)]  # the official network: millimetres


@pytest.fixture(scope='module')
def store(tmp_path_factory):
    return write_test_store(load_vector(NAME), tmp_path_factory.mktemp('3dhp'))


def test_2d_inputs(store):
    vector = load_vector(NAME)
    for name in sequences(vector):
        assert_close(fetch(store, name, PIPELINE)['inputs'][:, 0, 0, :, :2], vector.outputs[f'{name}_2d'])


def test_3d_targets(store):
    vector = load_vector(NAME)
    for name in sequences(vector):
        batch, official = fetch(store, name, PIPELINE), vector.outputs[f'{name}_3d'].copy()
        assert_close(batch['keypoints_3d'][:, 0, 0, ROOT], official[:, ROOT])
        official[:, ROOT] = 0
        assert_close(batch['target_3d'][:, 0, 0], official)


def test_valid_frames(store):
    vector = load_vector(NAME)
    for name in sequences(vector):
        valid = vector.outputs[f'{name}_valid'] > 0
        np.testing.assert_array_equal(fetch(store, name, PIPELINE)['visible'][:, 0, 0], valid[:, None].repeat(17, 1))
        batch = fetch(store, name, PIPELINE, NUM_FRAMES, valid_only=True)
        np.testing.assert_array_equal(batch['frame_ids'][:, NUM_FRAMES // 2], np.flatnonzero(valid))
        frames = np.flatnonzero(valid)[:, None] + np.arange(NUM_FRAMES) - NUM_FRAMES // 2
        frames = np.clip(frames, 0, len(valid) - 1)  # Official: edges are repeated; neighbours need not be valid
        assert_close(batch['inputs'][:, 0, :, :, :2], vector.outputs[f'{name}_2d'][frames])


def test_sides():
    skeleton = get_skeleton('mpi_inf_3dhp17')
    # Official: kps_left and kps_right of the reader.
    assert sorted(skeleton.left) == [5, 6, 7, 11, 12, 13] and sorted(skeleton.right) == [2, 3, 4, 8, 9, 10]
