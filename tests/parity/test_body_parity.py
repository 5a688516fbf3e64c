"""Skinning against the smplx package as MotionBERT calls it."""
import numpy as np
import torch

from motionbert_mm.datasets.regressed_joints import RegressedJoints
from motionbert_mm.geometry.rotation import axis_angle_to_matrix
from tests.parity.official_body import official_body, official_body_model
from tests.parity.vectors import load_vector

TOLERANCE = 1e-2  # mm


def assert_same(actual, expected_metres):
    np.testing.assert_allclose(np.asarray(actual), 1000 * expected_metres.astype(np.float64), rtol=0, atol=TOLERANCE)


def test_vertices_of_rotation_matrices():
    vector = load_vector('mb_mesh_lbs')
    model = official_body_model(vector)
    vertices = model(torch.from_numpy(vector.inputs['pose_rotmat']), torch.from_numpy(vector.inputs['betas']))
    assert_same(vertices, vector.outputs['verts_rotmat'])


def test_vertices_of_axis_angles():
    vector = load_vector('mb_mesh_lbs')
    pose = torch.from_numpy(vector.inputs['pose_aa']).unflatten(-1, (-1, 3))
    vertices = official_body_model(vector)(axis_angle_to_matrix(pose), torch.from_numpy(vector.inputs['betas']))
    assert_same(vertices, vector.outputs['verts_aa'])


def test_joints_are_the_regressor_times_the_vertices():
    vector = load_vector('mb_mesh_lbs')
    vertices = vector.outputs['verts_rotmat'].astype(np.float64)
    joints = official_body_model(vector).joints(1000 * torch.from_numpy(vertices))
    assert_same(joints, vector.inputs['J_regressor_h36m'].astype(np.float64) @ vertices)


def test_mean_parameters_are_kept():
    vector = load_vector('mb_mesh_lbs')
    model = official_body_model(vector)
    np.testing.assert_array_equal(model.mean_pose, vector.inputs['mean_pose'])
    np.testing.assert_array_equal(model.mean_betas, vector.inputs['mean_shape'])
    np.testing.assert_array_equal(model.faces, vector.inputs['f'])


def test_joints_that_data_sets_regress():
    """From axis-angles, of the vertices that a regressor uses only."""
    vector = load_vector('mb_mesh_lbs')
    regressor = vector.inputs['J_regressor_h36m']
    pose, betas = vector.inputs['pose_aa'], vector.inputs['betas']
    joints = RegressedJoints(official_body(vector), regressor)(pose.reshape(len(pose), -1, 3), betas,
                                                               np.zeros((len(pose), 3)))
    assert_same(1000 * joints, regressor @ vector.outputs['verts_aa'])
