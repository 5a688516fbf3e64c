"""Checkpoints of MMAction2's recognizers as checkpoints of this package, and back."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from motionbert_mm.checkpoints.conversion import EXAMPLES, our_weights
from motionbert_mm.checkpoints.load import META_KEY
from motionbert_mm.checkpoints.official import rename_keys
from motionbert_mm.integrations.mmaction_transforms import NUM_PERSONS

HEAD = 'action'  # name of the head in MotionModel
ROWS = (('backbone.backbone.', 'backbone.'), ('backbone.neck.', 'neck.'), ('cls_head.head.', f'heads.{HEAD}.'))
HOST_HEAD = 'cls_head.'  # a head of MMAction2, which no model of ours has
KEPT_KEY = 'mmaction_head'  # in ``meta``: weights of such a head


def from_recognizer(checkpoint: Mapping) -> dict:
    """Make our checkpoint of one of a ``RecognizerGCN`` with our parts.

    With ``RecognizerHead`` and ``PlainCheckpointHook`` in the host's config the result says what it holds, so that
    inference needs no config; a head of MMAction2 is kept beside the weights for the way back.

    Raises:
        ValueError: no checkpoint of a recognizer with ``RecognizerBackbone``, or weights without a place in ours.
    """
    weights = our_weights(checkpoint)
    kept = {key: value for key, value in weights.items()
            if key.startswith(HOST_HEAD) and not key.startswith(ROWS[-1][0])}
    renamed, unmatched = rename_keys({key: value for key, value in weights.items() if key not in kept}, ROWS)
    if unmatched or not any(key.startswith('backbone.') for key in renamed):
        raise ValueError(f'these are not the weights of a recognizer with RecognizerBackbone: {len(unmatched)} of '
                         f'{len(weights)} have no place in a model of this package, {unmatched[:EXAMPLES]}')
    description = checkpoint.get('meta', {}).get(META_KEY)
    ours = None if kept or description is None else describe(description)
    return dict(state_dict=renamed, meta={KEPT_KEY: kept, **({} if ours is None else {META_KEY: ours})})


def to_recognizer(checkpoint: Mapping) -> dict:
    """Make a checkpoint of a ``RecognizerGCN`` of ours, for ``init_recognizer``, tests and ``load_from`` in MMAction2.

    Raises:
        ValueError: no checkpoint of this package, or one with other heads than that of actions.
    """
    weights = our_weights(checkpoint)
    renamed, unmatched = rename_keys(weights, ROWS, reverse=True)
    if unmatched:
        raise ValueError(f'a recognizer has one head, ours is named {HEAD}; {len(unmatched)} weights have no place in '
                         f"it: {unmatched[:EXAMPLES]}. To start from them, set init_cfg=dict(type='Pretrained', "
                         'checkpoint=...) of RecognizerBackbone in the config, without converting')
    return dict(state_dict={**renamed, **checkpoint.get('meta', {}).get(KEPT_KEY, {})}, meta={})


def describe(description: Mapping) -> Optional[dict]:
    """Make of what ``PlainCheckpointHook`` noted of a host's config what it notes of ours.

    Returns:
        Model, window, pipeline and facts of the data, as ``load_model`` reads them; None where the recognizer is not
        made of our parts alone or its inputs are not made by ``RecognizerPipeline``.
    """
    model = description.get('model', {})
    steps = {step['type'].rpartition('.')[2]: step for step in description.get('pipeline', ())}
    inputs, head = steps.get('RecognizerPipeline'), model.get('cls_head', {}).get('head')
    num_frames = steps.get('ResampleFrames', {}).get('num_frames', steps.get('UniformSampleFrames', {}).get('clip_len'))
    if inputs is None or head is None or num_frames is None:
        return None
    targets = [step['target'] for step in inputs['pipeline'] if step['type'].endswith('ConvertSkeleton')]
    ours = dict(type='MotionModel', skeleton=targets[-1] if targets else 'coco17', heads={HEAD: head},
                **{name: model['backbone'][name] for name in ('backbone', 'neck') if model['backbone'].get(name)})
    facts = dict(num_persons=inputs.get('num_persons', NUM_PERSONS))
    facts.update({name: description[name] for name in ('classes', 'fps') if description.get(name)})
    pipeline = [*inputs['pipeline'], dict(type='PackInputs', fields=['label'])]
    return dict(model=ours, window=dict(kind='resample', num_frames=num_frames), pipeline=pipeline, **facts)
