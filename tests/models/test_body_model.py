import sys

import numpy as np
import pytest
import smplx
import torch
from smplx.utils import Struct

from motionbert_mm.geometry.rotation import axis_angle_to_matrix, rotation_6d_to_matrix
from motionbert_mm.models.body_model import BodyModel
from motionbert_mm.structures.skeleton import get_skeleton
from motionbert_mm.structures.synthetic_body import synthetic_body, synthetic_regressor
from tests.smpl_files import NUM_FACES, NUM_VERTICES, OldObjects, dump, h36m_regressor, smpl_arrays, write_regressor

H36M = get_skeleton('h36m')


@pytest.fixture
def model():
    return BodyModel('synthetic')


def random_input(frames=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    axis_angle = 0.4 * torch.randn(frames, 24, 3, generator=generator)
    return axis_angle_to_matrix(axis_angle), torch.randn(frames, 10, generator=generator)


def write_small(folder, **changes):
    """A body of 40 vertices and its regressor."""
    arrays = {**smpl_arrays(num_vertices=40), **changes}
    np.savez(folder / 'SMPL_NEUTRAL.npz', **arrays)
    return folder / 'SMPL_NEUTRAL.npz', write_regressor(folder, arrays)


@pytest.mark.parametrize('num_betas, form', [(10, 'npz'), (300, 'npz'), (10, 'pkl')])
def test_real_layout_at_full_size(tmp_path, monkeypatch, num_betas, form):
    arrays = smpl_arrays(num_betas)
    path = tmp_path / f'SMPL_NEUTRAL.{form}'
    if form == 'npz':
        np.savez(path, **arrays)
    else:
        old = OldObjects(monkeypatch)
        dump(path, old.smpl(arrays))
        old.forget()
    np.savez(tmp_path / 'smpl_mean_params.npz', pose=np.tile([1, 0, 0, 1, 0, 0], 24), shape=np.ones(10), cam=np.ones(3))
    model = BodyModel(path, write_regressor(tmp_path, arrays), tmp_path / 'smpl_mean_params.npz')
    assert model.num_vertices == NUM_VERTICES and model.faces.shape == (NUM_FACES, 3)
    torch.testing.assert_close(rotation_6d_to_matrix(model.mean_pose.view(24, 6)), torch.eye(3).expand(24, 3, 3))
    assert model.mean_betas.tolist() == [1] * 10
    vertices = model(*random_input())
    joints = model.joints(vertices)
    assert vertices.shape == (2, NUM_VERTICES, 3) and joints.shape == (2, 17, 3)
    assert torch.isfinite(vertices).all()
    expected = h36m_regressor(arrays) @ vertices.numpy().astype(np.float64)
    np.testing.assert_allclose(joints, expected, atol=1e-2)


def test_joints_alone_are_those_of_the_whole_mesh():
    model, generator = BodyModel('synthetic'), torch.Generator().manual_seed(0)
    pose, betas = torch.randn(4, 24, 3, generator=generator), torch.randn(4, 10, generator=generator)
    rotations = axis_angle_to_matrix(pose)
    assert model.joint_skin.num_vertices < model.num_vertices
    torch.testing.assert_close(model.pose_joints(rotations, betas), model.joints(model(rotations, betas)), rtol=0,
                               atol=1e-3)



def test_equal_to_the_smpl_class_of_smplx(tmp_path):
    arrays = smpl_arrays()
    np.savez(tmp_path / 'SMPL_NEUTRAL.npz', **arrays)
    model = BodyModel(tmp_path, write_regressor(tmp_path, arrays))
    rotations, betas = random_input(3)
    with np.load(tmp_path / 'SMPL_NEUTRAL.npz') as content:
        official = smplx.SMPL('', data_struct=Struct(**content), batch_size=3)
    with torch.no_grad():
        expected = official(betas, rotations[:, 1:], rotations[:, :1], pose2rot=False).vertices
    torch.testing.assert_close(model(rotations, betas), 1000 * expected, rtol=0, atol=1e-2)


def test_nothing_enters_a_checkpoint(model):
    assert model.state_dict() == {} and not list(model.parameters())


def test_a_turned_root_turns_the_mesh(model):
    """About the root joint, which the synthetic body has at the origin."""
    rotations, betas = random_input()
    turned = rotations.clone()
    turn = axis_angle_to_matrix(torch.tensor([0.3, -0.8, 0.5]))
    turned[:, 0] = turn @ rotations[:, 0]
    torch.testing.assert_close(model(turned, betas), model(rotations, betas) @ turn.T, rtol=0, atol=1e-2)


def test_each_pose_of_a_batch_is_on_its_own(model):
    rotations, betas = random_input(4)
    torch.testing.assert_close(model(rotations, betas)[2:3], model(rotations[2:3], betas[2:3]), rtol=0, atol=1e-3)


def test_rotations_in_any_memory_layout(model):
    rotations, betas = random_input()
    strided = rotations.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
    torch.testing.assert_close(model(strided, betas), model(rotations, betas), rtol=0, atol=0)


def test_joints_keep_leading_axes(model):
    vertices = model(*random_input(6))
    grouped = model.joints(vertices.view(2, 1, 3, -1, 3))
    assert grouped.shape == (2, 1, 3, 17, 3)
    torch.testing.assert_close(grouped.view(6, 17, 3), model.joints(vertices), rtol=0, atol=1e-3)


def test_gradients_reach_pose_and_shape(model):
    rotations, betas = (value.requires_grad_() for value in random_input())
    vertices = model(rotations, betas)
    (vertices.square().mean() + model.joints(vertices).square().mean()).backward()
    assert torch.isfinite(rotations.grad).all() and rotations.grad[:, 0].abs().min() > 0
    assert (betas.grad.abs() > 0).all()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_mixed_precision_computes_in_single(model, dtype):
    rotations, betas = (value.to(dtype) for value in random_input())
    expected = model(rotations.float(), betas.float())
    with torch.autocast('cpu', torch.bfloat16):
        vertices = model(rotations, betas)
        joints = model.joints(vertices)
    assert vertices.dtype == joints.dtype == torch.float32
    torch.testing.assert_close(vertices, expected, rtol=0, atol=0)
    torch.testing.assert_close(joints, model.joints(expected), rtol=0, atol=0)


def test_without_mean_parameters_the_person_is_upright_in_the_camera(model):
    rotations = rotation_6d_to_matrix(model.mean_pose.view(1, 24, 6))
    joints = model.joints(model(rotations, model.mean_betas[None]))[0]
    head, root, ankle = (joints[H36M.index(name)] for name in ('head', 'root', 'left_ankle'))
    assert head[1] < root[1] - 500 < ankle[1] - 1000  # y points down
    assert joints[H36M.index('left_hip'), 0] > 50 and model.mean_betas.abs().max() == 0
    assert joints[H36M.index('nose'), 2] < 0  # the face looks at the camera


def test_exchanged_sides_of_the_regressor_are_put_right(tmp_path):
    path, regressor = write_small(tmp_path)
    expected = BodyModel(path, regressor).regressor
    np.save(regressor, np.load(regressor)[list(H36M.flip_indices)])
    torch.testing.assert_close(BodyModel(path, regressor).regressor, expected)


def test_faces_are_those_of_the_file(tmp_path):
    path, regressor = write_small(tmp_path)
    np.testing.assert_array_equal(BodyModel(path, regressor).faces, smpl_arrays(num_vertices=40)['f'])
    with np.load(path) as content:
        arrays = {name: content[name] for name in content if name != 'f'}
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match='read without faces'):
        _ = BodyModel(path, regressor).faces


