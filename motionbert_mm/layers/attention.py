"""Multi-head self-attention, the one attention of the package."""
from __future__ import annotations

from collections.abc import Callable
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionbert_mm.layers.dropout import Dropout, dropout, share_kept
from motionbert_mm.layers.kernels import is_ordinary, is_plain
from motionbert_mm.layers.linear import Linear
from motionbert_mm.layers.short_attention import mix_short

# Up to this many tokens matrix products are faster on CPUs than the fused kernel, made for long sequences: with 17
# joints 1.6 times (forward and backward) in float32, 9 times in bfloat16, with 243 frames twice in bfloat16 and not in
# float32. On GPUs the fused one always wins.
SHORT_FLOAT32, SHORT_BFLOAT16 = 64, 512


class MultiHeadAttention(nn.Module):
    """Self-attention over the token axis; callers choose which axis that is.

    Spatial attention folds frames into the batch and takes joints as tokens; temporal attention folds joints
    and takes frames. With the same weights it equals the official MotionBERT attention of either kind, and
    the official P-STMO attention with its q, k and v projections concatenated.

    Args:
        dim: channels D.
        num_heads: must divide ``dim``.
        qkv_bias: give the q, k, v projection a bias.
        qk_scale: factor on the logits; None is 1 / sqrt(dim / num_heads).
        attn_drop: dropout of the attention weights.
        proj_drop: dropout after the output projection.

    Raises:
        ValueError: ``dim`` is not divisible by ``num_heads``.
    """

    def __init__(self, dim: int, *, num_heads: int = 8, qkv_bias: bool = True, qk_scale: Optional[float] = None,
                 attn_drop: float = 0.0, proj_drop: float = 0.0) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'dim {dim} is not divisible by num_heads {num_heads}; change one of them in the config')
        self.num_heads, self.qk_scale, self.attn_drop = num_heads, qk_scale, attn_drop
        self.qkv = Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj, self.proj_drop = Linear(dim, dim), Dropout(proj_drop)

    def forward(self, tokens: Tensor) -> Tensor:
        """Mix tokens (N, L, D) -> (N, L, D)."""
        return self.proj_drop(self.proj(self.mix(tokens)))

    def mix(self, tokens: Tensor) -> Tensor:
        """Attend and join the heads (N, L, D) -> (N, L, D), without the output projection."""
        projected, drop = self.qkv(tokens), self.attn_drop if self.training else 0.0
        if runs_short(projected, drop):
            scale = (tokens.shape[-1] // self.num_heads) ** -0.5 if self.qk_scale is None else self.qk_scale
            return mix_short(projected, self.num_heads, scale=scale, drop=drop)
        mixed = attend(*self.split(projected), drop=drop, scale=self.qk_scale)
        return mixed.transpose(1, 2).flatten(2)

    def split(self, projected: Tensor) -> Tensor:
        """Split the output of ``qkv`` (N, L, 3 D) into queries, keys and values (3, N, heads, L, D / heads)."""
        return projected.unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)

    def weights(self, projected: Tensor) -> Tensor:
        """Return the weights (N, heads, L, L), before dropout, that ``mix`` makes of the output of ``qkv`` (N, L, 3 D).

        A row belongs to the token that attends and sums to one.
        """
        query, key, _ = self.split(projected)
        return attention_weights(query, key, scale=self.qk_scale)


class SeriesAttention(MultiHeadAttention):
    """Attend over the joints, then over the frames of the result, with one set of q, k, v projections.

    The output projection comes once, at the end. Official: mode 'series' of ``Attention`` in MotionBERT's
    lib/model/DSTformer.py, which no official config reaches.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Mix features (N, T, J, D) -> (N, T, J, D)."""
        mixed = attend_frames(self.mix, attend_joints(self.mix, features))
        return self.proj_drop(self.proj(mixed))


def attend_joints(layer: Callable[[Tensor], Tensor], features: Tensor) -> Tensor:
    """Apply a layer with the joints of one frame as tokens: (N, T, J, D) -> (N, T, J, D)."""
    return layer(features.flatten(0, 1)).view_as(features)


def attend_frames(layer: Callable[[Tensor], Tensor], features: Tensor) -> Tensor:
    """Apply a layer with the frames of one joint as tokens: (N, T, J, D) -> (N, T, J, D)."""
    by_joint = features.transpose(1, 2)
    return layer(by_joint.flatten(0, 1)).view(by_joint.shape).transpose(1, 2)


def attend(query: Tensor, key: Tensor, value: Tensor, *, drop: float = 0.0, scale: Optional[float] = None) -> Tensor:
    """Scaled dot-product attention by the faster of two equal ways.

    Args:
        query: (N, heads, L, D).
        key: (N, heads, L, D).
        value: (N, heads, L, D).
        drop: dropout of the attention weights.
        scale: factor on the logits; None is 1 / sqrt(D).

    Returns:
        (N, heads, L, D).
    """
    if not is_plain() and (not query.is_cpu or is_long(query, drop)):
        return F.scaled_dot_product_attention(query, key, value, dropout_p=drop, scale=scale)
    return dropout(attention_weights(query, key, scale=scale), drop) @ value


def is_long(tokens: Tensor, drop: float) -> bool:
    """Whether the fused kernel is the faster one on CPUs for (..., L, D); with dropout it is not used there anyway."""
    if tokens.dtype == torch.bfloat16:
        return tokens.shape[-2] > SHORT_BFLOAT16 and not drop
    return (tokens.shape[-2] > SHORT_FLOAT32 or tokens.dtype != torch.float32) and not drop


def runs_short(tokens: Tensor, drop: float) -> bool:
    """Whether ``mix_short`` takes (N, L, 3 D); tracers and compilers are left the plain operators."""
    return (is_ordinary(tokens) and not is_plain() and tokens.is_cpu and not is_long(tokens, drop)
            and share_kept(drop) > 0.0 and tokens.dtype in (torch.float32, torch.bfloat16))


def attention_weights(query: Tensor, key: Tensor, *, scale: Optional[float] = None) -> Tensor:
    """Softmax of the scaled products of queries and keys (N, heads, L, D) -> (N, heads, L, L); ``scale`` as above."""
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    return ((query * scale) @ key.transpose(-2, -1)).softmax(-1)
