"""The 2D-to-3D lifting head."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from torch import Tensor, nn

from motionbert_mm.layers.init import init_transformer
from motionbert_mm.models.heads.pose3d import Pose3DHead
from motionbert_mm.registry import MODELS


@MODELS.register_module()
class PoseLiftHead(Pose3DHead):
    """One linear map per token to 3D coordinates (MotionBERT, section 3.3).

    Args:
        in_channels: channels D of the features.
        out_channels: coordinates per joint.
        source: see ``MotionHead``.
        losses: see ``Pose3DHead``.
        losses_2d: see ``Pose3DHead``.
        init_cfg: MMEngine's initialisation.
    """

    def __init__(self, in_channels: int, *, out_channels: int = 3, source: Optional[str] = None,
                 losses: Sequence[dict] = (), losses_2d: Sequence[dict] = (), init_cfg: Optional[dict] = None) -> None:
        super().__init__(source=source, losses=losses, losses_2d=losses_2d, init_cfg=init_cfg)
        self.fc = nn.Linear(in_channels, out_channels)
        self.apply(init_transformer)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, T, J, D) -> (N, T, J, 3) in normalised units."""
        return self.fc(features)
