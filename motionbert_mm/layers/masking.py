"""Masks applied: what a network may not see."""
from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor


def replace_masked(tokens: Tensor, mask: Tensor, token: Optional[Tensor] = None) -> Tensor:
    """Set masked tokens to zero, or to a learned token.

    Official: MotionBERT multiplies x, y and confidence of a hidden joint by zero; P-STMO and MPM learn a joint.

    Args:
        tokens: (..., C).
        mask: (...) bool, True = hidden.
        token: (C,).

    Returns:
        (..., C), a new tensor. Whatever stood at a masked place, NaN too, is gone.
    """
    if token is None:
        return tokens.masked_fill(mask[..., None], 0.0)
    return torch.where(mask[..., None], token.to(tokens.dtype), tokens)


def keep_visible(tokens: Tensor, mask: Tensor) -> Tensor:
    """Drop masked tokens; the others keep their order.

    Args:
        tokens: (N, L, ...).
        mask: (N, L) bool, True = hidden, equally many in every row.

    Returns:
        (N, V, ...) the V visible tokens of every row.

    Raises:
        ValueError: rows that hide different numbers of tokens, or all of them.
    """
    counts = (~mask).sum(dim=1)
    if counts.min() != counts.max() or not counts.min():
        raise ValueError(f'every sample of a batch must keep equally many tokens, at least one; got between '
                         f'{int(counts.min())} and {int(counts.max())} of {mask.shape[1]}. Sample the mask with exact '
                         'counts (SampleExactMask)')
    return tokens[~mask].unflatten(0, (len(tokens), -1))


def restore_masked(visible: Tensor, mask: Tensor) -> Tensor:
    """Undo ``keep_visible``: put the tokens back in their places, zeros at the masked ones.

    Args:
        visible: (N, V, ...).
        mask: (N, L) bool, as given to ``keep_visible``.

    Returns:
        (N, L, ...).
    """
    tokens = visible.new_zeros(*mask.shape, *visible.shape[2:])
    tokens[~mask] = visible.flatten(0, 1)
    return tokens
