"""DSTformer, the dual-stream spatio-temporal transformer of MotionBERT (ICCV 2023, section 3.2)."""
from __future__ import annotations

from typing import ClassVar, Optional

import torch
from torch import Tensor, nn

from motionbert_mm.models.backbones.stream_transformer import StreamTransformer
from motionbert_mm.registry import MODELS


class StreamFusion(nn.Module):
    """Weigh two streams per token: softmax of one linear map of both (paper eq. 5).

    The weights start at exactly one half each. A later pass that initialises every linear layer would
    destroy that, so the parameters are not those of an ``nn.Linear``.

    Args:
        dim: channels D of each stream.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, 2 * dim))
        self.bias = nn.Parameter(torch.full((2,), 0.5))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Fuse (..., D) and (..., D) -> (..., D)."""
        return torch.lerp(second, first, self.share(first, second))

    def share(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the weight of the first stream, (..., 1) in [0, 1]; the second has the rest."""
        # The softmax of two logits is the sigmoid of their difference, which needs one map instead of two
        # and no concatenated copy of the streams.
        dim = first.shape[-1]
        weight, bias = self.weight[:1] - self.weight[1:], self.bias[:1] - self.bias[1:]
        logit = nn.functional.linear(first, weight[:, :dim], bias) + nn.functional.linear(second, weight[:, dim:])
        return logit.sigmoid().to(first.dtype)


@MODELS.register_module()
class DSTformer(StreamTransformer):
    """Two streams, space first and time first, fused after every stage.

    A stage runs both streams on the same input; each is a spatial and a temporal transformer layer with its
    own weights. The output is the final normalised feature; the representation of the paper is this followed by
    ``RepresentationLayer``.

    Sizes: MotionBERT is dim 512, mlp_ratio 2; its Lite version dim 256, mlp_ratio 4; both depth 5, 8 heads.

    Args:
        use_fusion: learn the weights of the streams per token; else average them (paper table 7e).

    The other arguments are those of :class:`StreamTransformer`.
    """

    streams = dict(space_first=('spatial', 'temporal'), time_first=('temporal', 'spatial'))
    fusion_layer: ClassVar[type] = StreamFusion

    def __init__(self, in_channels: int = 3, *, num_joints: int = 17, max_frames: int = 243, dim: int = 512,
                 depth: int = 5, num_heads: int = 8, mlp_ratio: float = 2.0, use_fusion: bool = True,
                 qkv_bias: bool = True, qk_scale: Optional[float] = None, drop: float = 0.0, attn_drop: float = 0.0,
                 drop_path: float = 0.0, norm_eps: float = 1e-6, activation_checkpointing: bool = False,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(in_channels, num_joints=num_joints, max_frames=max_frames, dim=dim, depth=depth,
                         num_heads=num_heads, mlp_ratio=mlp_ratio, qkv_bias=qkv_bias, qk_scale=qk_scale, drop=drop,
                         attn_drop=attn_drop, drop_path=drop_path, norm_eps=norm_eps,
                         activation_checkpointing=activation_checkpointing, init_cfg=init_cfg)
        self.fusion = nn.ModuleList(self.fusion_layer(dim) for _ in range(depth)) if use_fusion else None

    def fuse(self, stage: int, *streams: Tensor) -> Tensor:
        """Fuse the two streams (N, T, J, D) of a stage."""
        first, second = streams
        return self.fusion[stage](first, second) if self.fusion is not None else (first + second) / 2
