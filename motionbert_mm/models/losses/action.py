"""Losses of action recognition: class scores against labels, and embeddings of a batch against each other."""
from __future__ import annotations

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionbert_mm.registry import MODELS

# Official: base_temperature in lib/model/loss_supcon.py.
BASE_TEMPERATURE = 0.07


def supervised_contrastive(embeddings: Tensor, labels: Tensor, temperature: float = 0.1,
                           base_temperature: float = BASE_TEMPERATURE) -> Tensor:
    """Pull samples of a class together and push others away (Khosla et al. 2020, eq. 2, all anchors).

    For every anchor the mean over the other samples of its class of -log softmax of the similarities to all other
    samples. Official: SupConLoss in lib/model/loss_supcon.py, with one view of every sample. Differs from official: an
    anchor without another sample of its class, NaN there, does not count.

    Args:
        embeddings: (B, D) of unit norm.
        labels: (B,).
        temperature: of the softmax.
        base_temperature: the loss is multiplied by ``temperature / base_temperature``.

    Returns:
        (), 0 if no class has two samples.
    """
    logits = embeddings @ embeddings.T / temperature
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    is_positive = (labels[:, None] == labels) & ~itself
    log_share = logits - logits.masked_fill(itself, -torch.inf).logsumexp(dim=1, keepdim=True)
    counts = is_positive.sum(dim=1)
    means = (log_share * is_positive).sum(dim=1) / counts.clamp(min=1)
    return -(temperature / base_temperature) * means.sum() / (counts > 0).sum().clamp(min=1)


@MODELS.register_module()
class CrossEntropyLoss(nn.Module):
    """Cross-entropy with class probabilities.

    Args:
        label_smoothing: share of the target that is spread over all classes. Official: 0.
        weight: of the loss.
        name: under which it is logged.
    """

    def __init__(self, *, label_smoothing: float = 0.0, weight: float = 1.0, name: str = 'loss_class') -> None:
        super().__init__()
        if not 0.0 <= label_smoothing <= 1.0:
            raise ValueError(f'label_smoothing is a share, 0 to 1, got {label_smoothing}')
        self.label_smoothing, self.weight, self.name = label_smoothing, weight, name

    def forward(self, pred: Tensor, target: Tensor, weight: Optional[Tensor] = None) -> Tensor:
        """Compare logits (B, K) with probabilities (B, K) -> ()."""
        return F.cross_entropy(pred, target, label_smoothing=self.label_smoothing)


@MODELS.register_module()
class SupConLoss(nn.Module):
    """The supervised contrastive loss, see ``supervised_contrastive``. Batches need pairs: ``ClassPairSampler``.

    In several processes each compares its own samples.

    Args:
        temperature: Official and paper: 0.1.
        base_temperature: Official: 0.07.
        weight: of the loss.
        name: under which it is logged.
    """

    def __init__(self, *, temperature: float = 0.1, base_temperature: float = BASE_TEMPERATURE, weight: float = 1.0,
                 name: str = 'loss_supcon') -> None:
        super().__init__()
        if min(temperature, base_temperature) <= 0.0:
            raise ValueError(f'temperatures must be positive, got {temperature} and {base_temperature}')
        self.temperature, self.base_temperature, self.weight, self.name = temperature, base_temperature, weight, name

    def forward(self, pred: Tensor, target: Tensor, weight: Optional[Tensor] = None) -> Tensor:
        """Compare embeddings (B, D) with each other by their labels (B,) -> ()."""
        # In bfloat16 the similarities, divided by the temperature, would be off by some hundredths.
        with torch.autocast(pred.device.type, enabled=False):
            return supervised_contrastive(pred.float(), target, self.temperature, self.base_temperature)
