import math

import pytest
import torch

from motionbert_mm.geometry.rotation import axis_angle_to_matrix, rotation_6d_to_matrix
from motionbert_mm.models.losses import mesh as losses
from motionbert_mm.models.losses.mesh import BodyParameters
from motionbert_mm.registry import MODELS, build

NAMES = {'SMPLPoseLoss': 'loss_pose', 'SMPLAxisAngleLoss': 'loss_axis_angle', 'SMPLShapeLoss': 'loss_shape',
         'SMPLNormLoss': 'loss_norm'}
DISTANCES = [name for name in NAMES if name != 'SMPLNormLoss']


def bodies(seed=0, clips=2, frames=5):
    generator = torch.Generator().manual_seed(seed)
    pose = 0.4 * torch.randn(clips, frames, 24, 3, generator=generator)
    return pose, torch.randn(clips, frames, 10, generator=generator)


def parameters(seed=0):
    return BodyParameters.from_axis_angle(*bodies(seed))


def make(loss_type, **options):
    return build(MODELS, dict(type=loss_type, **options))


@pytest.mark.parametrize('kind', NAMES)
def test_loss_is_registered_under_its_name_and_keeps_its_weight(kind):
    loss = make(kind, weight=20.0)
    assert (loss.name, loss.weight) == (NAMES[kind], 20.0)
    assert make(kind, name='loss_other').name == 'loss_other'
    value = loss(parameters(0), parameters(1))
    assert value.shape == () and value > 0 and value == make(kind)(parameters(0), parameters(1))


@pytest.mark.parametrize('kind', DISTANCES)
def test_equal_bodies_are_at_no_distance(kind):
    for distance in ('l1', 'mse'):
        assert make(kind, kind=distance)(parameters(), parameters()) == 0.0


def test_a_quarter_turn_of_one_joint_by_hand():
    pred, betas = torch.zeros(1, 1, 24, 3), torch.zeros(1, 1, 10)
    pred[0, 0, 5, 2] = math.pi / 2
    pair = BodyParameters.from_axis_angle(pred, betas), BodyParameters.from_axis_angle(0 * pred, betas)
    # Four entries of one matrix of 24 differ, each by 1.
    assert make('SMPLPoseLoss')(*pair).item() == pytest.approx(4 / (24 * 9))
    assert make('SMPLPoseLoss', kind='mse')(*pair).item() == pytest.approx(4 / (24 * 9))
    assert make('SMPLAxisAngleLoss')(*pair).item() == pytest.approx(math.pi / 2 / 72)
    assert make('SMPLAxisAngleLoss', kind='mse')(*pair).item() == pytest.approx((math.pi / 2) ** 2 / 72, rel=1e-5)
    assert make('SMPLNormLoss')(*pair).item() == pytest.approx(math.pi / 2)


def test_shape_and_norms_by_hand():
    pose, betas = torch.zeros(1, 2, 24, 3), torch.zeros(1, 2, 10)
    pose[..., 3, 0], betas[..., 0] = 0.3, 0.4
    pred, target = BodyParameters.from_axis_angle(pose, betas), BodyParameters.from_axis_angle(0 * pose, 0 * betas)
    assert make('SMPLShapeLoss')(pred, target).item() == pytest.approx(0.04)
    assert make('SMPLShapeLoss', kind='mse')(pred, target).item() == pytest.approx(0.016)
    assert make('SMPLNormLoss')(pred, target).item() == pytest.approx(0.5)
    assert make('SMPLNormLoss', joint=False)(pred, target).item() == pytest.approx(0.7)


def test_long_and_short_axis_angles_of_one_rotation_are_the_same_body():
    pose, betas = bodies()
    angle = pose.norm(dim=-1, keepdim=True)
    long = pose * (1 - 2 * math.pi / angle)
    assert long.norm(dim=-1).min() > math.pi
    value = make('SMPLAxisAngleLoss')(*(BodyParameters.from_axis_angle(each, betas) for each in (pose, long)))
    assert value < 1e-5


