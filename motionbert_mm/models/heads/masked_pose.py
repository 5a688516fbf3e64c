"""The pretext head of P-STMO: masked 2D poses restored from what was visible."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import torch
from torch import Tensor, nn

from motionbert_mm.geometry.targets import decode_input
from motionbert_mm.layers.init import start_equal
from motionbert_mm.layers.norm import UnbiasedLayerNorm, unused_norm
from motionbert_mm.layers.transformer import ReLUTransformerLayer
from motionbert_mm.models.heads.base import MotionHead
from motionbert_mm.models.heads.frame_pose import FrameLinear
from motionbert_mm.models.test_time import mirror_inputs
from motionbert_mm.registry import MODELS
from motionbert_mm.structures.motion_sample import MotionSample


@MODELS.register_module()
class MaskedPoseHead(MotionHead):
    """Masked pose modelling (P-STMO, section 3.2): a light decoder restores the 2D poses of all frames.

    Frames of which every joint is hidden are stood for by a learned token; the features of these frames are not read.
    Learns ``target_2d``, hidden or not (official: also what was visible counts), and predicts ``keypoints_2d`` in
    pixels. Differs from official: frames stay in their order, to which the decoder is indifferent.

    Args:
        in_channels: channels D of the features.
        num_joints: J.
        out_channels: coordinates per joint.
        max_frames: rows of the position table.
        dim: channels of the decoder.
        depth: layers of the decoder; official: one less than the encoder's.
        num_heads: attention heads.
        mlp_ratio: hidden width of the decoder's MLP over ``dim``.
        drop: dropout.
        source: see ``MotionHead``.
        losses: configs of the losses on ``target_2d``.
        init_cfg: MMEngine's initialisation.
    """

    target_name = 'target_2d'
    takes_mask = True

    def __init__(self, in_channels: int, *, num_joints: int = 17, out_channels: int = 2, max_frames: int = 243,
                 dim: int = 128, depth: int = 2, num_heads: int = 8, mlp_ratio: float = 2.0, drop: float = 0.1,
                 source: Optional[str] = None, losses: Sequence[dict] = (), init_cfg: Optional[dict] = None) -> None:
        super().__init__(source=source, losses=losses, init_cfg=init_cfg)
        self.max_frames = max_frames
        self.norm, self.project = UnbiasedLayerNorm(in_channels), nn.Linear(in_channels, dim, bias=False)
        self.frame_token = nn.Parameter(torch.randn(dim))
        self.frame_embed = nn.Parameter(torch.randn(1, max_frames, dim))
        self.layers = nn.ModuleList(ReLUTransformerLayer(dim, num_heads=num_heads, mlp_ratio=mlp_ratio, drop=drop)
                                    for _ in range(depth))
        self.last_norm = unused_norm(dim)
        self.output = FrameLinear(dim, num_joints, out_channels)
        start_equal(self.layers)

    def forward(self, features: Tensor, mask: Optional[Tensor] = None) -> Tensor:
        """Restore the poses of all frames.

        Args:
            features: (N, T, 1, D).
            mask: (N, T, J) bool, True = hidden; None hides nothing.

        Returns:
            (N, T, J, 2) in normalised units.

        Raises:
            ValueError: features of joints, or more than ``max_frames`` frames.
        """
        num_frames = features.shape[1]
        if features.shape[2] != 1 or num_frames > self.max_frames:
            raise ValueError(f'MaskedPoseHead reads one token for each of at most {self.max_frames} frames, '
                             f"(N, T, 1, D), got {tuple(features.shape)}; set max_frames of the head, or add dict(type="
                             "'JointsToFrame') to model.neck where the backbone has tokens of joints")
        tokens = self.project(self.norm(features[:, :, 0]))  # (N, T, dim)
        # Without a mask the token still takes part, with weight zero: distributed training wants its gradient.
        is_hidden = mask.all(dim=-1) if mask is not None else features.new_zeros(features.shape[:2], dtype=torch.bool)
        tokens = torch.where(is_hidden[..., None], self.frame_token.to(tokens.dtype), tokens)
        tokens = tokens + self.frame_embed[:, :num_frames]
        for layer in self.layers:
            tokens = layer(tokens)
        return self.output(tokens[:, :, None])

    def average_mirrored(self, output: Tensor, mirrored: Tensor, flip_indices: Sequence[int]) -> Tensor:
        """Mirror the second output back and average."""
        return (output + mirror_inputs(mirrored, flip_indices)) / 2

    def decode(self, output: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Bring (B, M, T, J, 2) back to pixels of the original image."""
        return {'keypoints_2d': decode_input(output, data_samples.metainfo['norm'])}
