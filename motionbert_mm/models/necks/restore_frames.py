"""Hidden frames put back: what the decoders of masked pose modelling read."""
from __future__ import annotations

from typing import Optional

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from motionbert_mm.layers.norm import UnbiasedLayerNorm
from motionbert_mm.registry import MODELS


@MODELS.register_module()
class RestoreFrames(BaseModule):
    """Norm, a learned token for frames of which every joint is hidden, and positions (P-STMO, section 3.2; MPM).

    The features of hidden frames are not read. Differs from official P-STMO: frames stay in their order, to which a
    transformer is indifferent; MPM restores it too.

    Args:
        in_channels: channels D of the features.
        out_channels: channels behind a linear map; None leaves the map out. P-STMO: half of D, MPM: None.
        max_frames: rows of the position table.
        init_cfg: MMEngine's initialisation.

    Raises:
        ValueError: when called, features of joints, or more than ``max_frames`` frames.
    """

    takes_mask = True
    num_tokens = 1  # of a frame

    def __init__(self, in_channels: int, *, out_channels: Optional[int] = None, max_frames: int = 243,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.max_frames, self.out_channels = max_frames, out_channels or in_channels
        self.norm = UnbiasedLayerNorm(in_channels)
        self.project = nn.Linear(in_channels, out_channels, bias=False) if out_channels else nn.Identity()
        self.frame_token = nn.Parameter(torch.randn(self.out_channels))
        self.frame_embed = nn.Parameter(torch.randn(1, max_frames, self.out_channels))

    def forward(self, features: Tensor, mask: Optional[Tensor] = None) -> Tensor:
        """Make the tokens of all frames.

        Args:
            features: (N, T, 1, D).
            mask: (N, T, J) bool, True = hidden; None hides nothing.

        Returns:
            (N, T, 1, out_channels).
        """
        num_frames = features.shape[1]
        if features.shape[2] != 1 or num_frames > self.max_frames:
            raise ValueError(f'RestoreFrames reads one token for each of at most {self.max_frames} frames, '
                             f"(N, T, 1, D), got {tuple(features.shape)}; set max_frames of the neck, or put dict(type="
                             "'JointsToFrame') before it where the backbone has tokens of joints")
        tokens = self.project(self.norm(features[:, :, 0]))  # (N, T, D)
        # Without a mask the token still takes part, with weight zero: distributed training wants its gradient.
        is_hidden = mask.all(dim=-1) if mask is not None else features.new_zeros(features.shape[:2], dtype=torch.bool)
        tokens = torch.where(is_hidden[..., None], self.frame_token.to(tokens.dtype), tokens)
        return (tokens + self.frame_embed[:, :num_frames])[:, :, None]
