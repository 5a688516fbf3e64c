"""What all heads that predict SMPL bodies share: the body model, losses, mirroring, the fields of a prediction."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Optional

import torch
from torch import Tensor

from motionbert_mm.geometry.coords import root_relative
from motionbert_mm.geometry.rotation import (
    average_rotations,
    matrix_to_axis_angle,
    matrix_to_rotation_6d,
    mirror_matrix,
    rotation_6d_to_matrix,
)
from motionbert_mm.models.body_model import BodyModel
from motionbert_mm.models.heads.base import MotionHead, build_losses, weigh
from motionbert_mm.models.losses.mesh import BodyParameters
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import get_skeleton

BODY_JOINTS = get_skeleton('smpl24')
NUM_POSE, NUM_BETAS = 6 * BODY_JOINTS.num_joints, 10  # numbers of a pose and of a shape
SKELETON = get_skeleton('h36m')  # of the joints that a body model regresses


class SMPLHead(MotionHead):
    """Base of the heads whose output is (N, T, 154): six numbers for each of 24 rotations, and 10 betas.

    Learns ``smpl_pose`` and ``smpl_betas``; the vertices and joints of the truth are those of the body model. Predicts
    ``smpl_pose``, ``smpl_betas``, ``vertices`` and ``keypoints_3d`` (skeleton h36m), millimetres in camera axes, at the
    place that SMPL gives a body without translation. Frames of which no joint is visible do not count in losses.

    Args:
        body_model: arguments of ``BodyModel``. Nothing of it enters a checkpoint.
        source: see ``MotionHead``.
        losses: configs of losses on joints (N, T, 17, 3), millimetres relative to the pelvis.
        smpl_losses: configs of losses on ``BodyParameters``.
        init_cfg: MMEngine's initialisation.

    Raises:
        ValueError: when called, a pose without betas, or a batch of another skeleton than h36m.
    """

    target_name = 'smpl_pose'

    def __init__(self, *, body_model: dict, source: Optional[str] = None, losses: Sequence[dict] = (),
                 smpl_losses: Sequence[dict] = (), init_cfg: Optional[dict] = None) -> None:
        super().__init__(source=source, losses=losses, init_cfg=init_cfg)
        build_losses([*losses, *smpl_losses])  # all are logged under one head
        self.smpl_losses = build_losses(smpl_losses)
        self.body = BodyModel(**body_model)

    def compare(self, prediction: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Return the losses on joints and on parameters."""
        self._check_skeleton(data_samples)
        if self.target_name not in data_samples:
            return {}
        pred, weight = split_output(prediction), None
        target = _target(data_samples).in_float32()
        if 'visible' in data_samples:
            is_there = data_samples.visible.flatten(0, 1).any(dim=-1)  # (N, T)
            weight = is_there.to(pred.betas.dtype)
            # What stands in frames without truth may be anything; times a weight of zero a NaN would stay one.
            target = BodyParameters(torch.where(is_there[..., None, None, None], target.rotations, 0.0),
                                    torch.where(is_there[..., None], target.betas, 0.0))
        losses = weigh(self.smpl_losses, pred, target, weight)
        if any(loss.weight for loss in self.losses):
            with torch.no_grad():
                target_joints = self._relative_joints(target)
            weight = None if weight is None else weight[..., None].expand(target_joints.shape[:-1])
            losses.update(weigh(self.losses, self._relative_joints(pred), target_joints, weight))
        return losses

    def average_mirrored(self, output: Tensor, mirrored: Tensor, flip_indices: Sequence[int]) -> Tensor:
        """Mirror the second output back; average rotations on their manifold and betas by their mean.

        Differs from official, which averages vertices and joints, and axis-angle numbers: the parameters that come out
        here are those of the body that comes out.
        """
        (plain, betas), (turned, turned_betas) = split_output(output), split_output(mirrored)
        back = mirror_matrix(turned, BODY_JOINTS.flip_indices)
        rotations = average_rotations(torch.stack([plain, back], dim=-3))
        return join_output(rotations, (betas + turned_betas) / 2)

    def decode(self, output: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Return parameters, vertices (B, M, T, V, 3) and joints (B, M, T, 17, 3) of (B, M, T, 154)."""
        self._check_skeleton(data_samples)
        parameters = split_output(output)
        vertices = self._vertices(parameters)
        return {'smpl_pose': matrix_to_axis_angle(parameters.rotations), 'smpl_betas': parameters.betas,
                'vertices': vertices, 'keypoints_3d': self.body.joints(vertices)}

    def _check_skeleton(self, data_samples: MotionSample) -> None:
        got = data_samples.metainfo.get('skeleton', SKELETON.name)
        if got != SKELETON.name:
            raise ValueError(f'{type(self).__name__} predicts joints of the skeleton {SKELETON.name!r}, but model and '
                             f"batch have {got!r}; add dict(type='ConvertSkeleton', target={SKELETON.name!r}) to the "
                             'pipeline and leave out skeleton of the model')

    def _vertices(self, parameters: BodyParameters) -> Tensor:
        """Pose bodies (..., 24, 3, 3) and (..., 10) -> vertices (..., V, 3) in millimetres."""
        return _over_frames(self.body, parameters)

    def _relative_joints(self, parameters: BodyParameters) -> Tensor:
        """Return joints (N, T, 17, 3) relative to the pelvis, millimetres."""
        return root_relative(_over_frames(self.body.pose_joints, parameters), SKELETON.root)


def _over_frames(pose: Callable[[Tensor, Tensor], Tensor], parameters: BodyParameters) -> Tensor:
    """Call a function of rotations (N, 24, 3, 3) and betas (N, 10) with all leading axes folded into N."""
    rotations, betas = parameters
    return pose(rotations.flatten(0, -4), betas.flatten(0, -2)).unflatten(0, betas.shape[:-1])


def split_output(output: Tensor) -> BodyParameters:
    """Turn the output (..., 154) of a head into rotations (..., 24, 3, 3) and betas (..., 10), float32 at least."""
    output = output.to(torch.promote_types(output.dtype, torch.float32))
    six, betas = output.split([NUM_POSE, NUM_BETAS], dim=-1)
    return BodyParameters(rotation_6d_to_matrix(six.unflatten(-1, (-1, 6))), betas)


def join_output(rotations: Tensor, betas: Tensor) -> Tensor:
    """Undo ``split_output``."""
    return torch.cat([matrix_to_rotation_6d(rotations).flatten(-2), betas], dim=-1)


def _target(data_samples: MotionSample) -> BodyParameters:
    """Return the parameters of a batch, persons folded in."""
    if 'smpl_betas' not in data_samples:
        raise ValueError('the batch has smpl_pose without smpl_betas; put both into targets of the data set and into '
                         'fields of PackInputs')
    return BodyParameters.from_axis_angle(data_samples.smpl_pose.flatten(0, 1), data_samples.smpl_betas.flatten(0, 1))
