"""The transformer layer: pre-norm attention and MLP with residuals."""
from __future__ import annotations

from typing import ClassVar, Optional

from torch import Tensor, nn

from motionbert_mm.layers.attention import MultiHeadAttention, SeriesAttention
from motionbert_mm.layers.dropout import Dropout
from motionbert_mm.layers.linear import Linear
from motionbert_mm.layers.norm import LayerNorm, UnbiasedLayerNorm


class MLP(nn.Module):
    """Linear, activation, linear, with dropout after each linear layer.

    Args:
        dim: channels D.
        hidden_dim: channels between.
        drop: dropout.
        activation: 'gelu', the exact one (erf), or 'relu'.
    """

    def __init__(self, dim: int, hidden_dim: int, *, drop: float = 0.0, activation: str = 'gelu') -> None:
        super().__init__()
        self.fc1, self.fc2 = Linear(dim, hidden_dim), Linear(hidden_dim, dim)
        self.activation, self.drop = activation, Dropout(drop)

    def forward(self, tokens: Tensor) -> Tensor:
        """Transform each token (..., D) -> (..., D)."""
        return self.drop(self.fc2(self.drop(self.fc1(tokens, self.activation))))


class DropPath(nn.Module):
    """Stochastic depth: drop the residual branch of whole rows of the batch axis while training."""

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """Zero rows of (N, ..., D) with probability ``rate`` and scale the rest up."""
        if self.rate == 0.0 or not self.training:
            return branch
        keep = branch.new_empty(len(branch), *[1] * (branch.ndim - 1)).bernoulli_(1.0 - self.rate)
        return branch * keep / (1.0 - self.rate)


class TransformerLayer(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x)).

    Args:
        dim: channels D.
        num_heads: attention heads.
        mlp_ratio: hidden width of the MLP over ``dim``.
        qkv_bias: see ``MultiHeadAttention``.
        qk_scale: see ``MultiHeadAttention``.
        drop: dropout of projections and MLP.
        attn_drop: dropout of the attention weights.
        drop_path: stochastic depth of both branches.
        norm_eps: epsilon of the layer norms.
    """

    attention: ClassVar[type] = MultiHeadAttention

    def __init__(self, dim: int, *, num_heads: int = 8, mlp_ratio: float = 2.0, qkv_bias: bool = True,
                 qk_scale: Optional[float] = None, drop: float = 0.0, attn_drop: float = 0.0,
                 drop_path: float = 0.0, norm_eps: float = 1e-6) -> None:
        super().__init__()
        self.norm1, self.norm2 = LayerNorm(dim, eps=norm_eps), LayerNorm(dim, eps=norm_eps)
        self.attn = self.attention(dim, num_heads=num_heads, qkv_bias=qkv_bias, qk_scale=qk_scale,
                                   attn_drop=attn_drop, proj_drop=drop)
        self.mlp = MLP(dim, int(dim * mlp_ratio), drop=drop)
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor) -> Tensor:
        """Transform tokens (N, L, D) -> (N, L, D)."""
        tokens = tokens + self.drop_path(self.attn(self.norm1(tokens)))
        return tokens + self.drop_path(self.mlp(self.norm2(tokens)))


class SeriesTransformerLayer(TransformerLayer):
    """A transformer layer whose attention runs over joints, then over frames: (N, T, J, D) -> (N, T, J, D).

    Stochastic depth drops the branches of whole clips.
    """

    attention = SeriesAttention


class ReLUTransformerLayer(TransformerLayer):
    """The layer of P-STMO and MPM: ReLU in the MLP, norms by the unbiased standard deviation.

    Args:
        dim: channels D.
        num_heads: attention heads.
        mlp_ratio: hidden width of the MLP over ``dim``.
        drop: dropout of projections, MLP and attention weights.
    """

    def __init__(self, dim: int, *, num_heads: int = 8, mlp_ratio: float = 2.0, drop: float = 0.1) -> None:
        super().__init__(dim, num_heads=num_heads, mlp_ratio=mlp_ratio, drop=drop, attn_drop=drop)
        self.norm1, self.norm2 = UnbiasedLayerNorm(dim), UnbiasedLayerNorm(dim)
        self.mlp = MLP(dim, int(dim * mlp_ratio), drop=drop, activation='relu')
