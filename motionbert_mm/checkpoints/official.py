"""Key maps of official weights, in both directions.

A row of a map is a pair of templates, official and ours; ``{i}`` stands for a number. Weights are carried
over bit by bit, none is reshaped.
"""
from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Optional

from torch import Tensor

Rows = tuple


def _dstformer_rows() -> Rows:
    """MotionBERT's backbone (official ``lib/model/DSTformer.py``) without its output layers."""
    rows = [('temp_embed', 'backbone.frame_embed'), ('pos_embed', 'backbone.joint_embed'),
            ('joints_embed.', 'backbone.embed.'), ('norm.', 'backbone.norm.'),
            ('ts_attn.{i}.', 'backbone.fusion.{i}.')]
    for stream, our_stream in (('st', 'space_first'), ('ts', 'time_first')):
        for axis, our_axis in (('s', 'spatial'), ('t', 'temporal')):
            rows += [(f'blocks_{stream}.{{i}}.{part}_{axis}.', f'backbone.{our_stream}.{{i}}.{our_axis}.{part}.')
                     for part in ('norm1', 'norm2', 'attn', 'mlp')]
    return tuple(rows)


# The pose model: backbone, representation layer and 3D head in one state dict.
MOTIONBERT_POSE: Rows = (*_dstformer_rows(), ('pre_logits.fc.', 'neck.fc.'), ('head.', 'heads.pose.fc.'))


def rename_keys(state_dict: Mapping[str, Tensor], rows: Rows, *, reverse: bool = False) -> tuple[dict, list[str]]:
    """Rename the keys of a state dict by the rows of a map.

    Args:
        state_dict: official weights, or ours with ``reverse``.
        rows: pairs (official, ours).
        reverse: from ours to official.

    Returns:
        The renamed state dict in the same order, and the keys that no row matched.
    """
    patterns = [_compile(ours, official) if reverse else _compile(official, ours) for official, ours in rows]
    renamed, unmatched = {}, []
    for key, value in state_dict.items():
        for pattern, replacement in patterns:
            name, count = pattern.subn(replacement, key)
            if count:
                renamed[name] = value
                break
        else:
            unmatched.append(key)
    return renamed, unmatched


def _compile(source: str, target: str) -> tuple[re.Pattern, str]:
    """Make a pattern anchored at the start (and, without a trailing dot, at the end) and its replacement."""
    pattern = '^' + re.escape(source).replace(r'\{i\}', r'(\d+)') + ('' if source.endswith('.') else '$')
    return re.compile(pattern), target.replace('{i}', r'\1')


def strip_prefix(state_dict: Mapping[str, Tensor], prefix: str = 'module.') -> tuple[dict, bool]:
    """Remove the prefix that ``nn.DataParallel`` leaves; says whether it was there."""
    has_prefix = bool(state_dict) and all(key.startswith(prefix) for key in state_dict)
    return {key[len(prefix):] if has_prefix else key: value for key, value in state_dict.items()}, has_prefix


def find_weights(checkpoint: Mapping, containers: Iterable[str] = ('model_pos', 'model')) -> tuple[dict, Optional[str]]:
    """Return the weights of an official file and the key that they lay under (None: at the top level)."""
    for name in containers:
        if isinstance(checkpoint.get(name), dict):
            return checkpoint[name], name
    return dict(checkpoint), None


def motionbert_model_config(state_dict: Mapping[str, Tensor], *, num_heads: int = 8) -> dict:
    """Read the sizes of a MotionBERT pose model off its official weights.

    Args:
        state_dict: official keys without prefix.
        num_heads: cannot be read off the weights; every official model has 8.

    Returns:
        A ``MotionModel`` config without losses.
    """
    dim, in_channels = state_dict['joints_embed.weight'].shape
    depth = 1 + max(int(key.split('.')[1]) for key in state_dict if key.startswith('blocks_st.'))
    hidden = state_dict['blocks_st.0.mlp_s.fc1.weight'].shape[0]
    mlp_ratio = hidden / dim
    if int(dim * mlp_ratio) < hidden:  # rounding: 120 / 88 * 88 is 119.99...
        mlp_ratio = math.nextafter(mlp_ratio, math.inf)
    backbone = dict(type='DSTformer', in_channels=in_channels, num_joints=state_dict['pos_embed'].shape[1],
                    max_frames=state_dict['temp_embed'].shape[1], dim=dim, depth=depth, num_heads=num_heads,
                    mlp_ratio=mlp_ratio, use_fusion='ts_attn.0.weight' in state_dict,
                    qkv_bias='blocks_st.0.attn_s.qkv.bias' in state_dict)
    neck = dict(type='RepresentationLayer', out_channels=state_dict['pre_logits.fc.weight'].shape[0])
    head = dict(type='PoseLiftHead', out_channels=state_dict['head.weight'].shape[0])
    return dict(type='MotionModel', backbone=backbone, neck=neck, heads=dict(pose=head))
