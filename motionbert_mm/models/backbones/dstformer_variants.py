"""The designs that MotionBERT compares DSTformer with (ICCV 2023, table 7 a to d).

They take DSTformer's arguments, so that a config changes one line, ``model = dict(backbone=dict(type=...))``.
Rows e (average) and f (adaptive) are DSTformer with and without ``use_fusion=False``.
"""
import torch
from torch import Tensor, nn

from motionbert_mm.layers.init import init_transformer
from motionbert_mm.models.backbones.dstformer import DSTformer
from motionbert_mm.models.backbones.stream_transformer import StreamTransformer
from motionbert_mm.registry import MODELS


@MODELS.register_module()
class SpaceTimeTransformer(StreamTransformer):
    """S-T, table 7a: one stream, space before time. Takes the weights of that half of a DSTformer."""

    streams = dict(space_first=('spatial', 'temporal'))


@MODELS.register_module()
class TimeSpaceTransformer(StreamTransformer):
    """T-S, table 7b: one stream, time before space. Takes the weights of that half of a DSTformer."""

    streams = dict(time_first=('temporal', 'spatial'))


@MODELS.register_module()
class SeriesAttentionTransformer(StreamTransformer):
    """ST-MHSA, table 7d: attention over joints is followed by attention over frames, then by the one MLP."""

    streams = dict(both=('series',))


class ChannelFusion(nn.Module):
    """Weigh two streams per token and channel: softmax of one linear map of both.

    Official: ``Block`` of mode stage_para with att_fuse in lib/model/DSTformer.py, which no official config reaches.

    Args:
        dim: channels D of each stream.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc = nn.Linear(2 * dim, 2 * dim)
        self.apply(init_transformer)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Fuse (..., D) and (..., D) -> (..., D)."""
        logits = self.fc(torch.cat([first, second], dim=-1)).unflatten(-1, (-1, 2))
        shares = logits.softmax(dim=-1)  # (..., D, 2)
        return first * shares[..., 0] + second * shares[..., 1]


@MODELS.register_module()
class ParallelStreamTransformer(DSTformer):
    """S+T, table 7c: a stage has one stream over joints only and one over frames only, fused after it.

    Fusion is learned per channel, or the average with ``use_fusion=False``; the paper does not say which it used.
    """

    streams = dict(space_only=('spatial',), time_only=('temporal',))
    fusion_layer = ChannelFusion
