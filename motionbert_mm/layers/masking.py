"""Masks applied: what a network may not see."""
from __future__ import annotations

from torch import Tensor


def replace_masked(tokens: Tensor, mask: Tensor) -> Tensor:
    """Set masked tokens to zero.

    Official: MotionBERT multiplies x, y and confidence of a hidden joint by zero; there is no mask token.

    Args:
        tokens: (..., C).
        mask: (...) bool, True = hidden.

    Returns:
        (..., C), a new tensor. Whatever stood at a masked place, NaN too, is gone.
    """
    return tokens.masked_fill(mask[..., None], 0.0)
