import math

import pytest
import torch

from motionbert_mm.models.losses import keypoint as losses
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.skeleton import get_skeleton

NAMES = {'MPJPELoss': 'loss_mpjpe', 'NMPJPELoss': 'loss_n_mpjpe', 'VelocityLoss': 'loss_velocity',
         'Weighted2DLoss': 'loss_2d', 'LimbVarianceLoss': 'loss_limb_variance', 'LimbLengthLoss': 'loss_limb_length',
         'AngleLoss': 'loss_angle', 'AngleVelocityLoss': 'loss_angle_velocity'}
LIMBS = get_skeleton('h36m').limbs


def make_poses(frames=6, clips=2):
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(clips, frames, 17, 3, generator=generator)
    return target + 0.1 * torch.randn(target.shape, generator=generator), target


def gradient(loss, pred, *args):
    pred = pred.clone().requires_grad_()
    loss(pred, *args).backward()
    return pred.grad


@pytest.mark.parametrize('kind', NAMES)
def test_loss_is_registered_under_its_name_and_keeps_its_weight(kind):
    loss = build(MODELS, dict(type=kind, weight=20.0))
    assert (loss.name, loss.weight) == (NAMES[kind], 20.0)
    assert build(MODELS, dict(type=kind, name='loss_other')).name == 'loss_other'


@pytest.mark.parametrize('kind', NAMES)
def test_loss_is_a_finite_positive_scalar_without_its_factor(kind):
    pred, target = make_poses()
    values = [build(MODELS, dict(type=kind, weight=weight))(pred, target) for weight in (1.0, 20.0)]
    assert values[0].shape == () and values[0] > 0
    assert values[0] == values[1]


@pytest.mark.parametrize('kind', NAMES)
def test_perfect_prediction_costs_nothing(kind):
    _, target = make_poses()
    target = target[:, :1].repeat(1, 6, 1, 1)
    assert build(MODELS, dict(type=kind))(target.clone(), target) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize('kind', ['VelocityLoss', 'LimbVarianceLoss', 'AngleVelocityLoss'])
@pytest.mark.parametrize('with_weight', [False, True])
def test_one_frame_has_no_change_over_time(kind, with_weight):
    pred, target = make_poses(frames=1)
    weight = torch.ones(2, 1, 17) if with_weight else None
    pred.requires_grad_()
    value = build(MODELS, dict(type=kind))(pred, target, weight)
    value.backward()
    assert value == 0 and pred.grad.abs().max() == 0


@pytest.mark.parametrize('kind', NAMES)
@pytest.mark.parametrize('with_weight', [False, True])
def test_gradients_are_finite_for_zero_and_perfect_predictions(kind, with_weight):
    _, target = make_poses()
    weight = torch.ones(2, 6, 17) if with_weight else None
    target[0] = 0
    loss = build(MODELS, dict(type=kind))
    for pred in (torch.zeros_like(target), target):
        grad = gradient(loss, pred, target, weight)
        assert torch.isfinite(grad).all() and grad.abs().max() < 1e3


@pytest.mark.parametrize('kind', NAMES)
def test_unit_weights_change_nothing(kind):
    pred, target = make_poses()
    loss = build(MODELS, dict(type=kind))
    expected, weight = loss(pred, target), torch.ones(2, 6, 17)
    torch.testing.assert_close(loss(pred, target, weight), expected)
    torch.testing.assert_close(loss(pred, target, weight.bool()), expected)


@pytest.mark.parametrize('kind', NAMES)
def test_joints_without_weight_get_no_gradient_and_cannot_change_the_loss(kind):
    pred, target = make_poses()
    weight = torch.ones(2, 6, 17)
    weight[:, 3] = 0
    weight[:, :, 16] = 0
    loss = build(MODELS, dict(type=kind))
    changed = torch.where(weight[..., None] > 0, pred, 100.0 * pred + 7.0)
    torch.testing.assert_close(loss(changed, target, weight), loss(pred, target, weight))
    grad = gradient(loss, pred, target, weight)
    assert grad[:, 3].abs().max() == 0 and grad[:, :, 16].abs().max() == 0
    assert grad.abs().max() > 0


