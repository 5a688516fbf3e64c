"""What the losses of all tasks share."""
from __future__ import annotations

from typing import Optional

from torch import Tensor, nn


class NamedLoss(nn.Module):
    """Base of losses that a head weighs and logs under a name.

    Args:
        weight: factor that the head multiplies the loss with. The head does not call a loss of weight 0, so that it
            cannot bring a NaN in.
        name: key under which the loss is logged; give one to use the same class twice in a head.
    """

    name = 'loss'

    def __init__(self, *, weight: float = 1.0, name: Optional[str] = None) -> None:
        super().__init__()
        self.weight = weight
        if name is not None:
            self.name = name

    def extra_repr(self) -> str:
        """Show the name and factor."""
        return f'name={self.name}, weight={self.weight}'


def weighted_mean(values: Tensor, weight: Optional[Tensor] = None) -> Tensor:
    """Mean of ``values`` or of ``weight * values``; nothing to average gives a 0 that backward accepts."""
    if weight is not None:
        values = values * weight
    return values.mean() if values.numel() else values.sum()
