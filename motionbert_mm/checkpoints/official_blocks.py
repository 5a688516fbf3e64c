"""Official weights of the blocks that P-STMO and MPM share, in both directions.

Official networks are written with convolutions over time and with a linear map each for query, key and value.
"""
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable

import torch
from torch import Tensor

from motionbert_mm.checkpoints.official import Layout, Rows, find_mlp_ratio, get_weight, rename_keys
from motionbert_mm.layers.strided import WIDTH
from motionbert_mm.models.necks.strided_reduction import STRIDES

NUM_HEADS = 8  # Official: the constructors' default, which nothing changes
XYZ, XY = 3, 2  # outputs of a joint in 3D and in 2D
REFINE = 'post_refine.'  # prefix of the refine module, which the official codes save in a file of its own


@dataclass(frozen=True)
class OfficialNetwork:
    """The networks of one official code base.

    Attributes:
        rows: key map of all its networks.
        model_config: reads the sizes off official weights; ``(state_dict, *, skeleton=None) -> MotionModel config``.
    """

    rows: Rows
    model_config: Callable[..., dict]

    def to_ours(self, state_dict: Mapping[str, Tensor]) -> tuple[dict, list[str]]:
        """Return official weights (keys without prefix) under our names, and the keys that have none.

        Raises:
            ValueError: query, key and value of a layer do not fit together.
        """
        renamed, unmatched = rename_keys(state_dict, self.rows)
        return join_qkv(renamed), unmatched

    def to_official(self, state_dict: Mapping[str, Tensor]) -> tuple[dict, list[str]]:
        """Return our weights under the official names, and the keys that have none."""
        return rename_keys(split_qkv(state_dict), self.rows, reverse=True)


def _join_taps(value: Tensor) -> Tensor:
    return value.transpose(1, 2).flatten(1) if value.ndim == 3 else value


def _split_taps(value: Tensor) -> Tensor:
    if value.ndim != 2 or value.shape[1] % WIDTH:
        return value
    return value.unflatten(1, (WIDTH, -1)).transpose(1, 2).contiguous()


# A convolution with one tap is a linear map: (out, in, 1) <-> (out, in).
ONE_TAP = Layout(lambda value: value.squeeze(-1) if value.ndim == 3 else value,
                 lambda value: value.unsqueeze(-1) if value.ndim == 2 else value)
# One with more is a linear map of the tokens under its taps: (out, in, taps) <-> (out, taps * in).
TAPS = Layout(_join_taps, _split_taps)
# (1, 1, C) <-> (C,).
TOKEN = Layout(lambda value: value.flatten(), lambda value: value[None, None])


def normed_linear_rows(official: str, ours: str) -> Rows:
    """Rows of ``NormedLinear`` as the first layer of the MLP over single frames."""
    return (f'{official}fc_1.', f'{ours}fc.', ONE_TAP), (f'{official}bn_1.', f'{ours}norm.')


def residual_rows(official: str, ours: str) -> Rows:
    """Rows of the ``ResidualMLP`` blocks and of the map behind them."""
    layers = [row for number in (1, 2) for row in (
        (f'{official}layers.{{i}}.w{number}.', f'{ours}blocks.{{i}}.layers.{number - 1}.fc.', ONE_TAP),
        (f'{official}layers.{{i}}.batch_norm{number}.', f'{ours}blocks.{{i}}.layers.{number - 1}.norm.'))]
    return *layers, (f'{official}fc_2.', f'{ours}reduce.', ONE_TAP)


def norm_rows(official: str, ours: str) -> Rows:
    """Rows of ``UnbiasedLayerNorm``."""
    return (f'{official}a_2', f'{ours}weight'), (f'{official}b_2', f'{ours}bias')


def transformer_rows(official: str, ours: str, last_norm: str = 'norm') -> Rows:
    """Rows of a stack of ``ReLUTransformerLayer`` and of the unused norm behind it."""
    layer, our_layer = f'{official}model.layers.{{i}}.', f'{ours}layers.{{i}}.'
    return (*_attention_rows(layer, our_layer), (f'{layer}feed_forward.w_1.', f'{our_layer}mlp.fc1.'),
            (f'{layer}feed_forward.w_2.', f'{our_layer}mlp.fc2.'),
            *norm_rows(f'{official}model.norm.', f'{ours}{last_norm}.'))


def strided_rows(official: str, ours: str) -> Rows:
    """Rows of ``StridedTransformer``."""
    layer, our_layer = f'{official}model.layers.{{i}}.', f'{ours}layers.{{i}}.'
    positions = [(f'{official}model.pos_embedding_{number + 1}', f'{ours}positions.{number}') for number in range(3)]
    return (*positions, *_attention_rows(layer, our_layer),
            (f'{layer}feed_forward.w_1.', f'{our_layer}fc.', ONE_TAP),
            (f'{layer}feed_forward.w_2.', f'{our_layer}conv.', TAPS),
            *norm_rows(f'{official}model.norm.', f'{ours}norm.'))


def output_rows(official: str, ours: str) -> Rows:
    """Rows of the output of ``FrameDecoder``."""
    return (f'{official}0.', f'{ours}norm.'), (f'{official}1.', f'{ours}fc.', ONE_TAP)


def _attention_rows(layer: str, our_layer: str) -> Rows:
    """Attention and the norms of a layer; q, k and v are joined by ``join_qkv``."""
    parts = [(f'{layer}self_attn.linears.{number}.', f'{our_layer}attn.{part}.')
             for number, part in enumerate(('q', 'k', 'v', 'proj'))]
    norms = [row for number in (0, 1)
             for row in norm_rows(f'{layer}sublayer.{number}.norm.', f'{our_layer}norm{number + 1}.')]
    return *parts, *norms


