"""DSTformer, the dual-stream spatio-temporal transformer of MotionBERT (ICCV 2023, section 3.2)."""
from __future__ import annotations

from typing import Optional

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from motionbert_mm.layers.init import init_transformer
from motionbert_mm.layers.transformer import TransformerLayer
from motionbert_mm.registry import MODELS


def attend_joints(layer: TransformerLayer, features: Tensor) -> Tensor:
    """Apply a layer with the joints of one frame as tokens: (N, T, J, D) -> (N, T, J, D)."""
    return layer(features.flatten(0, 1)).view_as(features)


def attend_frames(layer: TransformerLayer, features: Tensor) -> Tensor:
    """Apply a layer with the frames of one joint as tokens: (N, T, J, D) -> (N, T, J, D)."""
    by_joint = features.transpose(1, 2)
    return layer(by_joint.flatten(0, 1)).view(by_joint.shape).transpose(1, 2)


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
        # The softmax of two logits is the sigmoid of their difference, which needs one map instead of two
        # and no concatenated copy of the streams.
        dim = first.shape[-1]
        weight, bias = self.weight[:1] - self.weight[1:], self.bias[:1] - self.bias[1:]
        logit = nn.functional.linear(first, weight[:, :dim], bias) + nn.functional.linear(second, weight[:, dim:])
        share = logit.sigmoid().to(first.dtype)  # (..., 1) of the first stream
        return second + share * (first - second)


@MODELS.register_module()
class DSTformer(BaseModule):
    """Two streams, space first and time first, fused after every stage.

    A stage runs both streams on the same input; each is a spatial and a temporal transformer layer with its
    own weights. Pre-norm as in the official code (the paper's text describes post-norm). The output is the
    final normalised feature; the representation of the paper is this followed by ``RepresentationLayer``.

    Sizes: MotionBERT is dim 512, mlp_ratio 2; its Lite version dim 256, mlp_ratio 4; both depth 5, 8 heads.

    Args:
        in_channels: C_in, x, y and confidence.
        num_joints: J.
        max_frames: most frames T; a shorter clip uses the first T temporal embeddings.
        dim: channels D.
        depth: stages.
        num_heads: attention heads; must divide ``dim``.
        mlp_ratio: hidden width of the MLPs over ``dim``.
        use_fusion: learn the weights of the streams per token; else average them (paper table 7e).
        qkv_bias: give the q, k, v projections a bias.
        qk_scale: factor on the attention logits; None is 1 / sqrt(dim / num_heads).
        drop: dropout of embeddings, projections and MLPs.
        attn_drop: dropout of the attention weights.
        drop_path: stochastic depth of the last stage; it grows linearly from 0. Differs from official: rows
            of the folded tensor are dropped (a frame in spatial, a joint's track in temporal layers).
        norm_eps: epsilon of the layer norms. Official: 1e-6.
        init_cfg: MMEngine's initialisation, e.g. ``dict(type='Pretrained', checkpoint=..., prefix='backbone.')``.
    """

    def __init__(self, in_channels: int = 3, *, num_joints: int = 17, max_frames: int = 243, dim: int = 512,
                 depth: int = 5, num_heads: int = 8, mlp_ratio: float = 2.0, use_fusion: bool = True,
                 qkv_bias: bool = True, qk_scale: Optional[float] = None, drop: float = 0.0, attn_drop: float = 0.0,
                 drop_path: float = 0.0, norm_eps: float = 1e-6, init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.in_channels, self.num_joints, self.max_frames = in_channels, num_joints, max_frames
        self.out_channels = dim
        self.embed = nn.Linear(in_channels, dim)
        self.joint_embed = nn.Parameter(torch.zeros(1, num_joints, dim))
        self.frame_embed = nn.Parameter(torch.zeros(1, max_frames, 1, dim))
        self.embed_drop = nn.Dropout(drop)

        def stream() -> nn.ModuleList:
            rates = [drop_path * stage / max(depth - 1, 1) for stage in range(depth)]
            return nn.ModuleList(nn.ModuleDict({axis: TransformerLayer(
                dim, num_heads=num_heads, mlp_ratio=mlp_ratio, qkv_bias=qkv_bias, qk_scale=qk_scale, drop=drop,
                attn_drop=attn_drop, drop_path=rate, norm_eps=norm_eps) for axis in ('spatial', 'temporal')})
                for rate in rates)

        self.space_first, self.time_first = stream(), stream()
        self.norm = nn.LayerNorm(dim, eps=norm_eps)
        nn.init.trunc_normal_(self.joint_embed, std=0.02)
        nn.init.trunc_normal_(self.frame_embed, std=0.02)
        self.apply(init_transformer)
        self.fusion = nn.ModuleList(StreamFusion(dim) for _ in range(depth)) if use_fusion else None

    def forward(self, inputs: Tensor) -> Tensor:
        """Encode motion.

        Args:
            inputs: (N, T, J, C_in) normalised coordinates and confidence.

        Returns:
            (N, T, J, D) features.

        Raises:
            ValueError: another number of joints or channels, or more frames than ``max_frames``.
        """
        self._check(inputs)
        features = self.embed(inputs) + self.joint_embed + self.frame_embed[:, :inputs.shape[1]]
        features = self.embed_drop(features)  # (N, T, J, D)
        for stage, (space_first, time_first) in enumerate(zip(self.space_first, self.time_first)):
            first = attend_frames(space_first['temporal'], attend_joints(space_first['spatial'], features))
            second = attend_joints(time_first['spatial'], attend_frames(time_first['temporal'], features))
            features = self.fusion[stage](first, second) if self.fusion is not None else (first + second) / 2
        return self.norm(features)

    def _check(self, inputs: Tensor) -> None:
        if inputs.ndim != 4 or inputs.shape[2:] != (self.num_joints, self.in_channels):
            raise ValueError(
                f'DSTformer was built for inputs (N, T, {self.num_joints}, {self.in_channels}), got '
                f'{tuple(inputs.shape)}; convert the joints in the pipeline (ConvertSkeleton) or set '
                'backbone.num_joints and backbone.in_channels in the config')
        if inputs.shape[1] > self.max_frames:
            raise ValueError(f'DSTformer was built for at most {self.max_frames} frames, got {inputs.shape[1]}; '
                             'set backbone.max_frames or the num_frames of the data set in the config')
