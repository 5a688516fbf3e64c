"""Norms that torch lacks.

A layer norm that trains in half precision on CPUs, that of P-STMO and MPM, and a batch norm for batches of any size.
"""
from __future__ import annotations

import math
from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from motionbert_mm.layers.kernels import is_ordinary, is_plain

PIECE = 2 ** 18  # numbers whose gradients are made at a time, in float32 and in the cache


class LayerNorm(nn.LayerNorm):
    """``nn.LayerNorm`` whose weights learn from tokens in half precision, too.

    On CPUs PyTorch adds up the gradients of weight and bias in the type of the tokens: over 8,000 bfloat16 tokens
    they are 9 % off. Here they are added in the type of the weight; values and parameters are the same.

    Args:
        dim: channels D.
        eps: added to the variance.
    """

    def __init__(self, dim: int, *, eps: float = 1e-5) -> None:
        super().__init__(dim, eps=eps)

    def forward(self, tokens: Tensor) -> Tensor:
        """Normalise each token (..., D) -> (..., D); on CPUs in the tokens' type, on GPUs as autocast has it."""
        if not tokens.is_cpu or tokens.dtype == self.weight.dtype:
            return super().forward(tokens)
        if is_ordinary(tokens) and not is_plain():
            return _MixedNorm.apply(tokens, self.weight, self.bias, self.eps)
        return super().forward(tokens.to(self.weight.dtype)).to(tokens.dtype)


class _MixedNorm(torch.autograd.Function):
    """Layer norm of tokens that have another type than the weight."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        """Normalise tokens (..., D) -> (..., D)."""
        rows = tokens.reshape(-1, len(weight))
        normed, mean, inverse_std = torch.native_layer_norm(rows, weight.shape, weight, bias, eps)
        ctx.save_for_backward(rows, mean, inverse_std, weight, bias)
        return normed.view_as(tokens)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Optional[Tensor], Optional[Tensor], None]:
        """Return the gradients of tokens, weight and bias."""
        rows, mean, inverse_std, weight, bias = ctx.saved_tensors
        given, of_rows = gradient.reshape(rows.shape), torch.empty_like(rows)
        of_parameters = torch.zeros_like(weight), torch.zeros_like(bias)
        step = max(PIECE // len(weight), 1)
        for piece in (slice(first, first + step) for first in range(0, len(rows), step)):
            of_piece, *parts = torch.ops.aten.native_layer_norm_backward(
                given[piece].to(weight.dtype), rows[piece].to(weight.dtype), weight.shape, mean[piece],
                inverse_std[piece], weight, bias, [True] * 3)
            of_rows[piece] = of_piece
            for total, part in zip(of_parameters, parts):
                total += part
        return of_rows.view_as(gradient), *of_parameters, None


class UnbiasedLayerNorm(nn.LayerNorm):
    """weight * (x - mean) / (std + 1e-6) + bias, std with n - 1 under the root.

    Official: P-STMO and MPM. The n - 1 is folded into the weight and the 1e-6 into a factor of every token, to keep
    torch's fused kernel; the gradient takes that factor, one but for millionths, for constant.

    Args:
        dim: channels D, at least 2.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim, eps=1e-20)
        self.unbias = math.sqrt((dim - 1) / dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Normalise each token (..., D) -> (..., D); in the precision of the weight, also under autocast."""
        normed, _, inverse_std = torch.native_layer_norm(tokens.to(self.weight.dtype), self.normalized_shape,
                                                         self.weight * self.unbias, None, self.eps)
        return torch.addcmul(self.bias, normed, 1 / (1 + 1e-6 * self.unbias * inverse_std))


def unused_norm(dim: int) -> UnbiasedLayerNorm:
    """Make a norm that official weights of P-STMO and MPM hold behind the last layer, and that nothing applies.

    It keeps the parameter counts and conversion in both directions exact; it is not trained.
    """
    return UnbiasedLayerNorm(dim).requires_grad_(False)


class AnyBatchNorm1d(nn.BatchNorm1d):
    """Batch norm that also trains on one value per channel, as the last batch of an epoch may have.

    One value has no statistics of its own; it is normalised with the running ones, which stay as they are. Official
    MotionBERT fails on such a batch.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Normalise (N, C) or (N, C, T) over all but C."""
        if self.training and values.numel() == self.num_features:
            return F.batch_norm(values, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(values)
