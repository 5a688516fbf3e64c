"""MeshRegressor of MotionBERT (lib/model/model_mesh.py): the network, and the bodies that it makes."""
import numpy as np
import torch

from motionbert_mm.geometry.rotation import axis_angle_to_matrix
from motionbert_mm.structures.motion_sample import MotionSample
from tests.parity.official_body import official_body_model
from tests.parity.official_model import load_official_action, make_mesh_model
from tests.parity.vectors import load_vector

VECTOR = 'mb_mesh_regressor'
ABSOLUTE = 2e-5  # networks
MILLIMETRES = 1e-2


def load():
    """The vector, our model with its weights and its body, and the representation of its inputs."""
    vector = load_vector(VECTOR)
    model = load_official_action(make_mesh_model(vector.meta['args']), vector.state_dict).eval()
    model.heads['mesh'].body = official_body_model(vector)
    with torch.no_grad():
        features = model(torch.from_numpy(vector.inputs['x']).unsqueeze(1))
    return vector, model, features


def assert_near(actual, expected, tolerance=ABSOLUTE):
    actual = actual.detach().numpy()
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


def test_representation():
    vector, _, features = load()
    assert_near(features, vector.outputs['feat'])


def test_both_branches():
    vector, model, features = load()
    head = model.heads['mesh']
    with torch.no_grad():
        for branch, frames, name, raw in ((head.pose, features.flatten(0, 1), 'pose', 'raw_pose6d'),
                                          (head.shape, features.mean(dim=1), 'shape', 'raw_shape')):
            hidden = branch.norm(branch.fc1(frames.flatten(1))).relu()
            assert_near(hidden, vector.outputs[f'hidden_{name}'])
            assert_near(branch.fc2(hidden), vector.outputs[raw])
            assert_near(branch(frames.flatten(1)), vector.outputs[raw])


def test_the_output_is_the_residual_and_the_mean_of_the_weights():
    vector, model, features = load()
    output = model.heads['mesh'](features)
    mean_pose, mean_betas = (vector.state_dict[f'head.init_{name}'].numpy() for name in ('pose', 'shape'))
    assert_near(output[..., :144].flatten(0, 1), vector.outputs['raw_pose6d'] + mean_pose)
    expected = np.repeat((vector.outputs['raw_shape'] + mean_betas)[:, None], output.shape[1], axis=1)
    assert_near(output[..., 144:], expected)


def test_bodies():
    vector, model, _ = load()
    inputs = torch.from_numpy(vector.inputs['x']).unsqueeze(1)
    samples = MotionSample(metainfo=dict(skeleton='h36m', sample_id=list(range(len(inputs)))))
    with torch.no_grad():
        predictions = model(inputs, samples, mode='predict')
    pose, betas, vertices, joints = (torch.cat([sample.get(name) for sample in predictions])
                                     for name in ('smpl_pose', 'smpl_betas', 'vertices', 'keypoints_3d'))
    theta = vector.outputs['theta']
    expected = torch.from_numpy(theta[..., :72]).unflatten(-1, (24, 3))
    # Near half a turn rounding decides between two vectors for one rotation; matrices tell what is meant.
    assert_near(axis_angle_to_matrix(pose), axis_angle_to_matrix(expected).numpy())
    far = expected.norm(dim=-1) < 3.0
    assert far.any()
    assert_near(pose[far], expected[far].numpy())
    assert_near(betas, theta[..., 72:])
    assert_near(vertices, vector.outputs['verts'], MILLIMETRES)
    assert_near(joints, vector.outputs['kp_3d'], MILLIMETRES)