# Stage II: strided transformer and heads. Official: model/stmo.py of P-STMO, model/MPM.py of MPM.
LIFTER: Rows = (*strided_rows('Transformer_reduce.', 'neck.transformer.'),
                *output_rows('fcn.', 'heads.centre.output.'), *output_rows('fcn_1.', 'heads.frames.output.'),
                (REFINE, 'heads.centre.refine.weights.'))

_PART = re.compile(r'(.*\battn\.)([qkv])\.(weight|bias)')
_JOINED = re.compile(r'(.*\battn\.)qkv\.(weight|bias)')


def join_qkv(state_dict: Mapping[str, Tensor]) -> dict:
    """Join the maps ``attn.q``, ``attn.k`` and ``attn.v`` to ``attn.qkv``; without all three there is none.

    Raises:
        ValueError: the three differ in shape.
    """
    joined = {}
    for key, value in state_dict.items():
        match = _PART.fullmatch(key)
        if match is None:
            joined[key] = value
            continue
        parts = [state_dict.get(f'{match[1]}{part}.{match[3]}') for part in 'qkv']
        if match[2] == 'q' and all(part is not None for part in parts):
            if len({part.shape for part in parts}) > 1:
                shapes = ', '.join(str(tuple(part.shape)) for part in parts)
                raise ValueError(f'{match[3]} of query, key and value of {match[1][:-1]} have the shapes {shapes}, '
                                 'expected the same for all')
            joined[f'{match[1]}qkv.{match[3]}'] = torch.cat(parts)
    return joined


def split_qkv(state_dict: Mapping[str, Tensor]) -> dict:
    """Undo ``join_qkv``."""
    split = {}
    for key, value in state_dict.items():
        match = _JOINED.fullmatch(key)
        if match is None:
            split[key] = value
        else:
            split.update({f'{match[1]}{part}.{match[2]}': chunk.clone() for part, chunk in zip('qkv', value.chunk(3))})
    return split


def encoder_sizes(state_dict: Mapping[str, Tensor], *, first: str, blocks: str, transformer: str) -> dict:
    """Read the sizes of the encoder of frames, but for its joints.

    Args:
        state_dict: official keys without prefix.
        first: official prefix of the first map of the MLP over single frames.
        blocks: that of the rest of this MLP.
        transformer: that of the transformer.

    Raises:
        ValueError: a key is missing that tells a size.
    """
    max_frames, dim = get_weight(state_dict, f'{transformer}pos_embedding').shape[1:]
    return dict(max_frames=max_frames, dim=dim, hidden_dim=len(get_weight(state_dict, f'{first}fc_1.weight')),
                num_blocks=_count(state_dict, f'{blocks}layers.'), **transformer_sizes(state_dict, transformer))


def transformer_sizes(state_dict: Mapping[str, Tensor], prefix: str) -> dict:
    """Read depth, heads and width of the MLP of a transformer; ValueError if it has no layer."""
    return dict(depth=_count(state_dict, f'{prefix}model.layers.'), num_heads=NUM_HEADS,
                mlp_ratio=_mlp_ratio(state_dict, prefix))


def lifter_parts(state_dict: Mapping[str, Tensor], *, num_joints: int, num_frames: int) -> dict:
    """Return what a ``MotionModel`` config of stage II has behind the backbone.

    ``StridedReduction`` and the heads ``frames`` and ``centre``, the latter with its refine module if there is one.
    """
    neck = dict(type='StridedReduction', num_frames=num_frames, num_heads=NUM_HEADS,
                mlp_ratio=_mlp_ratio(state_dict, 'Transformer_reduce.'))
    frames = dict(type='FramePoseHead', num_joints=num_joints, out_channels=XYZ, source='frames')
    centre = dict(frames, source='centre', centre=True)
    if any(key.startswith(REFINE) for key in state_dict):
        centre = dict(type='RefinedPoseHead', num_joints=num_joints, source='centre')
    return dict(neck=neck, heads=dict(frames=frames, centre=centre), predicts=['centre'])


def check_official_options(model: Mapping) -> None:
    """Refuse a model that has the official weights' shapes, but would be another network in the official code.

    Args:
        model: ``MotionModel`` config.

    Raises:
        ValueError: an option without a place in official weights, at another value than the official one.
    """
    neck = model.get('neck') or {}
    expected = [(part, 'num_heads', NUM_HEADS) for part in (model['backbone'], neck, *model['heads'].values())]
    expected += [(neck, 'centred', False), (neck, 'strides', STRIDES.get(neck.get('num_frames', 243)))]
    for part, name, official in expected:
        value = part.get(name)
        value = tuple(value) if isinstance(value, list) else value
        if value not in (None, official):
            raise ValueError(f'this {part["type"]} has {name}={value}, the official one {official}, and official '
                             f'weights do not tell; only a model trained with {name}={official} can go back')


def _count(state_dict: Mapping[str, Tensor], prefix: str) -> int:
    """Return the number of layers under a prefix."""
    return 1 + max((int(key[len(prefix):].split('.')[0]) for key in state_dict if key.startswith(prefix)), default=-1)


def _mlp_ratio(state_dict: Mapping[str, Tensor], prefix: str) -> float:
    return find_mlp_ratio(get_weight(state_dict, f'{prefix}model.layers.0.feed_forward.w_1.weight'))
