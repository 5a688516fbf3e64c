"""The encoder of MPM: 2D and 3D poses enter one space by doors of their own."""
from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor, nn

from motionbert_mm.layers.frame_mlp import NormedLinear
from motionbert_mm.models.backbones.checks import check_inputs
from motionbert_mm.models.backbones.pstmo import PSTMOEncoder
from motionbert_mm.registry import MODELS

XY, XYZ = 2, 3


@MODELS.register_module()
class MPMEncoder(PSTMOEncoder):
    """2D and 3D encoders in front of shared layers (MPM, arXiv 2306.17201v1).

    P-STMO's encoder cut behind its first map, which is there twice: once for 2D, once for 3D poses. The channels of the
    inputs tell which of them a batch takes; the confidence, which comes last, is not read. Under a mask only visible
    frames enter the transformer, and hidden joints become a learned joint.

    Args:
        num_joints: J.
        max_frames: rows of the position table.
        dim: channels D of a frame token.
        depth: transformer layers.
        num_heads: attention heads.
        mlp_ratio: hidden width of the transformer's MLP over ``dim``.
        hidden_dim: width of the MLP over single frames.
        num_blocks: residual blocks of that MLP.
        drop: dropout.
        mlp_drop: dropout of the MLP over single frames; None is ``drop``. Official: 0.1 in stage I, 0.2 in stage II.
        has_joint_token: hidden joints become a learned joint instead of zeros.
        has_3d: False leaves the 3D encoder and its joint out, as in stage II.
        hidden_in_statistics: see ``PSTMOEncoder``.
        activation_checkpointing: see ``PSTMOEncoder``.
        init_cfg: MMEngine's initialisation.
    """

    def __init__(self, *, num_joints: int = 16, max_frames: int = 243, dim: int = 256, depth: int = 4,
                 num_heads: int = 8, mlp_ratio: float = 2.0, hidden_dim: int = 512, num_blocks: int = 1,
                 drop: float = 0.1, mlp_drop: Optional[float] = None, has_joint_token: bool = True,
                 has_3d: bool = True, hidden_in_statistics: bool = True, activation_checkpointing: bool = False,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(XY, num_joints=num_joints, max_frames=max_frames, dim=dim, depth=depth, num_heads=num_heads,
                         mlp_ratio=mlp_ratio, hidden_dim=hidden_dim, num_blocks=num_blocks, drop=drop,
                         mlp_drop=mlp_drop, has_joint_token=has_joint_token,
                         hidden_in_statistics=hidden_in_statistics,
                         activation_checkpointing=activation_checkpointing, init_cfg=init_cfg)
        mlp_drop = drop if mlp_drop is None else mlp_drop
        self.expand_3d = NormedLinear(num_joints * XYZ, hidden_dim, drop=mlp_drop) if has_3d else None
        self.joint_token_3d = nn.Parameter(torch.randn(XYZ)) if has_3d and has_joint_token else None

    def forward(self, inputs: Tensor, mask: Optional[Tensor] = None) -> Tensor:
        """Encode motion.

        Args:
            inputs: (N, T, J, 3) x, y and confidence, or (N, T, J, 4) x, y, z and confidence; see ``encode2d`` and
                ``encode3d``.
            mask: (N, T, J) bool, True = hidden.

        Returns:
            (N, T, 1, D) features, zero at frames of which every joint is hidden.

        Raises:
            ValueError: other channels, another number of joints, more than ``max_frames`` frames, or samples that hide
                different numbers of frames.
        """
        is_3d = inputs.shape[-1] > XYZ
        features = self.encode3d(inputs[..., :-1], mask) if is_3d else self.encode2d(inputs[..., :-1], mask)
        return features + self._nothing(is_3d, mask) if self.training else features

    def encode2d(self, points: Tensor, mask: Optional[Tensor] = None) -> Tensor:
        """Encode 2D poses (N, T, J, 2) in the units of ``NormalizeCoords`` -> (N, T, 1, D)."""
        check_inputs(self, points)
        return self.encode(points, mask, self.expand, self.joint_token)

    def encode3d(self, points: Tensor, mask: Optional[Tensor] = None) -> Tensor:
        """Encode 3D poses (N, T, J, 3), relative to the root, in the units of ``target_3d`` -> (N, T, 1, D)."""
        if self.expand_3d is None:
            raise ValueError('this MPMEncoder reads 2D poses only; set backbone.has_3d=True in the config, and use the '
                             'weights of stage I')
        check_inputs(self, points, XYZ)
        return self.encode(points, mask, self.expand_3d, self.joint_token_3d)

    def _nothing(self, is_3d: bool, mask: Optional[Tensor]) -> Tensor:
        """Return zero by way of the parameters that a pass leaves out: distributed training wants their gradient."""
        idle = self.expand if is_3d else self.expand_3d
        tokens = [self.joint_token, self.joint_token_3d] if mask is None else [
            self.joint_token if is_3d else self.joint_token_3d]
        values = [*(idle.parameters() if idle is not None else ()), *(token for token in tokens if token is not None)]
        return sum(value.sum() for value in values) * 0.0
