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


def visible_places(mask: Tensor) -> Tensor:
    """Find the tokens that are not masked.

    Their number decides a shape, so it is read from the mask: a GPU is waited for, ``torch.compile`` cuts its graph.

    Args:
        mask: (N, L) bool, True = hidden, equally many in every row.

    Returns:
        (N, V) numbers of the V visible tokens of every row, ascending.

    Raises:
        ValueError: rows that hide different numbers of tokens, or all of them.
    """
    counts = (~mask).sum(dim=1)
    kept = int(torch.where((counts == counts[0]).all(), counts[0], 0))
    if not kept:
        raise ValueError(f'every sample of a batch must keep equally many tokens, at least one; got between '
                         f'{int(counts.min())} and {int(counts.max())} of {mask.shape[1]}. Sample the mask with exact '
                         'counts (SampleExactMask)')
    return mask.byte().argsort(dim=1, stable=True)[:, :kept]


def keep_visible(tokens: Tensor, places: Tensor) -> Tensor:
    """Drop masked tokens.

    Args:
        tokens: (N, L, ...).
        places: (N, V) of ``visible_places``.

    Returns:
        (N, V, ...).
    """
    return tokens[_rows(places), places]


def restore_masked(visible: Tensor, places: Tensor, num_tokens: int) -> Tensor:
    """Undo ``keep_visible``: put the tokens back in their places, zeros at the masked ones.

    Args:
        visible: (N, V, ...).
        places: (N, V), as given to ``keep_visible``.
        num_tokens: L.

    Returns:
        (N, L, ...).
    """
    tokens = visible.new_zeros(len(places), num_tokens, *visible.shape[2:])
    tokens[_rows(places), places] = visible
    return tokens


def _rows(places: Tensor) -> Tensor:
    """Return the number of the row of each place, (N, 1)."""
    return torch.arange(len(places), device=places.device)[:, None]
