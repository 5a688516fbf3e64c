"""The head that aligns motion with text: one vector for both, near where they belong together."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionbert_mm.layers.pooling import PoolingLayer
from motionbert_mm.models.heads.action import ClipHead
from motionbert_mm.models.heads.base import weigh
from motionbert_mm.models.text_encoder import TextEncoder
from motionbert_mm.registry import MODELS, refuse_unknown_keys
from motionbert_mm.structures.motion_sample import MotionSample


@MODELS.register_module()
class TextAlignHead(ClipHead):
    """A vector of unit norm for a motion, near those of the texts that are true of it (ActionPose, section 3.3).

    Reads one vector of every person, as ``PosePooling`` makes it; several persons are averaged, absent ones included,
    as in the other heads of clips. Of the mirrored pass of a ``flip_test`` nothing is used: what is done to the left in
    it is not what the text says.

    Learns from the metainfo ``text``, the text of each sample, '' for none, and ``negatives``, lists of texts that are
    not true of it; ``positives``, where there are some, lists further ones that are true: all true ones share the
    target equally. ``TextMotionDataset`` gives them. Batches without ``negatives`` add nothing, nor do samples without
    text.

    Args:
        in_channels: channels D of the features and of the space that texts are brought into.
        text_encoder: arguments of ``TextEncoder``.
        num_tokens: tokens of a frame; ``MotionModel`` puts in those of its backbone or neck.
        drop: dropout after the first layer of the texts' pooling.
        final_activation: end that pooling with GELU and layer norm; else with the linear map.
        source: see ``MotionHead``; 'token' behind ``FeatureBranches``.
        losses: each is called with cosines, shares of the true candidates and 0 or 1 for those that count, (B, C), see
            ``AlignmentLoss``.
        init_cfg: MMEngine's initialisation.

    Raises:
        ValueError: features that are not one vector of a motion; see ``TextEncoder``.
    """

    target_name = 'text'

    def __init__(self, in_channels: int, *, text_encoder: Mapping[str, Any], num_tokens: int = 1, drop: float = 0.1,
                 final_activation: bool = True, source: Optional[str] = None, losses: Sequence[dict] = (),
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(drop=0.0, source=source, losses=losses, init_cfg=init_cfg)
        if num_tokens != 1:
            raise ValueError(f'TextAlignHead reads one vector of a motion, but source={source!r} has {num_tokens} '
                             "tokens in every frame; add dict(type='PosePooling') to model.neck")
        refuse_unknown_keys(text_encoder, TextEncoder, 'text_encoder')
        self.text_encoder = TextEncoder(**text_encoder)
        self.text_pooling = nn.Sequential(
            PoolingLayer(self.text_encoder.out_channels, in_channels, drop=drop),
            (PoolingLayer if final_activation else nn.Linear)(in_channels, in_channels))

    def forward(self, features: Tensor) -> Tensor:
        """Map features (B, M, T', 1, D) -> (B, D) of unit norm."""
        return F.normalize(self.pool(features), dim=-1)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Map n texts -> (n, D) of unit norm, whose products with those of motions are cosines.

        Raises:
            ValueError: no texts, or one without a word.
        """
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise ValueError(f'expected a list of texts with words in them, got {str(texts)[:200]}; the text of a '
                             'sample is one string, see TextMotionDataset')
        return F.normalize(self.text_pooling(self.text_encoder(texts)), dim=-1)

    def compare(self, prediction: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Return the losses between motions (B, D) and the texts of the batch, each of which is encoded once."""
        meta = data_samples.metainfo
        if 'negatives' not in meta or not any(meta['text']):
            return {}
        texts, places, target, allowed = list_candidates(meta['text'], meta['negatives'], meta.get('positives'))
        embeddings = self.embed_texts(texts)  # (n, D)
        with torch.autocast(prediction.device.type, enabled=False):
            cosines = prediction.float() @ embeddings.float().T
        device = prediction.device
        return weigh(self.losses, cosines.gather(1, places.to(device)), target.to(device), allowed.to(device))

    def decode(self, output: Tensor, data_samples: MotionSample) -> dict[str, Tensor]:
        """Return ``embedding`` (B, D)."""
        return {'embedding': output.float()}

    def average_mirrored(self, output: Tensor, mirrored: Tensor, flip_indices: Sequence[int]) -> Tensor:
        """Return the output: a mirrored motion has other words."""
        return output


def list_candidates(texts: Sequence[str], negatives: Sequence[Sequence[str]],
                    positives: Optional[Sequence[Sequence[str]]] = None) -> tuple[list, Tensor, Tensor, Tensor]:
    """List the texts that the motions of a batch are compared with.

    Args:
        texts: the text of each sample, '' for none.
        negatives: for each sample texts that are not true of it; '' and texts that are true of it do not count.
        positives: for each sample further texts that are true of it.

    Returns:
        The distinct texts; for each sample its candidates as places among them (B, C); the shares (B, C) of those that
        are true, 0 in all of a sample without text; and 1 or 0 (B, C), whether a candidate counts.
    """
    rows = []
    for text, wrong, further in zip(texts, negatives, positives or [()] * len(texts)):
        true = dict.fromkeys(each for each in (text, *further) if each) if text else {}
        rows.append((list(true), [each for each in dict.fromkeys(wrong) if each and each not in true] if text else []))
    distinct = {each: None for true, wrong in rows for each in (*true, *wrong)}
    numbers = {each: number for number, each in enumerate(distinct)}
    width = max(len(true) + len(wrong) for true, wrong in rows)
    places = torch.zeros(len(rows), width, dtype=torch.int64)
    target, allowed = torch.zeros(len(rows), width), torch.zeros(len(rows), width)
    for row, (true, wrong) in enumerate(rows):
        count = len(true) + len(wrong)
        places[row, :count] = torch.tensor([numbers[each] for each in (*true, *wrong)], dtype=torch.int64)
        target[row, :len(true)] = 1.0 / max(len(true), 1)
        allowed[row, :count] = 1.0
    return list(distinct), places, target, allowed
