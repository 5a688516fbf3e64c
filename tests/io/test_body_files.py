import pickle

import numpy as np
import pytest
import scipy.sparse

from motionbert_mm.io.body_files import find_body, read_body, read_dmpls, read_mean_params, read_regressor
from tests.smpl_files import OldObjects, dump
from tests.smplh_files import NUM_BETAS, NUM_JOINTS, make_body, write_body


@pytest.mark.parametrize('name', ['female/model.npz', 'SMPLH_FEMALE.npz', 'smplh/SMPLH_FEMALE.npz',
                                  'smplh/female/model.npz', 'SMPLH_FEMALE.pkl'])
def test_bodies_are_found_in_every_layout(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    assert find_body(tmp_path, 'smplh', 'female') == tmp_path / name
    with pytest.raises(FileNotFoundError, match="no smplh body of gender 'male'; expected one of male/model.npz, SM"):
        find_body(tmp_path, 'smplh', 'male')


@pytest.mark.parametrize('suffix', ['npz', 'pkl'])
def test_arrays_of_npz_and_plain_pickle(tmp_path, suffix):
    arrays, path = make_body(), tmp_path / f'SMPLH_MALE.{suffix}'
    if suffix == 'npz':
        np.savez(path, **arrays)
    else:
        path.write_bytes(pickle.dumps(arrays))
    body = read_body(path, 'smplh', 10)
    np.testing.assert_array_equal(body.template, arrays['v_template'])
    np.testing.assert_array_equal(body.shape_dirs, arrays['shapedirs'][..., :10])
    assert body.parents[:4].tolist() == [-1, 0, 0, 0] and body.num_joints == NUM_JOINTS


def test_a_pickle_of_scipy_and_chumpy_objects(tmp_path, monkeypatch):
    arrays, old = make_body(), OldObjects(monkeypatch)
    path = dump(tmp_path / 'SMPLH_MALE.pkl', old.smpl(arrays))
    old.forget()
    body = read_body(path, 'smplh', NUM_BETAS)
    np.testing.assert_array_equal(body.joint_regressor, arrays['J_regressor'])
    np.testing.assert_array_equal(body.shape_dirs, arrays['shapedirs'])
    np.testing.assert_array_equal(body.faces, arrays['f'])


def test_a_pickle_of_other_objects_is_refused(tmp_path):
    path = dump(tmp_path / 'SMPLH_MALE.pkl', {**make_body(), 'weights': scipy.sparse.eye(208).tocoo()}, 2)
    with pytest.raises(ValueError, match='asks for the global scipy.*save its arrays with numpy.savez'):
        read_body(path, 'smplh', NUM_BETAS)


@pytest.mark.parametrize('name', ['SMPL_NEUTRAL.npz', 'smpl/SMPL_NEUTRAL.pkl', 'smpl/SMPL_NEUTRAL.npz',
                                  'basicmodel_neutral_lbs_10_207_0_v1.1.0.pkl',
                                  'basicModel_neutral_lbs_10_207_0_v1.0.0.pkl',
                                  'smpl/models/basicmodel_neutral_lbs_10_207_0_v1.1.0.pkl'])
def test_smpl_is_found_under_the_names_of_its_downloads(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    assert find_body(tmp_path, 'smpl', 'neutral') == tmp_path / name
    with pytest.raises(FileNotFoundError, match='basicModel_m_lbs_10_207_0_v1.0.0.pkl.*register at https://smpl.is.tue'):
        find_body(tmp_path, 'smpl', 'male')


def test_soft_tissue_follows_the_shape(tmp_path):
    directions = np.random.default_rng(0).normal(size=(208, 3, 20))
    write_body(tmp_path / 'dmpls', eigvec=directions)
    dmpls = read_dmpls(tmp_path / 'dmpls', 'male', 8)
    body = read_body(write_body(tmp_path), 'smplh', NUM_BETAS, dmpls)
    np.testing.assert_array_equal(body.shape_dirs[..., NUM_BETAS:], directions[..., :8])


def test_face_coefficients_of_smplx_are_no_shape(tmp_path):
    joints, vertices = 55, 60
    path = write_body(tmp_path, 'SMPLX_MALE.npz', v_template=np.zeros((vertices, 3)),
                      shapedirs=np.arange(vertices * 60.0).reshape(vertices, 3, 20),
                      posedirs=np.zeros((vertices, 3, 9 * 54)), J_regressor=np.zeros((joints, vertices)),
                      kintree_table=np.zeros((2, joints)), weights=np.zeros((vertices, joints)))
    assert read_body(path, 'smplx', 10).shape_dirs.shape == (vertices, 3, 10)
    with pytest.raises(ValueError, match='has 10 shape coefficients, 16 are wanted.*--num-betas'):
        read_body(path, 'smplx', 16)


@pytest.mark.parametrize('changes, message', [
    (dict(weights=None), 'lacks weights; it holds J_regressor'),
    (dict(posedirs=np.zeros((208, 3, 207))), r'posedirs has shape \(208, 3, 207\), a smplh body of 208 vertices has'),
    (dict(shapedirs=np.zeros((208, 3, 10))), 'has 10 shape coefficients, 16 are wanted'),
    (dict(v_template=np.array([{}, {}])), 'it holds Python objects'),
    (dict(weights=np.full((208, 52), np.nan)), 'weights has dtype float64 or holds NaN'),
    (dict(v_template=np.full((208, 3), 'a')), 'v_template has dtype <U1'),
    (dict(f=np.full((4, 3), 208)), r'f has shape \(4, 3\) of int64, expected \(F, 3\) numbers of its 208 vertices'),
    (dict(f=np.zeros((4, 4), int)), r'f has shape \(4, 4\)'),
    (dict(kintree_table=np.tile(np.arange(52), (2, 1))), 'kintree_table lists the parents .* must come after its'),
])
def test_wrong_bodies_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        read_body(write_body(tmp_path, **changes), 'smplh', NUM_BETAS)


def test_torn_bodies_are_refused(tmp_path):
    path = write_body(tmp_path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match='male/model.npz: truncated .*download it again'):
        read_body(path, 'smplh', NUM_BETAS)


@pytest.mark.parametrize('content, message', [
    (np.zeros((24, 208)), r'has shape \(24, 208\), expected \(17, V\)'),
    (np.ones((17, 208)), 'row 0 sums to 208'),
    (np.full((17, 208), np.nan), 'row 0 sums to nan'),
    (np.array([{}]), 'save the joint regressor as a dense array'),
])
def test_wrong_regressors_are_refused(tmp_path, content, message):
    np.save(tmp_path / 'regressor.npy', content)
    with pytest.raises(ValueError, match=message):
        read_regressor(tmp_path / 'regressor.npy', 17)


def test_a_missing_regressor_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none.npy: no such file.* dense array \(17, V\)'):
        read_regressor(tmp_path / 'none.npy', 17)


def test_mean_parameters_of_the_official_file(tmp_path):
    np.savez(tmp_path / 'mean.npz', pose=np.arange(144, dtype=np.float32), shape=np.ones(10), cam=np.zeros(3))
    pose, betas = read_mean_params(tmp_path / 'mean.npz')
    np.testing.assert_array_equal(pose, np.arange(144))
    np.testing.assert_array_equal(betas, np.ones(10))


@pytest.mark.parametrize('changes, message', [
    (dict(pose=np.zeros(72)), r'pose has shape \(72,\) of float64 or holds NaN, expected 144 numbers'),
    (dict(shape=np.full(10, np.inf)), r'shape has shape \(10,\)'), (dict(pose=np.full(144, 'a')), 'pose has shape'),
    (dict(shape=None), 'lacks shape; it holds pose'),
])
def test_wrong_mean_parameters_are_refused(tmp_path, changes, message):
    arrays = {**dict(pose=np.zeros(144), shape=np.zeros(10)), **changes}
    np.savez(tmp_path / 'mean.npz', **{key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(ValueError, match=message):
        read_mean_params(tmp_path / 'mean.npz')
