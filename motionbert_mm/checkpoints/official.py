"""Key maps of official weights, in both directions.

A row of a map is a pair of templates, official and ours; ``{i}`` stands for a number. A third entry, where there is
one, says how the tensor's layout changes. Weights are carried over bit by bit.
"""
from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Callable, NamedTuple, Optional

from torch import Tensor

Rows = tuple


class Layout(NamedTuple):
    """How a tensor changes its shape on the way to us and back; one of another shape than expected stays as it is."""

    to_ours: Callable[[Tensor], Tensor]
    to_official: Callable[[Tensor], Tensor]


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


# MotionBERT's backbone and representation layer, and the pose model, with its 3D head in the same state dict.
MOTIONBERT: Rows = (*_dstformer_rows(), ('pre_logits.fc.', 'neck.fc.'))
MOTIONBERT_POSE: Rows = (*MOTIONBERT, ('head.', 'heads.pose.fc.'))


def rename_keys(state_dict: Mapping[str, Tensor], rows: Rows, *, reverse: bool = False) -> tuple[dict, list[str]]:
    """Rename the keys of a state dict by the rows of a map.

    Args:
        state_dict: official weights, or ours with ``reverse``.
        rows: (official, ours) or (official, ours, ``Layout``).
        reverse: from ours to official.

    Returns:
        The renamed state dict in the same order, and the keys that no row matched.
    """
    rules = [_compile(*row, reverse=reverse) for row in rows]
    renamed, unmatched = {}, []
    for key, value in state_dict.items():
        for pattern, replacement, change in rules:
            name, count = pattern.subn(replacement, key)
            if count:
                renamed[name] = change(value) if change else value
                break
        else:
            unmatched.append(key)
    return renamed, unmatched


def _compile(official: str, ours: str, layout: Optional[Layout] = None, *,
             reverse: bool) -> tuple[re.Pattern, str, Optional[Callable[[Tensor], Tensor]]]:
    """Make a pattern anchored at the start (without a trailing dot at the end too), its replacement and the change."""
    source, target = (ours, official) if reverse else (official, ours)
    pattern = '^' + re.escape(source).replace(r'\{i\}', r'(\d+)') + ('' if source.endswith('.') else '$')
    change = layout and (layout.to_official if reverse else layout.to_ours)
    return re.compile(pattern), target.replace('{i}', r'\1'), change


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


def find_mlp_ratio(weight: Tensor) -> float:
    """Return the ratio that makes an MLP as wide as its first map (hidden, dim) says, after cutting off decimals."""
    hidden, dim = weight.shape[:2]
    ratio = hidden / dim
    # Rounding: 120 / 88 * 88 is 119.99...
    return math.nextafter(ratio, math.inf) if int(dim * ratio) < hidden else ratio


def get_weight(state_dict: Mapping[str, Tensor], key: str) -> Tensor:
    """Return a weight that tells a size; ValueError if it is missing."""
    if key not in state_dict:
        raise ValueError(f'the official key {key} is missing, which tells a size of the model')
    return state_dict[key]


def motionbert_parts(state_dict: Mapping[str, Tensor], *, num_heads: int = 8, prefix: str = '') -> dict:
    """Read the sizes of MotionBERT's backbone and representation layer off official weights.

    Args:
        state_dict: official keys without 'module.'.
        num_heads: cannot be read off the weights; every official model has 8.
        prefix: of the backbone's keys.

    Returns:
        A ``MotionModel`` config without heads.

    Raises:
        ValueError: keys missing that tell a size.
    """
    def size(key: str) -> tuple:
        return tuple(get_weight(state_dict, prefix + key).shape)

    stages = re.compile(re.escape(prefix) + r'blocks_st\.(\d+)\.')
    dim, in_channels = size('joints_embed.weight')
    mlp = get_weight(state_dict, f'{prefix}blocks_st.0.mlp_s.fc1.weight')
    backbone = dict(type='DSTformer', in_channels=in_channels, num_joints=size('pos_embed')[1],
                    max_frames=size('temp_embed')[1], dim=dim,
                    depth=1 + max(int(found[1]) for found in map(stages.match, state_dict) if found),
                    num_heads=num_heads, mlp_ratio=find_mlp_ratio(mlp),
                    use_fusion=f'{prefix}ts_attn.0.weight' in state_dict,
                    qkv_bias=f'{prefix}blocks_st.0.attn_s.qkv.bias' in state_dict)
    return dict(type='MotionModel', backbone=backbone,
                neck=dict(type='RepresentationLayer', out_channels=size('pre_logits.fc.weight')[0]))


def motionbert_model_config(state_dict: Mapping[str, Tensor], *, num_heads: int = 8) -> dict:
    """Read the sizes of a MotionBERT pose model off its official weights.

    Args:
        state_dict: official keys without prefix.
        num_heads: see ``motionbert_parts``.

    Returns:
        A ``MotionModel`` config without losses.

    Raises:
        ValueError: keys missing that tell a size.
    """
    head = dict(type='PoseLiftHead', out_channels=len(get_weight(state_dict, 'head.weight')))
    return dict(motionbert_parts(state_dict, num_heads=num_heads), heads=dict(pose=head))
