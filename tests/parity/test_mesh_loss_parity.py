"""Losses of MotionBERT's meshes (lib/model/loss_mesh.py): values and gradients."""
import pytest
import torch

from motionbert_mm.models.losses.mesh import BodyParameters, parameter_norm
from motionbert_mm.registry import MODELS, build
from tests.parity.vectors import assert_close, load_vector, vector_cases

VECTOR = 'mb_mesh_loss'
NUM_POSE = 72  # numbers of a pose in theta
JOINT_LOSSES = {'loss_3d_pos': 'MPJPELoss', 'loss_3d_scale': 'NMPJPELoss', 'loss_3d_velocity': 'VelocityLoss',
                'loss_lv': 'LimbVarianceLoss', 'loss_lg': 'LimbLengthLoss', 'loss_a': 'AngleLoss',
                'loss_av': 'AngleVelocityLoss'}
SMPL_LOSSES = {'loss_pose': 'SMPLPoseLoss', 'loss_shape': 'SMPLShapeLoss'}
TERMS = [*JOINT_LOSSES, *SMPL_LOSSES, 'loss_norm']


def split(theta):
    return theta[..., :NUM_POSE].unflatten(-1, (-1, 3)), theta[..., NUM_POSE:]


def evaluate(name, kind):
    """Value of our counterpart of an official term, and its gradient for the prediction."""
    vector = load_vector(VECTOR)
    suffix = 'kp' if name in JOINT_LOSSES else 'theta'
    pred, target = (torch.from_numpy(vector.inputs[f'{side}_{suffix}']) for side in ('pred', 'gt'))
    pred = pred.clone().requires_grad_()
    if name in JOINT_LOSSES:
        value = build(MODELS, dict(type=JOINT_LOSSES[name]))(*(each - each[:, :, :1] for each in (pred, target)))
    elif name in SMPL_LOSSES:
        loss = build(MODELS, dict(type=SMPL_LOSSES[name], kind=kind.lower()))
        value = loss(*(BodyParameters.from_axis_angle(*split(each)) for each in (pred, target)))
    else:
        value = parameter_norm(*split(pred))
    value.backward()
    return value.detach(), pred.grad


@pytest.mark.parametrize('kind', vector_cases(VECTOR, 'args', 'loss_types'))
@pytest.mark.parametrize('name', TERMS)
def test_value(name, kind):
    assert_close(evaluate(name, kind)[0], load_vector(VECTOR).outputs[f'{kind}/{name}'])


@pytest.mark.parametrize('name', [name for name in TERMS if f'grad/{name}' in load_vector(VECTOR).outputs])
def test_gradient(name):
    assert_close(evaluate(name, 'L1')[1], load_vector(VECTOR).outputs[f'grad/{name}'], relative=1e-5)


def test_the_norm_as_the_head_sees_it():
    vector = load_vector(VECTOR)
    pose, betas = split(torch.from_numpy(vector.inputs['pred_theta']))
    if pose.norm(dim=-1).max() > 3.14:
        pytest.skip('predicted angles of the head are at most pi, those recorded are not')
    body = BodyParameters.from_axis_angle(pose, betas)
    assert_close(build(MODELS, dict(type='SMPLNormLoss'))(body, body), vector.outputs['L1/loss_norm'])


def test_everything_recorded_is_compared():
    outputs = load_vector(VECTOR).outputs
    assert {name.split('/')[1] for name in outputs} == set(TERMS)
    assert {name.split('/')[0] for name in outputs} == {*load_vector(VECTOR).meta['args']['loss_types'], 'grad'}
