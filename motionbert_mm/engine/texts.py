"""Vectors of motions and texts, as a model that aligns the two makes them, of motion that it sees as in its test."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional

import numpy as np
import torch
from mmengine.logging import MMLogger
from torch import nn

from motionbert_mm.datasets.texts import normal_form
from motionbert_mm.models.motion_model import folded_mask

SAME_RATE = 0.1  # relative difference of frame rates that does not matter


def find_text_head(model: nn.Module, source: str) -> str:
    """Return the name of the head that embeds texts.

    Args:
        model: a ``MotionModel``.
        source: where it comes from, for the message.

    Raises:
        ValueError: there is none.
    """
    for name, head in getattr(model, 'heads', {}).items():
        if hasattr(head, 'embed_texts'):
            return name
    kinds = ', '.join(type(head).__name__ for head in getattr(model, 'heads', {}).values()) or 'none'
    raise ValueError(f'{source} holds no model that knows texts (its heads: {kinds}); expected one that was aligned '
                     'with text, with a TextAlignHead')


def encode_texts(model: nn.Module, head: str, texts: Sequence[str]) -> np.ndarray:
    """Embed n texts, in the form in which data sets give them -> (n, D) float32 of unit norm.

    Args:
        model: in evaluation mode.
        head: of ``find_text_head``.
        texts: with at least a word each.
    """
    with torch.no_grad():
        return model.heads[head].embed_texts([normal_form(text) for text in texts]).float().cpu().numpy()


def encode_motions(model: nn.Module, head: str, batch: Mapping) -> np.ndarray:
    """Embed the B motions of a batch of ``collate_batch`` -> (B, D) float32 of unit norm; see ``encode_texts``."""
    with torch.no_grad():
        data = model.data_preprocessor(batch)
        features = model.extract_features(data['inputs'], folded_mask(data['data_samples']))
        outputs = model.run_heads(features, [head], num_persons=data['inputs'].shape[1])
        return outputs[head].float().cpu().numpy()


def input_steps(steps: Sequence[Mapping], source: str, leave_out: Sequence[str] = ()) -> list[dict]:
    """Return the configs of the transforms that make inputs of motion, without targets and without choices of views.

    Args:
        steps: ``info['text']`` of ``load_model``. Of views that are drawn, the first stays.
        source: of the steps, for the message.
        leave_out: names of transforms.

    Raises:
        ValueError: nothing makes inputs.
    """
    kept, names = [], [step['type'].rpartition('.')[2] for step in steps]
    if 'NormalizeCoords' not in names:
        raise ValueError(f'{source} does not say how inputs are made of motion (no NormalizeCoords among '
                         f'{", ".join(names) or "no transforms"}); train with one data set as test data, not with '
                         'several that are joined')
    for step, name in zip(map(dict, steps), names):
        if name == 'OrthographicView':
            step['views'] = list(step.get('views', ('front',)))[:1]
        if name == 'NormalizeCoords':
            step = {**{key: step[key] for key in ('type', 'inputs', 'crop_range') if key in step}, 'target': None}
        if name not in leave_out:
            kept.append(step)
    return kept


def frame_step(fps: float, trained_fps: Optional[float], source: str) -> int:
    """Return the step between the frames of a motion at which a model sees about as many a second as in training.

    Args:
        fps: of the motion.
        trained_fps: of the training; None is not known, and the motion is taken as it is.
        source: of the motion, for the warning if the rate differs all the same.
    """
    if trained_fps is None:
        return 1
    step = max(round(fps / trained_fps), 1)
    if abs(fps / step / trained_fps - 1) > SAME_RATE:
        MMLogger.get_current_instance().warning(
            f'{source} has {fps:g} frames per second, the model was trained on {trained_fps:g}: it sees motion '
            f'{trained_fps * step / fps:.2g} times as fast')
    return step