@pytest.mark.parametrize('kind', NAMES)
def test_frames_of_weight_zero_do_not_count(kind):
    pred, target, weight = parameters(0), parameters(1), torch.ones(2, 5)
    weight[0, 3:] = 0.0
    changed = BodyParameters(*(value.clone() for value in pred))
    changed.rotations[0, 3:], changed.betas[0, 3:] = target.rotations[0, :2], 7.0
    loss = make(kind)
    torch.testing.assert_close(loss(pred, target, weight), loss(changed, target, weight.bool()))
    torch.testing.assert_close(loss(pred, target, torch.ones(2, 5)), loss(pred, target))
    assert 0 < loss(pred, target, weight) < loss(pred, target)


@pytest.mark.parametrize('kind', NAMES)
@pytest.mark.parametrize('options', [{}, dict(kind='mse'), dict(joint=False)], ids=str)
def test_gradients_at_identity_rotations_are_finite(kind, options):
    if ('kind' in options and kind not in DISTANCES) or ('joint' in options and kind in DISTANCES):
        options = {}
    six = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]).repeat(2, 5, 24, 1).requires_grad_()
    betas = torch.zeros(2, 5, 10, requires_grad=True)
    pred = BodyParameters(rotation_6d_to_matrix(six), betas)
    for target in (BodyParameters(pred.rotations.detach(), betas.detach()), parameters()):
        loss = make(kind, **options)(pred, target)
        gradients = torch.autograd.grad(loss, (six, betas), retain_graph=True, allow_unused=True)
        assert torch.isfinite(loss) and all(torch.isfinite(value).all() for value in gradients if value is not None)


def test_gradients_lead_to_the_target():
    target = parameters(1)
    six = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]).repeat(2, 5, 24, 1).requires_grad_()
    optimizer, loss = torch.optim.Adam([six], lr=0.1), make('SMPLPoseLoss', kind='mse')
    for _ in range(50):
        optimizer.zero_grad()
        value = loss(BodyParameters(rotation_6d_to_matrix(six), target.betas), target)
        value.backward()
        optimizer.step()
    assert value < 1e-4 < 0.01 < loss(BodyParameters(axis_angle_to_matrix(torch.zeros(2, 5, 24, 3)), target.betas),
                                      target)


@pytest.mark.parametrize('kind', NAMES)
def test_half_precision_is_computed_in_single(kind):
    halves = [BodyParameters(*(value.bfloat16() for value in parameters(seed))) for seed in (0, 1)]
    value = make(kind)(*halves)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, make(kind)(*(half.in_float32() for half in halves)), rtol=0, atol=0)


def test_parameters_become_axis_angle_again():
    pose, betas = bodies()
    torch.testing.assert_close(BodyParameters.from_axis_angle(pose, betas).pose, pose, rtol=1e-5, atol=1e-5)


def test_no_frames_give_zero_that_backward_accepts():
    empty = torch.zeros(0, 5, 10, requires_grad=True)
    losses.parameter_l1(empty, empty.detach()).backward()
    assert empty.grad is not None


@pytest.mark.parametrize('kind', DISTANCES)
def test_an_unknown_distance_is_named(kind):
    with pytest.raises(ValueError, match=f"{kind} got kind='L1', expected one of .'l1', 'mse'."):
        make(kind, kind='L1')


def test_shapes_that_do_not_belong_together_are_named():
    pred, target = parameters(0), parameters(1)
    with pytest.raises(ValueError, match=r'SMPLPoseLoss compares rotations .* target \[\(2, 4, 24, 3, 3\)'):
        make('SMPLPoseLoss')(pred, BodyParameters(target.rotations[:, :4], target.betas[:, :4]))
    with pytest.raises(ValueError, match=r'weight \(2, 5, 17\)'):
        make('SMPLShapeLoss')(pred, target, torch.ones(2, 5, 17))
