"""Norms that torch lacks: the layer norm of P-STMO and MPM, and a batch norm for batches of any size."""
from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
