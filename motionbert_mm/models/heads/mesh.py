"""Human mesh recovery: SMPL parameters of every frame."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionbert_mm.layers.norm import AnyBatchNorm1d
from motionbert_mm.models.heads.smpl import NUM_BETAS, NUM_POSE, SMPLHead
from motionbert_mm.registry import MODELS

GAIN = 0.01  # Official: of the output layers' weights, so that training starts at the mean parameters


class RegressionBranch(nn.Module):
    """Linear map, batch norm, ReLU and a linear map that starts near zero: (N, D_in) -> (N, D_out)."""

    def __init__(self, in_channels: int, hidden_channels: int, out_channels: int) -> None:
        super().__init__()
        self.fc1, self.norm = nn.Linear(in_channels, hidden_channels), AnyBatchNorm1d(hidden_channels)
        self.fc2 = nn.Linear(hidden_channels, out_channels)
        nn.init.xavier_uniform_(self.fc2.weight, gain=GAIN)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, D_in) -> (N, D_out)."""
        return self.fc2(F.relu(self.norm(self.fc1(features))))


@MODELS.register_module()
class MeshHead(SMPLHead):
    """SMPL pose of every frame, and one shape of the clip (MotionBERT, section 3.4).

    Official: SMPLRegressor in lib/model/model_mesh.py. Both are residuals to mean parameters, which are kept with the
    weights: those of ``body_model`` count until weights are loaded. The shape is pooled over all frames of the window,
    padded ones included, as in the official code.

    Args:
        in_channels: channels D of the features.
        num_tokens: tokens J' of a frame; ``MotionModel`` puts in those of its backbone or neck.
        body_model: see ``SMPLHead``.
        hidden_channels: width of the hidden layers. Official: 1024; paper: 512.
        drop: dropout of the features.
        source: see ``MotionHead``.
        losses: see ``SMPLHead``.
        smpl_losses: see ``SMPLHead``.
        init_cfg: MMEngine's initialisation.
    """

    reads_tokens = True

    def __init__(self, in_channels: int, *, body_model: dict, num_tokens: int = 17, hidden_channels: int = 1024,
                 drop: float = 0.1, source: Optional[str] = None, losses: Sequence[dict] = (),
                 smpl_losses: Sequence[dict] = (), init_cfg: Optional[dict] = None) -> None:
        super().__init__(body_model=body_model, source=source, losses=losses, smpl_losses=smpl_losses,
                         init_cfg=init_cfg)
        self.drop = nn.Dropout(drop)
        self.pose = RegressionBranch(num_tokens * in_channels, hidden_channels, NUM_POSE)
        self.shape = RegressionBranch(num_tokens * in_channels, hidden_channels, NUM_BETAS)
        self.register_buffer('mean_pose', self.body.mean_pose.detach().clone())
        self.register_buffer('mean_betas', self.body.mean_betas.detach().clone())

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, T, J', D) -> (N, T, 154)."""
        frames = features.flatten(2)  # (N, T, J' * D), channels fastest
        pose = self.pose(self.drop(frames).flatten(0, 1)).unflatten(0, frames.shape[:2]) + self.mean_pose
        betas = self.shape(self.drop(frames.mean(dim=1))) + self.mean_betas
        return torch.cat([pose, betas[:, None].expand(-1, frames.shape[1], -1)], dim=-1)
