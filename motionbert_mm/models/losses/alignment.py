"""The loss that aligns motions with texts: which of some candidate texts is true of a motion?"""
from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor, nn

from motionbert_mm.registry import MODELS

FOCAL = ('sample', 'element')
SURE = 1.0 - 1e-6  # a probability above which the focal factor is constant


def focal_divergence(logits: Tensor, target: Tensor, allowed: Optional[Tensor] = None, *, gamma: float = 2.0,
                     focal: str = 'sample', detach: bool = False) -> Tensor:
    """Kullback-Leibler divergence of softmax from a distribution, times a focal factor (ActionPose, eq. 2).

    With one candidate of share 1 this is the focal InfoNCE loss -(1 - s)^gamma log s; ``gamma`` 0 is cross-entropy but
    for the entropy of the target. Everything is computed in log space: it stays finite for any finite logits.

    Args:
        logits: (B, C) of the candidates.
        target: (B, C) shares of the candidates that are true, each row of sum 1; a row of zeros does not count.
        allowed: (B, C) bool, False for candidates that are left out of the softmax; a true one is never left out.
        gamma: how much less a sample counts that the model is sure of.
        focal: 'sample' multiplies the divergence by (1 - the probability of all true candidates)^gamma; 'element'
            multiplies the part of each true candidate by (1 - its probability)^gamma, as equation 2 reads word by
            word, which of several can become negative. Of one true candidate they are the same.
        detach: let no gradient through the factor.

    Returns:
        (B,), 0 for rows that do not count.
    """
    is_true = target > 0
    left_out = torch.zeros_like(is_true) if allowed is None else ~(allowed.bool() | is_true)
    left_out &= ~left_out.all(dim=-1, keepdim=True)  # such a row does not count, but would be NaN
    log_shares = logits.masked_fill(left_out, -torch.inf).log_softmax(dim=-1)
    # Zeros in the place of what is multiplied by zero: an infinity there would make NaN of the gradient.
    parts = torch.xlogy(target, target) - target * log_shares.masked_fill(~is_true, 0.0)  # (B, C)
    shares = log_shares.masked_fill(~is_true, -torch.inf).exp()
    if focal == 'sample':
        shares = shares.sum(dim=-1, keepdim=True)
    factor = (gamma * torch.log1p(-shares.clamp(max=SURE))).exp()
    return ((factor.detach() if detach else factor) * parts).sum(dim=-1)


@MODELS.register_module()
class AlignmentLoss(nn.Module):
    """The alignment loss of ActionPose, see ``focal_divergence``; the mean over the samples that have a text.

    Args:
        temperature: divisor of the similarities. Published: 0.1.
        gamma: see ``focal_divergence``. Not published; 2 is that of the focal loss.
        focal: see ``focal_divergence``.
        detach_focal: see ``focal_divergence``.
        weight: of the loss.
        name: under which it is logged.

    Raises:
        ValueError: a temperature or gamma out of range, or an unknown way.
    """

    def __init__(self, *, temperature: float = 0.1, gamma: float = 2.0, focal: str = 'sample',
                 detach_focal: bool = False, weight: float = 1.0, name: str = 'loss_align') -> None:
        super().__init__()
        if temperature <= 0.0 or gamma < 0.0 or focal not in FOCAL:
            raise ValueError(f'AlignmentLoss got temperature={temperature}, gamma={gamma} and focal={focal!r}; '
                             f'expected a positive temperature, gamma of at least 0 and one of {FOCAL}')
        self.temperature, self.gamma, self.focal, self.detach_focal = temperature, gamma, focal, detach_focal
        self.weight, self.name = weight, name

    def forward(self, pred: Tensor, target: Tensor, weight: Optional[Tensor] = None) -> Tensor:
        """Compare similarities (B, C) of motions to candidate texts with what is true.

        Args:
            pred: (B, C) cosines.
            target: (B, C) shares, see ``focal_divergence``.
            weight: (B, C) 1 for candidates that count, 0 for those that do not; None is all.

        Returns:
            () mean over the rows of ``target`` that are not zero; 0 if all are.
        """
        # In bfloat16 the similarities, divided by the temperature, would be off by some hundredths.
        with torch.autocast(pred.device.type, enabled=False):
            losses = focal_divergence(pred.float() / self.temperature, target.float(), weight, gamma=self.gamma,
                                      focal=self.focal, detach=self.detach_focal)
            return losses.sum() / (target > 0).any(dim=-1).sum().clamp(min=1)
