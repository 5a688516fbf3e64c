"""Losses between SMPL parameters: pure functions, and one registered class for each.

Every function takes an optional weight (N, T), the validity of the frame as a float. It multiplies the frame's term
and the mean stays over all frames, as of the losses on joints.

Two sets of losses are known by the name of MotionBERT (ICCV 2023, section 3.4). Official: lib/model/loss_mesh.py has
joint distances, differences of rotation matrices, of betas, and the norm of all 82 numbers at once. The paper has
absolute differences of joints and of all parameters, and the norms of pose and shape apart.
"""
from __future__ import annotations

from typing import NamedTuple, Optional

import torch
from torch import Tensor

from motionbert_mm.geometry.array import norm
from motionbert_mm.geometry.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from motionbert_mm.models.losses.base import NamedLoss, weighted_mean
from motionbert_mm.registry import MODELS


class BodyParameters(NamedTuple):
    """Pose and shape of SMPL bodies.

    Attributes:
        rotations: (N, T, 24, 3, 3) of the joints against their parents, the first that of the root in camera axes.
        betas: (N, T, 10) shape coefficients.
    """

    rotations: Tensor
    betas: Tensor

    @classmethod
    def from_axis_angle(cls, pose: Tensor, betas: Tensor) -> BodyParameters:
        """Make parameters of axis-angle (N, T, 24, 3), radians, and betas (N, T, 10)."""
        return cls(axis_angle_to_matrix(pose), betas)

    @property
    def pose(self) -> Tensor:
        """Axis-angle (N, T, 24, 3), radians, angles of at most pi."""
        return matrix_to_axis_angle(self.rotations)

    def in_float32(self) -> BodyParameters:
        """Return the parameters in single precision at least."""
        return BodyParameters(*(value.to(torch.promote_types(value.dtype, torch.float32)) for value in self))


def parameter_l1(pred: Tensor, target: Tensor, weight: Optional[Tensor] = None) -> Tensor:
    """Average the absolute differences of all entries (N, T, ...) -> ()."""
    return weighted_mean((pred - target).abs().flatten(2).mean(dim=-1), weight)


def parameter_mse(pred: Tensor, target: Tensor, weight: Optional[Tensor] = None) -> Tensor:
    """Average the squared differences of all entries (N, T, ...) -> ()."""
    return weighted_mean((pred - target).square().flatten(2).mean(dim=-1), weight)


def parameter_norm(pose: Tensor, betas: Tensor, weight: Optional[Tensor] = None) -> Tensor:
    """Average the lengths of the vectors of all 82 numbers of a frame.

    Args:
        pose: (N, T, 24, 3) axis-angle, radians.
        betas: (N, T, 10).
        weight: (N, T) or None.

    Returns:
        ().
    """
    return weighted_mean(norm(torch.cat([pose.flatten(2), betas], dim=-1))[..., 0], weight)


def separate_norms(pose: Tensor, betas: Tensor, weight: Optional[Tensor] = None) -> Tensor:
    """Average the sums of the lengths of a frame's pose and of its shape; arguments as in :func:`parameter_norm`."""
    return weighted_mean((norm(pose.flatten(2)) + norm(betas))[..., 0], weight)


DISTANCES = {'l1': parameter_l1, 'mse': parameter_mse}