def test_n_mpjpe_of_a_zero_frame_is_the_size_of_the_target_and_leaves_other_frames_alone():
    pred, target = make_poses()
    others = losses.n_mpjpe(pred[:, 1:], target[:, 1:])
    pred[:, 0] = 0
    expected = (target[:, 0].norm(dim=-1).mean() + 5 * others) / 6
    torch.testing.assert_close(losses.n_mpjpe(pred, target), expected)
    grad = gradient(losses.n_mpjpe, pred, target)
    torch.testing.assert_close(grad[:, 1:], gradient(losses.n_mpjpe, pred[:, 1:], target[:, 1:]) * 5 / 6)


def test_n_mpjpe_ignores_the_scale_of_the_prediction():
    pred, target = make_poses()
    torch.testing.assert_close(losses.n_mpjpe(3.0 * pred, target), losses.n_mpjpe(pred, target))


def test_n_mpjpe_of_a_vanishing_prediction_has_finite_gradients():
    pred, target = make_poses()
    for factor in (1e-8, 1e-15, 1e-22, 1e-30):
        assert torch.isfinite(gradient(losses.n_mpjpe, factor * pred, target)).all()


def test_weighted_2d_multiplies_the_difference_and_ignores_depth():
    pred, target = torch.zeros(1, 1, 2, 3), torch.zeros(1, 1, 2, 2)
    target[0, 0, :, 0], pred[..., 2] = 4.0, 9.0
    loss = build(MODELS, dict(type='Weighted2DLoss'))
    assert loss(pred, target, torch.tensor([[[0.5, 0.25]]])) == pytest.approx((2.0 + 1.0) / 2)


def test_angle_of_a_bent_limb_by_hand():
    limbs, pairs = ((0, 1), (1, 2)), ((0, 1),)
    straight = torch.tensor([[0.0, 0, 0], [0, 1, 0], [1, 1, 0]])[None, None]
    bent = torch.tensor([[0.0, 0, 0], [0, 1, 0], [1, 2, 0]])[None, None]
    assert losses.angle(straight, bent, limbs, pairs) == pytest.approx(math.pi / 4, abs=1e-6)


def test_limb_variance_with_weights_is_that_of_the_shown_frames():
    pred, _ = make_poses()
    weight = torch.ones(2, 6, 17)
    weight[:, 4:] = 0
    torch.testing.assert_close(losses.limb_variance(pred, LIMBS, weight), losses.limb_variance(pred[:, :4], LIMBS))


def test_official_angles_are_the_joined_limbs_but_one():
    missing = set(losses.joined_limbs(LIMBS)) - set(losses.H36M_ANGLES)
    assert len(losses.H36M_ANGLES) == 18 and missing == {(8, 10)}


def test_limb_losses_work_on_another_skeleton():
    loss = build(MODELS, dict(type='AngleLoss', skeleton='h36m16'))
    pred, target = make_poses()
    assert loss(pred[:, :, :16], target[:, :, :16]) > 0
    with pytest.raises(ValueError, match=r'16 joints of h36m16, got 17.*config'):
        loss(pred, target)


def test_half_precision_is_computed_in_single():
    pred, target = make_poses()
    for kind in NAMES:
        value = build(MODELS, dict(type=kind))(pred.half(), target)
        assert value.dtype == torch.float32
    torch.testing.assert_close(losses.mpjpe(pred.half().float(), target), build(MODELS, dict(type='MPJPELoss'))(
        pred.half(), target))


@pytest.mark.parametrize('shapes, words', [
    (((2, 6, 17, 3), (2, 5, 17, 3), None), r'got prediction \(2, 6, 17, 3\) and target \(2, 5, 17, 3\)'),
    (((2, 6, 17, 3), (2, 6, 17, 1), None), 'check the frames and joints'),
    (((6, 17, 3), (6, 17, 3), None), 'N, T, J, C'),
    (((2, 6, 17, 3), (2, 6, 17, 3), (2, 6, 17, 1)), 'squeeze the channel axis'),
])
def test_shapes_that_would_broadcast_are_refused(shapes, words):
    pred, target, weight = (None if shape is None else torch.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match=words):
        build(MODELS, dict(type='MPJPELoss'))(pred, target, weight)
