"""Memory for time: intermediate results that are computed again when the backward pass needs them."""
from __future__ import annotations

from typing import Any, Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def recompute(function: Callable[..., Tensor], *inputs: Any, wanted: bool = True) -> Tensor:
    """Call a function; what its backward pass needs is not kept, but computed by a second call there.

    Dropout draws the same numbers in both calls, autocast is the same too. The non-reentrant kind: it works where the
    inputs need no gradient, and under distributed training.

    Args:
        function: a layer or method.
        *inputs: its arguments.
        wanted: False makes this a plain call, as does a pass without gradients.
    """
    if wanted and torch.is_grad_enabled():
        return checkpoint(function, *inputs, use_reentrant=False)
    return function(*inputs)
