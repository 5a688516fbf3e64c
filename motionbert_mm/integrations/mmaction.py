"""Our networks inside MMAction2's ``RecognizerGCN``: layout adapters for the backbone and the head.

MMAction2 itself is not imported: its registries find these classes by the prefix ``motionbert_mm.``.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union

import torch
from mmengine.model import BaseModule
from torch import Tensor

from motionbert_mm.models.motion_model import build_neck
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.motion_sample import MotionSample

AVERAGES = ('prob', 'score')


@MODELS.register_module()
class RecognizerBackbone(BaseModule):
    """Any backbone of this package, with necks behind it, as the backbone of MMAction2's ``RecognizerGCN``.

    Its parts have the names that they have in ``MotionModel``, so that ``init_cfg=dict(type='Pretrained',
    checkpoint=PATH)`` starts from a checkpoint of this package, whatever heads that has.

    Args:
        backbone: config; (N, T, J, C) -> (N, T', J', D).
        neck: config, or a list of configs that follow each other, e.g. of ``RepresentationLayer``.
        init_cfg: MMEngine's initialisation.

    Attributes:
        out_channels: C' of the features, ``in_channels`` of the head.
        num_tokens: V' of the features, 1 of backbones that make one token of a frame.

    Raises:
        ValueError: when called, inputs of another rank, joints or channels; or a neck that gives several features.
    """

    def __init__(self, backbone: dict, *, neck: Union[dict, Sequence[dict], None] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.backbone = build(MODELS, backbone)
        self.neck, self.out_channels, self.num_tokens = build_neck(neck, self.backbone)

    def forward(self, inputs: Tensor) -> Tensor:
        """Encode normalised coordinates and confidence (N, M, T, V, C) -> (N, M, C', T', V')."""
        if inputs.ndim != 5:
            raise ValueError(f'RecognizerBackbone reads (N, M, T, V, C), got {tuple(inputs.shape)}; put it into a '
                             "RecognizerGCN, with dict(type='FormatGCNInput') in the pipeline")
        features = self.neck(self.backbone(inputs.flatten(0, 1)))
        if isinstance(features, Mapping):
            raise ValueError(f'the neck gives several features, {", ".join(features)}, but a head of MMAction2 reads '
                             'one; take a neck that gives one, e.g. RepresentationLayer')
        features = features.unflatten(0, (-1, inputs.shape[1]))  # (N, M, T', V', C')
        return features.permute(0, 1, 4, 2, 3)


@MODELS.register_module()
class RecognizerHead(BaseModule):
    """A head of this package that gives class scores, as the ``cls_head`` of MMAction2's ``RecognizerGCN``.

    Reads the labels of MMAction2's data samples and writes ``pred_score`` and ``pred_label`` into them; the log has the
    losses of the head and ``top1_acc``, ``top5_acc`` of the batch, as that of MMAction2's heads.

    Args:
        head: config of an ``ActionHead``, with ``in_channels`` and ``num_tokens`` of the features.
        topk: which accuracies are logged.
        average_clips: how the scores of several clips of a sample become one: 'prob' averages probabilities, 'score'
            the output before the softmax.
        init_cfg: MMEngine's initialisation.

    Raises:
        ValueError: a head without class scores, an unknown average or k below 1; when called, features of another rank,
            a head without losses, or labels that are not one class each.
    """

    def __init__(self, head: dict, *, topk: Sequence[int] = (1, 5), average_clips: str = 'prob',
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.head = build(MODELS, head)
        self.topk, self.average_clips = tuple(topk), average_clips
        if not (getattr(self.head, 'joins_persons', False) and hasattr(self.head, 'num_classes')):
            raise ValueError(f'RecognizerHead got a {type(self.head).__name__}, which gives no class scores; expected '
                             "head=dict(type='ActionHead', ...)")
        if average_clips not in AVERAGES or min(self.topk, default=1) < 1:
            raise ValueError(f'RecognizerHead got average_clips={average_clips!r} and topk={self.topk}; expected '
                             f'{" or ".join(AVERAGES)}, and numbers from 1')

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, M, C', T', V') -> class scores (N, K) before the softmax."""
        if features.ndim != 5:
            raise ValueError(f'RecognizerHead reads features (N, M, C, T, V), got {tuple(features.shape)}; use it with '
                             "backbone=dict(type='motionbert_mm.RecognizerBackbone', ...)")
        return self.head(features.permute(0, 1, 3, 4, 2))

    def loss(self, feats: Tensor, data_samples: Sequence[Any]) -> dict[str, Tensor]:
        """Return the losses of the head, and the accuracies of the batch.

        Args:
            feats: (B * clips, M, C', T', V').
            data_samples: B of MMAction2's samples with ``gt_label``, all clips of a sample learn it.
        """
        if not len(self.head.losses):
            raise ValueError("RecognizerHead has no losses; add losses=[dict(type='CrossEntropyLoss')] to its head")
        scores = self(feats)
        labels = _labels(data_samples).to(scores.device).repeat_interleave(len(scores) // len(data_samples))
        ranked = scores.detach().argsort(dim=-1, descending=True)
        hits = ranked == labels[:, None]
        accuracies = {f'top{k}_acc': hits[:, :k].any(dim=-1).float().mean() for k in self.topk}
        return {**accuracies, **self.head.compare(scores, MotionSample(label=labels))}

    def predict(self, feats: Tensor, data_samples: Sequence[Any]) -> Sequence[Any]:
        """Write ``pred_score`` (K,) and ``pred_label`` (1,) into B samples, of features (B * clips, M, C', T', V')."""
        scores = self(feats)
        if self.average_clips == 'prob':
            scores = self.head.decode(scores, MotionSample())['scores']
        scores = scores.unflatten(0, (len(data_samples), -1)).mean(dim=1)
        for sample, score in zip(data_samples, scores):
            sample.set_pred_score(score)
            sample.set_pred_label(score.argmax(dim=-1, keepdim=True))
        return data_samples


def _labels(data_samples: Sequence[Any]) -> Tensor:
    """Return the classes (B,) of MMAction2's samples."""
    labels = torch.stack([sample.gt_label for sample in data_samples])
    if labels.shape[1:] != (1,) or labels.is_floating_point():
        raise ValueError(f'RecognizerHead learns one class of every sample, gt_label with one whole number, got '
                         f'{tuple(labels.shape[1:])} of {labels.dtype}; leave multi_class of the data set and blending '
                         'of the preprocessor out, or use a GCNHead')
    return labels[:, 0]
