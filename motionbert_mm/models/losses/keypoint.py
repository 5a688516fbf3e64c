"""Losses between joint positions: pure functions, and one registered class for each.

Shapes are (N, T, J, C): batch (persons folded in), frames, joints, coordinates, in the units that the network
regresses. Values and gradients equal MotionBERT's (ICCV 2023, section 3.3; official lib/model/loss.py), means over
everything where the paper writes sums, except where a comment says ``Differs from official``.

Every function takes an optional weight (N, T, J), a confidence or the validity of the target as a float. It multiplies
each term and the mean stays over all of them, as in the official code. What spans several joints or frames (a limb, an
angle, a velocity) weighs as much as the least of its ends.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from motionbert_mm.geometry.bones import bone_lengths, bone_vectors
from motionbert_mm.models.losses.base import NamedLoss, weighted_mean
from motionbert_mm.registry import MODELS
from motionbert_mm.structures.skeleton import get_skeleton

Limbs = Sequence[tuple]

# MotionBERT's angles: pairs of positions in the limb list of h36m (limbs ordered by their child joint). All pairs that
# meet in a joint, except the head with the left shoulder. Official: lib/model/loss.py get_angles.
H36M_ANGLES = ((0, 3), (0, 6), (3, 6), (0, 1), (1, 2), (3, 4), (4, 5), (6, 7), (7, 10), (7, 13), (8, 13), (10, 13),
               (7, 8), (8, 9), (10, 11), (11, 12), (13, 14), (14, 15))


def mpjpe(pred: Tensor, target: Tensor, weight: Optional[Tensor] = None) -> Tensor:
    """Average the distances between joints: mean ||pred - target||.

    Args:
        pred: (N, T, J, C).
        target: (N, T, J, C).
        weight: (N, T, J) or None.

    Returns:
        () in the unit of ``pred``.
    """
    return weighted_mean((pred - target).norm(dim=-1), weight)


def n_mpjpe(pred: Tensor, target: Tensor, weight: Optional[Tensor] = None) -> Tensor:
    """Average the distances after the best scale of every predicted frame; gradients flow through the scale.

    Arguments and result as in :func:`mpjpe`; the scale is fitted with ``weight`` too.
    """
    terms = weight.unsqueeze(-1) if weight is not None else 1.0
    power = (terms * pred.square()).sum(dim=-1).mean(dim=-1)
    overlap = (terms * target * pred).sum(dim=-1).mean(dim=-1)
    # Differs from official: an all-zero predicted frame, NaN there, keeps its zeros and gets no gradient.
    scale = overlap / torch.where(power > 1e-20, power, torch.ones_like(power))
    return mpjpe(scale[..., None, None] * pred, target, weight)


def velocity(pred: Tensor, target: Tensor, weight: Optional[Tensor] = None) -> Tensor:
    """Average the distances between the frame differences; 0 for one frame.

    Arguments and result as in :func:`mpjpe`.
    """
    if weight is not None:
        weight = torch.minimum(weight[:, 1:], weight[:, :-1])
    return mpjpe(pred.diff(dim=1), target.diff(dim=1), weight)


def weighted_2d(pred: Tensor, target: Tensor, weight: Optional[Tensor] = None) -> Tensor:
    """Average the distances in the image plane, the difference of each joint multiplied by its confidence.

    Args:
        pred: (N, T, J, C >= 2); x and y are compared, which is the orthographic projection of a 3D pose.
        target: (N, T, J, C >= 2).
        weight: (N, T, J) confidence of the *uncorrupted* 2D input, or None.

    Returns:
        () in the unit of ``pred``; not divided by the sum of the confidence.
    """
    difference = pred[..., :2] - target[..., :2]
    if weight is not None:
        difference = difference * weight.unsqueeze(-1)
    return weighted_mean(difference.norm(dim=-1))


def limb_variance(pred: Tensor, limbs: Limbs, weight: Optional[Tensor] = None) -> Tensor:
    """Average over limbs the unbiased variance over time of the limb's length; 0 for one frame.

    Args:
        pred: (N, T, J, C).
        limbs: (parent, child) joint indices.
        weight: (N, T, J) or None; with weights the variance is the unbiased one of weighted frames, and a limb
            that fewer than two frames show adds 0.

    Returns:
        () in the squared unit of ``pred``.
    """
    if pred.shape[1] < 2:
        return pred[..., :0].sum()
    lengths = bone_lengths(pred, limbs)
    if weight is None:
        return lengths.var(dim=1).mean()
    weight = _limb_weight(weight, limbs)
    total = weight.sum(dim=1)
    mean = (weight * lengths).sum(dim=1) / total.clamp_min(1e-6)
    spread = (weight * (lengths - mean.unsqueeze(1)).square()).sum(dim=1)
    freedom = total - weight.square().sum(dim=1) / total.clamp_min(1e-6)
    enough = freedom > 1e-6
    return weighted_mean(spread / torch.where(enough, freedom, torch.ones_like(freedom)), enough.to(spread))


def limb_length(pred: Tensor, target: Tensor, limbs: Limbs, weight: Optional[Tensor] = None) -> Tensor:
    """Average the absolute differences of limb lengths.

    Args:
        pred: (N, T, J, C).
        target: (N, T, J, C).
        limbs: (parent, child) joint indices.
        weight: (N, T, J) or None.

    Returns:
        () in the unit of ``pred``.
    """
    if weight is not None:
        weight = _limb_weight(weight, limbs)
    return weighted_mean((bone_lengths(pred, limbs) - bone_lengths(target, limbs)).abs(), weight)


def angle(pred: Tensor, target: Tensor, limbs: Limbs, pairs: Limbs, weight: Optional[Tensor] = None) -> Tensor:
    """Average the absolute differences of the angles between limbs.

    Args:
        pred: (N, T, J, C).
        target: (N, T, J, C).
        limbs: (parent, child) joint indices.
        pairs: pairs of positions in ``limbs``.
        weight: (N, T, J) or None.

    Returns:
        () in radians.
    """
    if weight is not None:
        weight = _angle_weight(weight, limbs, pairs)
    return weighted_mean((_angles(pred, limbs, pairs) - _angles(target, limbs, pairs)).abs(), weight)


def angle_velocity(pred: Tensor, target: Tensor, limbs: Limbs, pairs: Limbs,
                   weight: Optional[Tensor] = None) -> Tensor:
    """Average the absolute differences of the angles' changes from frame to frame; 0 for one frame.

    Arguments as in :func:`angle`; the result is in radians per frame.
    """
    if weight is not None:
        weight = _angle_weight(weight, limbs, pairs)
        weight = torch.minimum(weight[:, 1:], weight[:, :-1])
    difference = _angles(pred, limbs, pairs).diff(dim=1) - _angles(target, limbs, pairs).diff(dim=1)
    return weighted_mean(difference.abs(), weight)


def coordinate_l1(pred: Tensor, target: Tensor, weight: Optional[Tensor] = None) -> Tensor:
    """Average the absolute differences of all coordinates (official loss_joint, in no official config).

    Arguments and result as in :func:`mpjpe`.
    """
    return weighted_mean((pred - target).abs().mean(dim=-1), weight)


def length_mse(pred: Tensor, target: Tensor) -> Tensor:
    """Average the squared differences of limb lengths (N, L) (official weighted_bonelen_loss: this x 0.001)."""
    return weighted_mean((pred - target).square())


def length_ratio_mse(pred: Tensor, target: Tensor) -> Tensor:
    """Average the squared relative errors of limb lengths (N, L) (official weighted_boneratio_loss: this x 0.1)."""
    return weighted_mean(((pred - target) / target).square())


def joined_limbs(limbs: Limbs) -> tuple:
    """List the pairs of positions in ``limbs`` whose limbs meet in a joint."""
    return tuple((first, second) for second in range(len(limbs)) for first in range(second)
                 if set(limbs[first]) & set(limbs[second]))


def _angles(points: Tensor, limbs: Limbs, pairs: Limbs) -> Tensor:
    """Angles (N, T, A) in radians; an angle at a limb of length zero is undefined and gets no gradient.

    Equals ``geometry.bones.limb_angles`` up to rounding. Near straight angles the slope of the arccosine magnifies
    rounding a hundredfold, so that equal gradients need the operation of the official code.
    """
    first, second = bone_vectors(points, limbs)[..., torch.as_tensor(pairs, device=points.device), :].unbind(dim=-2)
    angles = F.cosine_similarity(first, second, dim=-1).clamp(-1 + 1e-7, 1 - 1e-7).acos()
    # Differs from official, whose gradient there is of the order of 1e8.
    return torch.where((first != 0).any(dim=-1) & (second != 0).any(dim=-1), angles, angles.detach())


def _limb_weight(weight: Tensor, limbs: Limbs) -> Tensor:
    """(N, T, J) -> (N, T, L): the lesser weight of the two ends."""
    return weight[..., torch.as_tensor(limbs, device=weight.device)].amin(dim=-1)


def _angle_weight(weight: Tensor, limbs: Limbs, pairs: Limbs) -> Tensor:
    """(N, T, J) -> (N, T, A): the least weight of the ends of both limbs."""
    return _limb_weight(_limb_weight(weight, limbs), pairs)


class KeypointLoss(NamedLoss):
    """Base of the losses on joint positions: checks and precision; subclasses write ``compute``."""

    same_channels = True

    def forward(self, pred: Tensor, target: Tensor, weight: Optional[Tensor] = None) -> Tensor:
        """Compute the loss, in float32 at least and without ``self.weight``.

        Args:
            pred: (N, T, J, C) in the units of the target.
            target: (N, T, J, C).
            weight: (N, T, J) confidence, or validity of the target as float or bool; None counts all alike.

        Returns:
            () loss.

        Raises:
            ValueError: shapes that do not belong together.
        """
        channels = None if self.same_channels else -1
        if pred.dim() != 4 or target.shape[:channels] != pred.shape[:channels]:
            raise ValueError(f'{type(self).__name__} compares (N, T, J, C) with (N, T, J, C), got prediction '
                             f'{tuple(pred.shape)} and target {tuple(target.shape)}; check the frames and joints '
                             'that the head returns against those of the pipeline')
        if weight is not None and weight.shape != pred.shape[:3]:
            raise ValueError(f'the weight of {type(self).__name__} must be (N, T, J) = {tuple(pred.shape[:3])}, '
                             f'got {tuple(weight.shape)}; squeeze the channel axis of a confidence')
        pred = pred.to(torch.promote_types(pred.dtype, torch.float32))
        return self.compute(pred, target.to(pred), None if weight is None else weight.to(pred))

    def compute(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        """Compute the loss of checked arguments, all of one floating type; shapes as in ``forward``."""
        raise NotImplementedError


@MODELS.register_module()
class MPJPELoss(KeypointLoss):
    """Mean distance of the joints (MotionBERT, L_3D); see :func:`mpjpe`."""

    name = 'loss_mpjpe'

    def compute(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        """Compute the loss."""
        return mpjpe(pred, target, weight)


@MODELS.register_module()
class CoordinateL1Loss(KeypointLoss):
    """Mean absolute error of the coordinates (MotionBERT's paper, joints of meshes); see :func:`coordinate_l1`."""

    name = 'loss_l1'

    def compute(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        """Compute the loss."""
        return coordinate_l1(pred, target, weight)


@MODELS.register_module()
class NMPJPELoss(KeypointLoss):
    """Mean distance of the joints after scaling each frame; official weight 0.5; see :func:`n_mpjpe`."""

    name = 'loss_n_mpjpe'

    def compute(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        """Compute the loss."""
        return n_mpjpe(pred, target, weight)


@MODELS.register_module()
class VelocityLoss(KeypointLoss):
    """Mean distance of the velocities (MotionBERT, L_O); official weight 20; see :func:`velocity`."""

    name = 'loss_velocity'

    def compute(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        """Compute the loss."""
        return velocity(pred, target, weight)


@MODELS.register_module()
class Weighted2DLoss(KeypointLoss):
    """Re-projection error of 2D data, weighted by confidence (MotionBERT, L_2D); see :func:`weighted_2d`."""

    name = 'loss_2d'
    same_channels = False

    def compute(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        """Compute the loss."""
        return weighted_2d(pred, target, weight)


class LimbLoss(KeypointLoss):
    """Base of the losses on limbs.

    Args:
        weight: factor that the head multiplies the loss with.
        name: key under which the loss is logged.
        skeleton: name of the skeleton whose limbs count.
    """

    def __init__(self, *, weight: float = 1.0, name: Optional[str] = None, skeleton: str = 'h36m') -> None:
        super().__init__(weight=weight, name=name)
        self.skeleton = get_skeleton(skeleton)

    def forward(self, pred: Tensor, target: Tensor, weight: Optional[Tensor] = None) -> Tensor:
        """Compute the loss; as in the base, with the joints of this skeleton."""
        if pred.shape[-2] != self.skeleton.num_joints:
            raise ValueError(f'{type(self).__name__} was built for the {self.skeleton.num_joints} joints of '
                             f'{self.skeleton.name}, got {pred.shape[-2]}; set the loss\'s skeleton in the config')
        return super().forward(pred, target, weight)


@MODELS.register_module()
class LimbVarianceLoss(LimbLoss):
    """Variance over time of the predicted limb lengths; official weight 0; see :func:`limb_variance`."""

    name = 'loss_limb_variance'

    def compute(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        """Compute the loss; ``target`` is not used."""
        return limb_variance(pred, self.skeleton.limbs, weight)


@MODELS.register_module()
class LimbLengthLoss(LimbLoss):
    """Absolute error of the limb lengths; official weight 0; see :func:`limb_length`."""

    name = 'loss_limb_length'

    def compute(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        """Compute the loss."""
        return limb_length(pred, target, self.skeleton.limbs, weight)


class _LimbAngleLoss(LimbLoss):
    """Base of the losses on angles: MotionBERT's 18 for h36m, all pairs of joined limbs otherwise."""

    def __init__(self, *, weight: float = 1.0, name: Optional[str] = None, skeleton: str = 'h36m') -> None:
        super().__init__(weight=weight, name=name, skeleton=skeleton)
        self.pairs = H36M_ANGLES if self.skeleton.name == 'h36m' else joined_limbs(self.skeleton.limbs)


@MODELS.register_module()
class AngleLoss(_LimbAngleLoss):
    """Absolute error of the angles between limbs; official weight 0; see :func:`angle`."""

    name = 'loss_angle'

    def compute(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        """Compute the loss."""
        return angle(pred, target, self.skeleton.limbs, self.pairs, weight)


@MODELS.register_module()
class AngleVelocityLoss(_LimbAngleLoss):
    """Absolute error of the angles' velocities; official weight 0; see :func:`angle_velocity`."""

    name = 'loss_angle_velocity'

    def compute(self, pred: Tensor, target: Tensor, weight: Optional[Tensor]) -> Tensor:
        """Compute the loss."""
        return angle_velocity(pred, target, self.skeleton.limbs, self.pairs, weight)
