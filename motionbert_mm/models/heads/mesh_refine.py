"""The SMPL poses of another method, refined by what the motion features know."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionbert_mm.geometry.rotation import axis_angle_to_matrix, matrix_to_rotation_6d, mirror_axis_angle
from motionbert_mm.layers.norm import AnyBatchNorm1d
from motionbert_mm.models.heads.smpl import BODY_JOINTS, NUM_POSE, SMPLHead
from motionbert_mm.registry import MODELS

TAPS = 5  # Official: kernel of both convolutions over time


@MODELS.register_module()
class MeshRefineHead(SMPLHead):
    """A residual to the poses that an image-based method sees (MotionBERT, section 4.5, "Ours + image method").

    Reads ``initial_pose`` (B, M, T, 24, 3), axis-angle in radians, and ``initial_betas`` (B, M, T, 10) of the batch,
    in the camera axes of the truth; the betas stay as they are. Differs from the paper, as the official code does:
    convolutions over time instead of an MLP.

    Args:
        in_channels: channels D of the features.
        num_tokens: tokens J' of a frame; ``MotionModel`` puts in those of its backbone or neck.
        body_model: see ``SMPLHead``; its mean parameters are not used.
        hidden_channels: width of each of the two branches.
        drop: dropout of the features.
        official_packing: hand the initial rotations over as their first two rows, one behind the other, while the sum
            is read as two columns, interleaved. Official: does so; then a residual of zero is not the initial pose,
            and the network has to learn what is between both. For weights that were trained that way.
        source: see ``MotionHead``.
        losses: see ``SMPLHead``.
        smpl_losses: see ``SMPLHead``.
        init_cfg: MMEngine's initialisation.
    """

    reads_tokens = True
    reads_given = ('initial_pose', 'initial_betas')

    def __init__(self, in_channels: int, *, body_model: dict, num_tokens: int = 17, hidden_channels: int = 512,
                 drop: float = 0.5, official_packing: bool = False, source: Optional[str] = None,
                 losses: Sequence[dict] = (), smpl_losses: Sequence[dict] = (),
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(body_model=body_model, source=source, losses=losses, smpl_losses=smpl_losses,
                         init_cfg=init_cfg)
        self.official_packing, self.drop = official_packing, nn.Dropout(drop)
        self.fc = nn.Linear(num_tokens * in_channels, hidden_channels)
        self.feature_norm, self.pose_norm = AnyBatchNorm1d(hidden_channels), AnyBatchNorm1d(hidden_channels)
        self.pose_conv = nn.Conv1d(NUM_POSE, hidden_channels, TAPS, padding=TAPS // 2)
        self.output = nn.Conv1d(2 * hidden_channels, NUM_POSE, TAPS, padding=TAPS // 2)

    def forward(self, features: Tensor, *, initial_pose: Tensor, initial_betas: Tensor) -> Tensor:
        """Refine initial poses.

        Args:
            features: (N, T, J', D).
            initial_pose: (N, T, 24, 3) axis-angle, radians.
            initial_betas: (N, T, 10).

        Returns:
            (N, T, 154).
        """
        initial = self._pack(initial_pose)
        seen = self.fc(self.drop(features.flatten(2))).transpose(1, 2)  # (N, hidden, T)
        given = self.pose_conv(initial.transpose(1, 2))
        hidden = torch.cat([F.relu(self.feature_norm(seen)), F.relu(self.pose_norm(given))], dim=1)
        return torch.cat([self.output(hidden).transpose(1, 2) + initial, initial_betas], dim=-1)

    def mirror_given(self, fields: dict[str, Tensor]) -> dict[str, Tensor]:
        """Mirror the initial pose; betas belong to both sides."""
        return dict(fields, initial_pose=mirror_axis_angle(fields['initial_pose'], BODY_JOINTS.flip_indices))

    def _pack(self, pose: Tensor) -> Tensor:
        """Turn axis-angle (N, T, 24, 3) into (N, T, 144), six numbers for each joint."""
        rotations = axis_angle_to_matrix(pose)
        six = rotations[..., :2, :].flatten(-2) if self.official_packing else matrix_to_rotation_6d(rotations)
        return six.flatten(-2)
