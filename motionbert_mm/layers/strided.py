"""Transformer layers that shorten the sequence by a strided convolution (P-STMO and MPM)."""
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionbert_mm.layers.attention import MultiHeadAttention
from motionbert_mm.layers.dropout import Dropout
from motionbert_mm.layers.linear import Linear
from motionbert_mm.layers.norm import UnbiasedLayerNorm, unused_norm

WIDTH = 3  # taps of the convolution
NUM_TABLES = 3  # layers that get a position table


class StridedTransformerLayer(nn.Module):
    """x + attention(norm(x)) over all tokens, then every s-th token + strided convolution of norm(x).

    Official: the convolution has three taps and one zero before the first token, and the residual keeps the first
    token of each group of s. Along these two paths the last token of the network sees the first half of the window
    only; the rest arrives through attention. ``centred`` groups the tokens as the paper describes it: s taps without
    padding, and the residual keeps the middle token.

    Args:
        dim: channels D.
        stride: s.
        num_heads: attention heads.
        mlp_ratio: channels between the two maps over ``dim``.
        drop: dropout.
        centred: see above.
    """

    def __init__(self, dim: int, *, stride: int, num_heads: int = 8, mlp_ratio: float = 2.0, drop: float = 0.1,
                 centred: bool = False) -> None:
        super().__init__()
        is_centred = centred and stride > 1
        self.stride, self.width = stride, stride if is_centred else WIDTH
        self.before, self.first = 0 if is_centred else 1, stride // 2 if is_centred else 0
        self.norm1, self.norm2 = UnbiasedLayerNorm(dim), UnbiasedLayerNorm(dim)
        self.attn = MultiHeadAttention(dim, num_heads=num_heads, attn_drop=drop, proj_drop=drop)
        hidden_dim = int(dim * mlp_ratio)
        self.fc = Linear(dim, hidden_dim)
        # The convolution as a linear map of the tokens under its taps.
        self.conv = Linear(self.width * hidden_dim, dim)
        self.drop = Dropout(drop)

    def forward(self, tokens: Tensor) -> Tensor:
        """Transform tokens (N, L, D) -> (N, L', D), L' = ceil(L / s), or L / s if centred."""
        tokens = tokens + self.attn(self.norm1(tokens))
        hidden = self.drop(self.fc(self.norm2(tokens), 'relu'))
        hidden = F.pad(hidden, (0, 0, self.before, self.before))
        taps = hidden.unfold(1, self.width, self.stride).transpose(2, 3)  # (N, L', width, hidden)
        return tokens[:, self.first::self.stride] + self.drop(self.conv(taps.flatten(2)))


class StridedTransformer(nn.Module):
    """A stack of ``StridedTransformerLayer``, with learned positions added before each of the first three.

    Args:
        dim: channels D.
        num_tokens: L of the input.
        strides: of the layers.
        num_heads: attention heads.
        mlp_ratio: see ``StridedTransformerLayer``.
        drop: dropout.
        centred: see ``StridedTransformerLayer``.
    """

    def __init__(self, dim: int, *, num_tokens: int, strides: Sequence[int], num_heads: int = 8,
                 mlp_ratio: float = 2.0, drop: float = 0.1, centred: bool = False) -> None:
        super().__init__()
        # Official: every table is as long as the input, although later layers use only its first rows.
        self.positions = nn.ParameterList(nn.Parameter(torch.randn(1, num_tokens, dim))
                                          for _ in strides[:NUM_TABLES])
        self.layers = nn.ModuleList(
            StridedTransformerLayer(dim, stride=stride, num_heads=num_heads, mlp_ratio=mlp_ratio, drop=drop,
                                    centred=centred) for stride in strides)
        self.norm = unused_norm(dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Reduce tokens (N, L, D) -> (N, L', D)."""
        for number, layer in enumerate(self.layers):
            if number < len(self.positions):
                tokens = tokens + self.positions[number][:, :tokens.shape[1]]
            tokens = layer(tokens)
        return tokens
