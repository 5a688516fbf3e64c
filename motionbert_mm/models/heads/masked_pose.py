"""The pretext head of P-STMO and MPM: masked 2D poses restored from what was visible."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from torch import Tensor

from motionbert_mm.geometry.targets import decode_input
from motionbert_mm.layers.frame_decoder import FrameDecoder
from motionbert_mm.models.heads.base import MotionHead
from motionbert_mm.models.test_time import mirror_inputs
from motionbert_mm.registry import MODELS
from motionbert_mm.structures.motion_sample import MotionSample


@MODELS.register_module()
class MaskedPoseHead(MotionHead):
    """Masked pose modelling (P-STMO, section 3.2): a light decoder restores the 2D poses of all frames.

    Reads the tokens of ``RestoreFrames``. Learns ``target_2d``, hidden or not (official: also what was visible counts),
    and predicts ``keypoints_2d`` in pixels.

    Args:
        in_channels: channels D of the tokens.
        num_joints: J.
        depth: layers of the decoder. Official P-STMO: one less than the encoder's, MPM: 1, for completion 2.
        num_heads: attention heads.
        mlp_ratio: hidden width of the decoder's MLP over D.
        drop: dropout.
        source: see ``MotionHead``.
        losses: configs of the losses on ``target_2d``.
        init_cfg: MMEngine's initialisation.
    """

    target_name = 'target_2d'

    def __init__(self, in_channels: int, *, num_joints: int = 17, depth: int = 2, num_heads: int = 8,
                 mlp_ratio: float = 2.0, drop: float = 0.1, source: Optional[str] = None,
                 losses: Sequence[dict] = (), init_cfg: Optional[dict] = None) -> None:
        super().__init__(source=source, losses=losses, init_cfg=init_cfg)
        self.output = FrameDecoder(in_channels, num_joints, 2, depth=depth, num_heads=num_heads, mlp_ratio=mlp_ratio,
                                   drop=drop)

    def forward(self, features: Tensor) -> Tensor:
        """Restore the poses of all frames: (N, T, 1, D) -> (N, T, J, 2) in normalised units."""
        return self.output(features)

    def average_mirrored(self, output: Tensor, mirrored: Tensor, flip_indices: Sequence[int]) -> Tensor:
        """Mirror the second output back and average."""
        return (output + mirror_inputs(mirrored, flip_indices)) / 2

    def decode(self, output: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Bring (B, M, T, J, 2) back to pixels of the original image."""
        return {'keypoints_2d': decode_input(output, data_samples.metainfo['norm'])}
