import sys

import numpy as np
import pytest
import smplx
import torch

from motionbert_mm.datasets.regressed_joints import RegressedJoints
from motionbert_mm.io.body_files import read_body
from motionbert_mm.structures.body import order_regressor
from motionbert_mm.structures.skeleton import get_skeleton
from tests.smplh_files import NUM_BETAS, NUM_JOINTS, make_body, make_motion, make_regressor, write_body

H36M = get_skeleton('h36m')


@pytest.fixture
def body(tmp_path):
    return read_body(write_body(tmp_path), 'smplh', NUM_BETAS)


@pytest.fixture
def regressor():
    return make_regressor(make_body())


def test_equal_to_the_body_model_of_smplx(tmp_path):
    """The smplx package reads the same file as class SMPLH, with all its vertices."""
    arrays, hands = make_body(num_vertices=6890), np.zeros((6, 45))
    arrays['posedirs'][300:] = 0  # keeps the file small to compress
    path = write_body(tmp_path, 'smplh/SMPLH_MALE.npz', **arrays, hands_componentsl=hands, hands_componentsr=hands,
                      hands_meanl=np.zeros(45), hands_meanr=np.zeros(45))
    rng = np.random.default_rng(0)
    regressor = rng.random((17, 6890)) * (rng.random((17, 6890)) < 0.01)
    regressor /= regressor.sum(axis=1, keepdims=True)
    motion = make_motion(5, 30.0)
    pose, betas = motion['poses'].astype(np.float32), np.tile(motion['betas'][:10], (5, 1))

    model = smplx.create(str(tmp_path), model_type='smplh', gender='male', ext='npz', use_pca=False, batch_size=5)
    parts = [torch.from_numpy(pose[:, part]) for part in (slice(0, 3), slice(3, 66), slice(66, 111), slice(111, 156))]
    with torch.no_grad():
        vertices = model(torch.from_numpy(betas).float(), *parts, transl=torch.from_numpy(motion['trans']).float())
    expected = regressor @ vertices.vertices.numpy().astype(np.float64)

    joints = RegressedJoints(read_body(path, 'smplh', 10), regressor)
    result = joints(pose.reshape(5, NUM_JOINTS, 3), betas, motion['trans'])
    np.testing.assert_allclose(result, expected, atol=2e-6)


def test_leaving_out_vertices_changes_nothing(body, regressor):
    motion = make_motion(6, 30.0)
    regressor[:, 100:] = 0
    regressor /= regressor.sum(axis=1, keepdims=True).clip(1e-9)
    arguments = motion['poses'].reshape(6, NUM_JOINTS, 3), np.tile(motion['betas'], (6, 1)), motion['trans']
    every_vertex = regressor + 1e-12  # no column is zero
    np.testing.assert_allclose(RegressedJoints(body, regressor)(*arguments),
                               RegressedJoints(body, every_vertex)(*arguments), atol=2e-6)


def test_chunks_join_seamlessly(body, regressor):
    motion = make_motion(11, 30.0)
    arguments = motion['poses'].reshape(11, NUM_JOINTS, 3), np.tile(motion['betas'], (11, 1)), motion['trans']
    whole, parts = (RegressedJoints(body, regressor, batch_frames=size)(*arguments) for size in (512, 4))
    assert whole.shape == (11, 17, 3)
    np.testing.assert_allclose(parts, whole, atol=1e-6)


@pytest.mark.parametrize('swapped, limbs', [((), ''), ((1, 2, 3, 4, 5, 6), 'legs'),
                                            (range(11, 17), 'arms'), ((*range(1, 7), *range(11, 17)), 'legs and arms')])
def test_sides_of_the_regressor_are_put_right(body, regressor, swapped, limbs):
    order = [H36M.flip_indices[row] if row in swapped else row for row in range(17)]
    repaired, note = order_regressor(regressor[order], body)
    np.testing.assert_array_equal(repaired, regressor)
    assert (f'left and right {limbs} in' in note) if limbs else note == ''


def test_another_order_is_refused(body, regressor):
    with pytest.raises(ValueError, match=r'row 1 \(right_hip\) lies at right_knee.*expected rows root, right_hip'):
        order_regressor(regressor[[0, 2, 1, *range(3, 17)]], body)


def test_a_regressor_of_another_mesh_is_refused(body, regressor):
    with pytest.raises(ValueError, match='regressor has 200 columns, the body 208 vertices'):
        RegressedJoints(body, regressor[:, :200])


def test_without_smplx_the_extra_is_named(body, regressor, monkeypatch):
    monkeypatch.setitem(sys.modules, 'smplx', None)
    monkeypatch.setitem(sys.modules, 'smplx.lbs', None)
    with pytest.raises(ImportError, match=r"pip install 'motionbert_mm\[smpl\]'"):
        RegressedJoints(body, regressor)