class SMPLLoss(NamedLoss):
    """Base of the losses on SMPL parameters: checks and precision; subclasses write ``compute``."""

    def forward(self, pred: BodyParameters, target: BodyParameters, weight: Optional[Tensor] = None) -> Tensor:
        """Compute the loss, in float32 at least and without ``self.weight``.

        Args:
            pred: the prediction.
            target: of the same shapes.
            weight: (N, T) validity of the frames as float or bool; None counts all alike.

        Returns:
            () loss.

        Raises:
            ValueError: shapes that do not belong together.
        """
        shapes = [[tuple(value.shape) for value in parameters] for parameters in (pred, target)]
        if shapes[0] != shapes[1] or (weight is not None and tuple(weight.shape) != shapes[0][1][:2]):
            raise ValueError(f'{type(self).__name__} compares rotations (N, T, 24, 3, 3) and betas (N, T, 10), '
                             f'weighted by (N, T); got prediction {shapes[0]}, target {shapes[1]} and weight '
                             f'{None if weight is None else tuple(weight.shape)}')
        pred, target = pred.in_float32(), target.in_float32()
        return self.compute(pred, target, None if weight is None else weight.to(pred.betas.dtype))

    def compute(self, pred: BodyParameters, target: BodyParameters, weight: Optional[Tensor]) -> Tensor:
        """Compute the loss of checked arguments; shapes as in ``forward``."""
        raise NotImplementedError


class _ParameterDistance(SMPLLoss):
    """Base of the losses that are the mean difference of entries.

    Args:
        kind: 'l1' takes absolute differences, as all official configs; 'mse' squares.
        weight: see ``NamedLoss``.
        name: see ``NamedLoss``.

    Raises:
        ValueError: another kind.
    """

    def __init__(self, *, kind: str = 'l1', weight: float = 1.0, name: Optional[str] = None) -> None:
        super().__init__(weight=weight, name=name)
        if kind not in DISTANCES:
            raise ValueError(f'{type(self).__name__} got kind={kind!r}, expected one of {sorted(DISTANCES)}')
        self.kind = kind


@MODELS.register_module()
class SMPLPoseLoss(_ParameterDistance):
    """Mean difference of the entries of the rotation matrices; official weight 1000.

    Differs from official: there the predicted matrix becomes axis-angle and a matrix again, whose gradient at an
    identity rotation is NaN. Here matrices are compared as they are.
    """

    name = 'loss_pose'

    def compute(self, pred: BodyParameters, target: BodyParameters, weight: Optional[Tensor]) -> Tensor:
        """Compute the loss."""
        return DISTANCES[self.kind](pred.rotations, target.rotations, weight)


@MODELS.register_module()
class SMPLAxisAngleLoss(_ParameterDistance):
    """Mean difference of the axis-angle numbers, radians (MotionBERT's paper).

    Those of prediction and target are both brought to angles of at most pi first. Close to half a turn two vectors of
    opposite sign stand for nearly the same rotation, which this loss holds for far apart; ``SMPLPoseLoss`` does not.
    """

    name = 'loss_axis_angle'

    def compute(self, pred: BodyParameters, target: BodyParameters, weight: Optional[Tensor]) -> Tensor:
        """Compute the loss."""
        return DISTANCES[self.kind](pred.pose, target.pose, weight)


@MODELS.register_module()
class SMPLShapeLoss(_ParameterDistance):
    """Mean difference of the betas; official weight 1."""

    name = 'loss_shape'

    def compute(self, pred: BodyParameters, target: BodyParameters, weight: Optional[Tensor]) -> Tensor:
        """Compute the loss."""
        return DISTANCES[self.kind](pred.betas, target.betas, weight)


@MODELS.register_module()
class SMPLNormLoss(SMPLLoss):
    """Length of the predicted parameters, which keeps them near zero; official weight 20.

    Args:
        joint: of all 82 numbers at once, as official; False adds the lengths of pose and shape, as in the paper.
        weight: see ``NamedLoss``.
        name: see ``NamedLoss``.
    """

    name = 'loss_norm'

    def __init__(self, *, joint: bool = True, weight: float = 1.0, name: Optional[str] = None) -> None:
        super().__init__(weight=weight, name=name)
        self.joint = joint

    def compute(self, pred: BodyParameters, target: BodyParameters, weight: Optional[Tensor]) -> Tensor:
        """Compute the loss; ``target`` is not used."""
        return (parameter_norm if self.joint else separate_norms)(pred.pose, pred.betas, weight)
