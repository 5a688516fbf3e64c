"""Dropout, with random numbers that CPUs draw fast."""
from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionbert_mm.layers.kernels import is_ordinary, is_plain

LEVELS = 2 ** 16  # 16 random bits for an entry: the rate is exact to 1 / 65536
LEAST_ENTRIES = 2 ** 14  # below which a generator of its own costs more than it saves


class Dropout(nn.Dropout):
    """``nn.Dropout``, four times as fast on CPUs; the draws are others than PyTorch's, seeded by its generator."""

    def forward(self, values: Tensor) -> Tensor:
        """Zero entries with probability ``p`` while training and scale the rest up."""
        return dropout(values, self.p if self.training else 0.0)


def dropout(values: Tensor, rate: float) -> Tensor:
    """Zero entries of any shape with probability ``rate`` and divide the rest by the share that is kept."""
    if rate == 0.0:
        return values
    return _Dropout.apply(values, rate) if draws_fast(values, rate) else F.dropout(values, rate)


def drop_weights(weights: Tensor, value: Tensor, rate: float) -> Tensor:
    """Return ``dropout(weights, rate) @ value``; the few values are scaled up instead of the many weights."""
    if rate == 0.0 or not draws_fast(weights, rate):
        return dropout(weights, rate) @ value
    kept, share = draw_kept(weights.shape, rate)
    return (weights * kept) @ (value / share)


def draws_fast(values: Tensor, rate: float) -> bool:
    """Whether entries are dropped by ``draw_kept`` and not by PyTorch."""
    return (values.is_cpu and is_ordinary(values) and not is_plain() and rate < 1.0
            and values.numel() >= LEAST_ENTRIES)


def draw_kept(shape: torch.Size, rate: float) -> tuple[Tensor, float]:
    """Draw which entries are kept, bool of a shape on the CPU, and the share of them that is expected.

    PyTorch draws 30 million entries a second and core, NumPy's SFC64 over a billion. Its seed is a draw of PyTorch's
    generator, so that runs repeat and resume, and recomputed layers drop the same.
    """
    threshold = round(rate * LEVELS)
    seed = int(torch.randint(2 ** 63 - 1, ()))
    count = shape.numel()
    bits = np.random.SFC64(seed).random_raw(-(-count // 4)).view(np.int16)[:count]
    kept = torch.from_numpy(bits).view(shape) >= threshold - LEVELS // 2
    return kept, 1.0 - threshold / LEVELS


class _Dropout(torch.autograd.Function):
    """Keeps one byte for an entry instead of four."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, rate: float) -> Tensor:
        """Drop entries of any shape."""
        kept, share = draw_kept(values.shape, rate)
        ctx.save_for_backward(kept)
        ctx.scale = 1.0 / share
        return (values * kept).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of the values."""
        kept, = ctx.saved_tensors
        return (gradient * kept).mul_(ctx.scale), None
