"""Losses of MotionBERT (lib/model/loss.py): values and gradients."""
import numpy as np
import pytest
import torch

from motionbert_mm.geometry.bones import bone_lengths, limb_angles
from motionbert_mm.models.losses import keypoint as losses
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.skeleton import get_skeleton
from tests.parity.vectors import assert_close, load_vector

VECTOR = 'mb_losses'
LIMBS = get_skeleton('h36m').limbs

# Official name -> our class, and the input that weighs it.
CLASSES = {
    'loss_mpjpe': ('MPJPELoss', None),
    'n_mpjpe': ('NMPJPELoss', None),
    'loss_velocity': ('VelocityLoss', None),
    'loss_limb_gt': ('LimbLengthLoss', None),
    'loss_angle': ('AngleLoss', None),
    'loss_angle_velocity': ('AngleVelocityLoss', None),
    'loss_limb_var': ('LimbVarianceLoss', None),
    'weighted_mpjpe': ('MPJPELoss', 'w'),
    'loss_2d_weighted': ('Weighted2DLoss', 'conf'),
}


def tensors(vector, *names):
    return tuple(torch.from_numpy(vector.inputs[name]) for name in names)


def evaluate(vector, name, pred='pred', target='gt'):
    """Value of our counterpart of an official loss, and its gradient for the prediction."""
    pred, target = tensors(vector, pred, target)
    pred.requires_grad_()
    if name == 'loss_total':  # official weights: 1, 0.5, 20
        parts = [build(MODELS, dict(type=kind, weight=weight)) for kind, weight in
                 (('MPJPELoss', 1.0), ('NMPJPELoss', 0.5), ('VelocityLoss', 20.0))]
        value = sum(part.weight * part(pred, target) for part in parts)
    elif name == 'loss_joint':
        value = losses.coordinate_l1(pred, target)
    else:
        kind, weight = CLASSES[name]
        weight = None if weight is None else tensors(vector, weight)[0].reshape(pred.shape[:3])
        value = build(MODELS, dict(type=kind))(pred, target, weight)
    value.backward()
    return value.detach(), pred.grad


@pytest.mark.parametrize('name', [*CLASSES, 'loss_joint', 'loss_total'])
def test_value_and_gradient(name):
    vector = load_vector(VECTOR)
    value, gradient = evaluate(vector, name)
    assert_close(value, vector.outputs[name])
    assert_close(gradient, vector.outputs[f'grad/{name}'], relative=1e-5)


@pytest.mark.parametrize('name', [name for name, (_, weight) in CLASSES.items() if weight is None] + ['loss_joint'])
def test_value_for_one_frame(name):
    vector = load_vector(VECTOR)
    value, gradient = evaluate(vector, name, 'p1', 'g1')
    assert_close(value, vector.outputs[f't1/{name}'])
    assert torch.isfinite(gradient).all()


def test_every_recorded_gradient_is_compared():
    recorded = {name[len('grad/'):] for name in load_vector(VECTOR).outputs if name.startswith('grad/')}
    assert recorded == {*CLASSES, 'loss_joint', 'loss_total'}


def test_bone_losses_up_to_their_built_in_factors():
    vector = load_vector(VECTOR)
    lengths = tensors(vector, 'bl_pred', 'bl_gt')
    assert_close(0.001 * losses.length_mse(*lengths), vector.outputs['weighted_bonelen_loss'])
    assert_close(0.1 * losses.length_ratio_mse(*lengths), vector.outputs['weighted_boneratio_loss'])


def test_limb_lengths_and_angles():
    vector = load_vector(VECTOR)
    pred = vector.inputs['pred'].astype(np.float64)
    assert_close(bone_lengths(pred, LIMBS), vector.outputs['get_limb_lens'])
    # The recorded float32 angles carry the rounding that the arccosine magnifies near straight limbs.
    assert_close(losses._angles(*tensors(vector, 'pred'), LIMBS, losses.H36M_ANGLES), vector.outputs['get_angles'])
    np.testing.assert_allclose(limb_angles(pred, LIMBS, losses.H36M_ANGLES), vector.outputs['get_angles'], atol=1e-3)
