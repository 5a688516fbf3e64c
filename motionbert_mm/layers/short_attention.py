"""Attention over short sequences on CPUs: plain products and softmax, with less traffic to and from memory.

Sequences are taken a few at a time, so that their weights stay in the cache from one operation to the next, and the
queries, keys and values of all heads are copied once, together.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from motionbert_mm.layers.dropout import draw_kept, share_kept

PIECE_BYTES = 2 ** 22  # of attention weights at a time
# PyTorch's softmax of rows that do not fill a vector register goes by single numbers in bfloat16: float32 is 2 to 4
# times as fast there, conversions included.
FULL_ROW = 32


def mix_short(projected: Tensor, num_heads: int, *, scale: float, drop: float = 0.0) -> Tensor:
    """Attend and join the heads.

    Args:
        projected: (N, L, 3 D) queries, keys and values, on the CPU.
        num_heads: H, of d = D / H channels each.
        scale: factor on the logits.
        drop: dropout of the attention weights, of which ``share_kept`` is above 0.

    Returns:
        (N, L, D).
    """
    tokens = projected.unflatten(-1, (3, num_heads, -1))
    learns = torch.is_grad_enabled() and projected.requires_grad
    mixed = _ShortAttention.apply(tokens, scale, drop) if learns else _mix(tokens, scale, drop)
    return mixed.flatten(2)


def _mix(tokens: Tensor, scale: float, drop: float, saved: Optional[list] = None) -> Tensor:
    """Mix tokens (N, L, 3, H, d) -> (N, L, H, d); what the gradients need of each piece is added to ``saved``."""
    mixed = tokens.new_empty(*tokens.shape[:2], *tokens.shape[3:])
    for piece in _pieces(tokens):
        parts = tokens[piece].permute(2, 0, 3, 1, 4).flatten(1, 2)  # (3, n H, L, d)
        query, key, value = parts
        weights = passed = _softmax(query * scale @ key.transpose(1, 2))
        kept = draw_kept(weights.shape, drop) if drop else None
        if kept is not None:
            passed = weights * kept
        of_heads = passed @ value
        if kept is not None:
            of_heads /= share_kept(drop)
        mixed[piece] = of_heads.unflatten(0, (-1, mixed.shape[2])).transpose(1, 2)
        if saved is not None:
            saved += [parts, weights, kept]
    return mixed


class _ShortAttention(torch.autograd.Function):
    """``_mix`` and its gradients."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, scale: float, drop: float) -> Tensor:
        """Mix tokens (N, L, 3, H, d) -> (N, L, H, d)."""
        saved: list = []
        mixed = _mix(tokens, scale, drop, saved)
        ctx.save_for_backward(*saved)
        ctx.scale, ctx.drop = scale, drop
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient (N, L, 3, H, d) of the tokens."""
        saved = iter(ctx.saved_tensors)
        of_tokens = gradient.new_empty(*gradient.shape[:2], 3, *gradient.shape[2:])
        for piece, parts, weights, kept in zip(_pieces(gradient), saved, saved, saved):  # three for each piece
            query, key, value = parts
            of_heads, passed = _by_head(gradient[piece]), weights
            if kept is not None:
                of_heads, passed = of_heads / share_kept(ctx.drop), weights * kept
            of_weights = of_heads @ value.transpose(1, 2)
            if kept is not None:
                of_weights *= kept
            of_logits = _softmax_gradient(of_weights, weights)
            of_parts = torch.empty_like(parts)
            torch.bmm(of_logits, key, out=of_parts[0])
            torch.bmm(of_logits.transpose(1, 2), query, out=of_parts[1])
            torch.bmm(passed.transpose(1, 2), of_heads, out=of_parts[2])
            of_parts[:2] *= ctx.scale
            of_tokens[piece] = of_parts.unflatten(1, (-1, gradient.shape[2])).permute(1, 3, 0, 2, 4)
        return of_tokens, None, None


def _softmax(logits: Tensor) -> Tensor:
    """Softmax over the last axis of (..., L)."""
    return logits.to(_row_dtype(logits)).softmax(-1).to(logits.dtype)


def _softmax_gradient(of_weights: Tensor, weights: Tensor) -> Tensor:
    """Return the gradient of the logits from those of the weights (..., L), and the weights."""
    dtype = _row_dtype(weights)
    return torch._softmax_backward_data(of_weights.to(dtype), weights.to(dtype), -1, dtype).to(weights.dtype)


def _row_dtype(rows: Tensor) -> torch.dtype:
    return torch.float32 if rows.shape[-1] < FULL_ROW else rows.dtype


def _pieces(tokens: Tensor) -> Iterator[slice]:
    """Yield which sequences of (N, L, ..., H, d) are taken at a time."""
    sequences, length, *_, num_heads, _ = tokens.shape
    step = max(PIECE_BYTES // (num_heads * length ** 2 * tokens.element_size()), 1)
    return (slice(first, first + step) for first in range(0, sequences, step))


def _by_head(tokens: Tensor) -> Tensor:
    """Reorder (n, L, H, d) -> (n H, L, d)."""
    return tokens.transpose(1, 2).flatten(0, 1)
