"""Heads that read a whole clip of all its persons: action classes, and embeddings for one-shot recognition."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionbert_mm.layers.norm import AnyBatchNorm1d
from motionbert_mm.models.heads.base import MotionHead, weigh
from motionbert_mm.registry import MODELS
from motionbert_mm.structures.motion_sample import MotionSample


class ClipHead(MotionHead):
    """Base: pool the tokens over frames and persons to one vector of a clip (MotionBERT, section 3.4).

    Absent persons are averaged in, as in the official code: a model sees every clip with the same number of persons.

    Args:
        drop: dropout of the tokens, before they are pooled.
        source: see ``MotionHead``.
        losses: each is called with the output and its target.
        init_cfg: MMEngine's initialisation.
    """

    target_name = 'label'
    joins_persons = True
    reads_tokens = True

    def __init__(self, *, drop: float, source: Optional[str] = None, losses: Sequence[dict] = (),
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(source=source, losses=losses, init_cfg=init_cfg)
        self.drop = nn.Dropout(drop)

    def pool(self, features: Tensor) -> Tensor:
        """Average features (B, M, T', J', D) over frames, then persons -> (B, J' * D), channels fastest."""
        return self.drop(features).mean(dim=2).flatten(2).mean(dim=1)


@MODELS.register_module()
class ActionHead(ClipHead):
    """Class scores of a clip by an MLP with batch norm. Official: ActionHeadClassification, lib/model/model_action.py.

    Args:
        in_channels: channels D of the tokens.
        num_classes: K. None is allowed in config files alone: ``tools/train.py`` puts in the number of classes of the
            training data.
        num_tokens: tokens J' of a frame; ``MotionModel`` puts in those of its backbone or neck.
        hidden_channels: width of the hidden layer. Official: 2048, whatever the config says.
        drop: see ``ClipHead``.
        source: see ``MotionHead``.
        losses: see ``ClipHead``; targets are class probabilities (B, K).
        init_cfg: MMEngine's initialisation.

    Raises:
        ValueError: no number of classes; when called, a label that is no class.
    """

    def __init__(self, in_channels: int, *, num_classes: Optional[int], num_tokens: int = 17,
                 hidden_channels: int = 2048, drop: float = 0.5, source: Optional[str] = None,
                 losses: Sequence[dict] = (), init_cfg: Optional[dict] = None) -> None:
        super().__init__(drop=drop, source=source, losses=losses, init_cfg=init_cfg)
        if num_classes is None or num_classes < 1:
            raise ValueError(f'ActionHead got num_classes={num_classes}; give the number (num_classes=K), or train by '
                             'tools/train.py, which counts the classes of the training data')
        self.num_classes = num_classes
        self.fc1 = nn.Linear(num_tokens * in_channels, hidden_channels)
        self.norm = AnyBatchNorm1d(hidden_channels)
        self.fc2 = nn.Linear(hidden_channels, num_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (B, M, T', J', D) -> logits (B, K)."""
        return self.fc2(F.relu(self.norm(self.fc1(self.pool(features)))))

    def compare(self, prediction: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Return the losses to the labels, or to the mixture that ``MixUp`` made of two."""
        if self.target_name not in data_samples:
            return {}
        target = self._one_hot(data_samples.label)
        if 'label_2' in data_samples:
            target = torch.lerp(self._one_hot(data_samples.label_2), target, data_samples.label_share[:, None])
        return weigh(self.losses, prediction, target.to(prediction.dtype), None)

    def _one_hot(self, labels: Tensor) -> Tensor:
        """Labels (B,) -> (B, K) float."""
        if labels.max() >= self.num_classes or labels.min() < 0:
            raise ValueError(f'labels run from {int(labels.min())} to {int(labels.max())}, but ActionHead has '
                             f'{self.num_classes} classes; set num_classes=None of it, or classes of the data set')
        return F.one_hot(labels, self.num_classes).float()

    def decode(self, output: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Return ``scores`` (B, K), class probabilities."""
        return {'scores': output.float().softmax(dim=-1)}

    def average_mirrored(self, output: Tensor, mirrored: Tensor, flip_indices: Sequence[int]) -> Tensor:
        """Return logits whose probabilities are the mean of both."""
        return torch.logaddexp(output.log_softmax(-1), mirrored.log_softmax(-1)) - math.log(2)


@MODELS.register_module()
class EmbeddingHead(ClipHead):
    """A vector of unit norm for a clip, near those of its class. Official: ActionHeadEmbed, lib/model/model_action.py.

    Args:
        in_channels: channels D of the tokens.
        num_tokens: see ``ActionHead``.
        out_channels: of the embedding.
        drop: see ``ClipHead``.
        source: see ``MotionHead``.
        losses: see ``ClipHead``; targets are the labels (B,).
        init_cfg: MMEngine's initialisation.
    """

    def __init__(self, in_channels: int, *, num_tokens: int = 17, out_channels: int = 2048, drop: float = 0.1,
                 source: Optional[str] = None, losses: Sequence[dict] = (), init_cfg: Optional[dict] = None) -> None:
        super().__init__(drop=drop, source=source, losses=losses, init_cfg=init_cfg)
        self.fc = nn.Linear(num_tokens * in_channels, out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (B, M, T', J', D) -> (B, out_channels) of unit norm."""
        return F.normalize(self.fc(self.pool(features)), dim=-1)

    def compare(self, prediction: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Return the losses among the samples of a batch."""
        if self.target_name not in data_samples:
            return {}
        return weigh(self.losses, prediction, data_samples.label, None)

    def decode(self, output: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Return ``embedding`` (B, out_channels)."""
        return {'embedding': output.float()}

    def average_mirrored(self, output: Tensor, mirrored: Tensor, flip_indices: Sequence[int]) -> Tensor:
        """Return the direction between both."""
        return F.normalize(output + mirrored, dim=-1)