def test_a_missing_file_says_where_to_get_it(tmp_path):
    for path in (tmp_path / 'SMPL_NEUTRAL.npz', tmp_path):
        with pytest.raises(FileNotFoundError, match=r'SMPL_NEUTRAL.npz.*register at https://smpl.is.tue.mpg.de'):
            BodyModel(path, 'regressor.npy')


def test_a_missing_regressor_is_named(tmp_path):
    path, regressor = write_small(tmp_path)
    with pytest.raises(ValueError, match='needs regressor=.*J_regressor_h36m_correct.npy'):
        BodyModel(path)
    with pytest.raises(FileNotFoundError, match='none.npy: no such file'):
        BodyModel(path, tmp_path / 'none.npy')
    with pytest.raises(ValueError, match="path='synthetic' brings its own regressor"):
        BodyModel('synthetic', regressor)


def test_other_bodies_are_refused(tmp_path):
    path, regressor = write_small(tmp_path, shapedirs=np.zeros((40, 3, 9)))
    with pytest.raises(ValueError, match='has 9 shape coefficients, 10 are wanted'):
        BodyModel(path, regressor)
    path, _ = write_small(tmp_path, posedirs=np.zeros((40, 3, 459)))
    with pytest.raises(ValueError, match=r'posedirs has shape \(40, 3, 459\), a smpl body'):
        BodyModel(path, regressor)
    body = synthetic_body()
    with pytest.raises(ValueError, match='24 joints and 9 shape coefficients, expected 24 and at least 10'):
        BodyModel.from_body(type(body)(**{**vars(body), 'shape_dirs': body.shape_dirs[..., :9]}), synthetic_regressor())
    with pytest.raises(ValueError, match='regressor has 30 columns'):
        BodyModel.from_body(body, synthetic_regressor()[:, :30])


@pytest.mark.parametrize('shapes', [((2, 24, 3), (2, 10)), ((2, 23, 3, 3), (2, 10)), ((2, 24, 3, 3), (2, 11)),
                                    ((2, 24, 3, 3), (1, 10)), ((24, 3, 3), (10,))])
def test_wrong_shapes_are_refused(model, shapes):
    with pytest.raises(ValueError, match=r'expected \(N, 24, 3, 3\) and \(N, 10\)'):
        model(*map(torch.zeros, shapes))


def test_without_smplx_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'smplx', None)
    monkeypatch.setitem(sys.modules, 'smplx.lbs', None)
    with pytest.raises(ImportError, match=r"pip install 'motionbert_mm\[smpl\]'"):
        BodyModel('synthetic')
