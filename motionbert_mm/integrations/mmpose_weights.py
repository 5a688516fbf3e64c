"""Checkpoints of MMPose's lifters as checkpoints of this package, and back.

Two kinds of lifters are known: MMPose's own ``DSTFormer`` with ``MotionRegressionHead``, which is MotionBERT by other
names, and those made of ``PoseLifterBackbone`` and ``LiftHeadForMMPose``, whose parts are those of ``MotionModel``.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from motionbert_mm.checkpoints.conversion import EXAMPLES, check_match, our_weights
from motionbert_mm.checkpoints.load import META_KEY, check_types
from motionbert_mm.checkpoints.official import MOTIONBERT_POSE, motionbert_model_config, rename_keys
from motionbert_mm.checkpoints.official_motionbert import POSE_PIPELINE
from motionbert_mm.checkpoints.transfer import frames_only
from motionbert_mm.integrations.mmpose_config import PREFIX, SKELETON, check_lifter, dataset_meta

PARTS = (('backbone.backbone.', 'backbone.'), ('backbone.neck.', 'neck.'), ('head.heads.', 'heads.'))


def _dstformer_rows() -> tuple:
    """MMPose's DSTFormer and MotionRegressionHead by the names of MotionBERT's own code."""
    rows = [('backbone.temp_embed', 'temp_embed'), ('backbone.spat_embed', 'pos_embed'),
            ('backbone.joints_embed.', 'joints_embed.'), ('backbone.norm.', 'norm.'),
            ('backbone.attn_regress.{i}.', 'ts_attn.{i}.'), ('head.pre_logits.fc.', 'pre_logits.fc.'),
            ('head.fc.', 'head.')]
    for stream in ('blocks_st.{i}.', 'blocks_ts.{i}.'):
        for axis in 'st':
            parts = [(f'{name}_{axis}.', f'{name}_{axis}.') for name in ('norm1', 'norm2', 'attn')]
            parts += [(f'mlp_{axis}.0.', f'mlp_{axis}.fc1.'), (f'mlp_{axis}.2.', f'mlp_{axis}.fc2.')]
            rows += [(f'backbone.{stream}{theirs}', stream + official) for theirs, official in parts]
    return tuple(rows)


DSTFORMER = _dstformer_rows()


def from_lifter(checkpoint: Mapping, *, num_heads: Optional[int] = None) -> dict:
    """Make our checkpoint of one of MMPose's ``PoseLifter``.

    Args:
        checkpoint: with MMPose's own DSTFormer, or with our parts and what ``PlainCheckpointHook`` noted in training.
        num_heads: attention heads of MMPose's DSTFormer, where the checkpoint does not say them; None is 8.

    Raises:
        ValueError: weights of another lifter, keys without a counterpart, or, of our parts, no note of what they are.
    """
    weights = our_weights(checkpoint)
    noted = checkpoint.get('meta', {}).get(META_KEY)
    is_own = 'backbone.joints_embed.weight' in weights
    official, unmatched = rename_keys(weights, DSTFORMER if is_own else PARTS)
    if unmatched or not any(key.startswith('backbone.') for key in weights):
        raise ValueError(f"these are not the weights of MMPose's DSTFormer, nor of PoseLifterBackbone with "
                         f'LiftHeadForMMPose: {len(unmatched)} of {len(weights)} have no counterpart, '
                         f'{unmatched[:EXAMPLES]}')
    if is_own:
        renamed, unmatched = rename_keys(official, MOTIONBERT_POSE)
        heads = num_heads or ((noted or {}).get('model', {}).get('backbone', {}).get('num_heads', 8))
        described = dict(model=motionbert_model_config(official, num_heads=heads), pipeline=POSE_PIPELINE)
        described['window'] = dict(num_frames=described['model']['backbone']['max_frames'])
    else:
        renamed, described = official, describe(noted)
    if noted is not None and noted['model']['type'] == 'MotionModel':
        described = dict(noted)  # it was ours before it was MMPose's
    check_types(described, 'the checkpoint')
    check_match(described['model'], renamed, unmatched)
    return dict(state_dict=renamed, meta={META_KEY: described})


def describe(noted: Optional[Mapping]) -> dict:
    """Make of what ``PlainCheckpointHook`` noted of MMPose's config what it notes of ours.

    Args:
        noted: model, window and pipeline; those of ours stay as they are.

    Returns:
        Model, window and pipeline, as ``load_model`` reads them.

    Raises:
        ValueError: nothing noted, or another model.
    """
    if noted is None:
        raise ValueError("the checkpoint does not say which model it holds; train with custom_hooks=[dict(type="
                         "'motionbert_mm.PlainCheckpointHook')] in MMPose's config")
    model = noted['model']
    if model['type'] == 'MotionModel':
        return dict(noted)
    head, backbone = model.get('head', {}), model['backbone']
    if not (head.get('type') == f'{PREFIX}LiftHeadForMMPose' and backbone['type'] == f'{PREFIX}PoseLifterBackbone'):
        raise ValueError(f'the checkpoint holds {backbone["type"]} with {head.get("type")}; expected '
                         'PoseLifterBackbone with LiftHeadForMMPose of this package')
    heads = head['heads']
    predicts = head.get('predicts') or next(iter(heads))
    ours = dict(type='MotionModel', skeleton=head.get('skeleton', SKELETON), backbone=backbone['backbone'],
                neck=backbone.get('neck'), heads=heads, predicts=[predicts],
                flip_test=bool((model.get('test_cfg') or {}).get('flip_test', False)))
    window = dict(kind='centre') if heads[predicts].get('centre') else {}
    if backbone['backbone'].get('max_frames'):
        window['num_frames'] = backbone['backbone']['max_frames']
    target = head.get('target', 'image_space')
    return dict(model=ours, window=window,
                pipeline=[dict(type='NormalizeCoords', inputs='screen', target=target), dict(type='PackInputs')])


def to_lifter(checkpoint: Mapping, *, own: bool = False) -> dict:
    """Make a checkpoint of MMPose's ``PoseLifter`` of ours.

    Args:
        checkpoint: of a lifter of this package; of one that is aligned with text, what finds poses is taken.
        own: for MMPose's own DSTFormer instead of our classes; MMPose then needs this package no more.

    Raises:
        ValueError: a model whose inputs, targets or joints MMPose's codecs do not make; with ``own`` also another
            network than MotionBERT.
    """
    weights, described = our_weights(checkpoint), checkpoint.get('meta', {}).get(META_KEY)
    check_lifter(described)
    weights, model = frames_only(weights, described['model'])
    described = dict(described, model=model)
    renamed, unmatched = rename_keys(weights, PARTS, reverse=True)
    if own:
        official, unmatched = rename_keys(weights, MOTIONBERT_POSE, reverse=True)
        if unmatched or 'joints_embed.weight' not in official:
            raise ValueError(f"MMPose's DSTFormer is MotionBERT, with the heads of its pose model; {len(unmatched)} "
                             f'weights have no place in it: {unmatched[:EXAMPLES]}')
        renamed, unmatched = rename_keys(official, DSTFORMER, reverse=True)
    if unmatched:
        raise ValueError(f'{len(unmatched)} weights have no place in a lifter of MMPose: {unmatched[:EXAMPLES]}')
    return dict(state_dict=renamed, meta={META_KEY: dict(described), 'dataset_meta': dataset_meta()})
