"""What the attention layers of a model look at: weights recorded during a forward pass, and what they say."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from motionbert_mm.layers.attention import MultiHeadAttention, SeriesAttention
from motionbert_mm.layers.strided import StridedTransformer


@dataclass(frozen=True)
class AttentionMap:
    """The weights of one attention layer for one window.

    Attributes:
        name: of the layer in the model; '.joints' or '.frames' is added where a layer attends over both.
        group: ``name`` without the number of the layer, the same for all layers of a stack.
        number: of the layer in its stack, from 0.
        kind: what its tokens are, 'frames' or 'joints'.
        weights: (K, heads, L, L) float32. A row belongs to the token that attends and sums to one. K is 1 where a frame
            is one token; else the joints, which attend over frames, or the frames, which attend over joints.
        tokens: (L,) frame of the window or joint of the skeleton that each token stands for.
    """

    name: str
    group: str
    number: int
    kind: str
    weights: np.ndarray
    tokens: np.ndarray


# --- Recording ---


def find_attention(model: nn.Module, patterns: Sequence[str] = ('*',)) -> dict[str, MultiHeadAttention]:
    """Return the attention layers of a model by name, in the model's order.

    Args:
        model: any module.
        patterns: shell patterns of names, e.g. 'backbone.*'; one of them has to fit.

    Raises:
        ValueError: the model has none, or none of a fitting name.
    """
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, MultiHeadAttention)}
    if not layers:
        raise ValueError(f'{type(model).__name__} has no attention layer; expected a model with a transformer')
    chosen = {name: layer for name, layer in layers.items() if any(fnmatch(name, pattern) for pattern in patterns)}
    if not chosen:
        raise ValueError(f'no attention layer fits {" or ".join(patterns)}; the model has {", ".join(layers)}')
    return chosen


@contextmanager
def recorded_attention(model: nn.Module, patterns: Sequence[str] = ('*',)) -> Iterator[dict[str, list[Tensor]]]:
    """Record the weights of attention layers while a model runs inside the block.

    They are made of the queries and keys that the layers themselves compute; the model runs as fast as ever outside.

    Args:
        model: any module.
        patterns: see ``find_attention``.

    Yields:
        Name of a layer -> weights (N, heads, L, L) float32 on the CPU, one tensor for every time that it attends: N is
        the layer's own batch, into which frames or joints may be folded. Dropout is left out.

    Raises:
        ValueError: see ``find_attention``.
    """
    recorded: dict[str, list[Tensor]] = {}

    def recorder(name: str, layer: MultiHeadAttention) -> Any:
        def record(_: nn.Module, __: tuple, projected: Tensor) -> None:
            recorded.setdefault(name, []).append(layer.weights(projected.detach()).float().cpu())
        return layer.qkv.register_forward_hook(record)

    handles = [recorder(name, layer) for name, layer in find_attention(model, patterns).items()]
    try:
        yield recorded
    finally:
        for handle in handles:
            handle.remove()


def attention_maps(model: nn.Module, batch: Mapping, patterns: Sequence[str] = ('*',)) -> list[AttentionMap]:
    """Run a ``MotionModel`` on one window and return what its attention layers look at.

    Args:
        model: in evaluation mode. The input is not mirrored, whatever its ``flip_test``.
        batch: of ``collate_batch``, inputs (1, 1, T, J, C).
        patterns: see ``find_attention``.

    Raises:
        ValueError: more than one window or person, tokens that are neither frames nor joints, or see
            ``find_attention``.
    """
    if batch['inputs'].shape[:2] != (1, 1):
        raise ValueError(f'attention maps are of one window of one person, inputs (1, 1, T, J, C), got '
                         f'{tuple(batch["inputs"].shape)}')
    before, model.flip_test = model.flip_test, False
    try:
        with torch.inference_mode(), recorded_attention(model, patterns) as recorded:
            model.test_step(batch)
    finally:
        model.flip_test = before
    num_frames, num_joints = batch['inputs'].shape[2:4]
    samples = batch['data_samples']
    is_hidden = samples.mask[0, 0].all(dim=-1).cpu().numpy() if 'mask' in samples else np.zeros(num_frames, bool)
    frames = _reduced_frames(model, num_frames)
    maps = []
    for name, passes in recorded.items():
        kinds = _kinds(model.get_submodule(name), name)
        for kind, weights in zip(kinds, passes):
            length = weights.shape[-1]
            tokens = (_match_frames(name, length, frames.get(name, np.arange(num_frames)), is_hidden)
                      if kind == 'frames' else _match_joints(name, length, num_joints))
            suffix = f'.{kind}' if len(kinds) > 1 else ''
            maps.append(AttentionMap(name + suffix, *_split_name(name, suffix), kind, weights.numpy(), tokens))
    return maps


def _kinds(layer: MultiHeadAttention, name: str) -> tuple:
    """Return what a layer attends over, in order; all backbones call their layers over joints 'spatial'."""
    if isinstance(layer, SeriesAttention):
        return 'joints', 'frames'
    return ('joints' if 'spatial' in name.split('.') else 'frames',)


def _reduced_frames(model: nn.Module, num_frames: int) -> dict[str, np.ndarray]:
    """Return the frames that the tokens of layers stand for which follow a reduction: those that residuals carry."""
    found = {}
    for prefix, module in model.named_modules():
        if isinstance(module, StridedTransformer):
            frames = np.arange(num_frames)
            for number, layer in enumerate(module.layers):
                found[f'{prefix}.layers.{number}.attn'] = frames
                frames = frames[layer.first::layer.stride]
    return found


def _match_frames(name: str, length: int, frames: np.ndarray, is_hidden: np.ndarray) -> np.ndarray:
    """Return the frames of a layer's tokens: all, or those that are visible."""
    for tokens in (frames, np.flatnonzero(~is_hidden)):
        if len(tokens) == length:
            return tokens
    raise ValueError(f'{name} attends over {length} tokens; expected {len(frames)}, its frames, or '
                     f'{(~is_hidden).sum()}, those that are not hidden. Leave it out by a pattern of names')


def _match_joints(name: str, length: int, num_joints: int) -> np.ndarray:
    if length != num_joints:
        raise ValueError(f'{name} attends over {length} tokens; expected the {num_joints} joints. Leave it out by a '
                         'pattern of names')
    return np.arange(num_joints)


def _split_name(name: str, suffix: str) -> tuple[str, int]:
    """Split 'backbone.layers.2.attn' into 'backbone.layers' and 2; a layer that is not of a stack has number 0."""
    parts = name.split('.')
    places = [place for place, part in enumerate(parts) if part.isdigit()]
    number = int(parts.pop(places[-1])) if places else 0
    return '.'.join(parts[:-1] if len(parts) > 1 else parts) + suffix, number


# --- Measuring ---


def attention_distance(weights: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return how far tokens look, averaged over all but the heads.

    Args:
        weights: (K, heads, L, L).
        places: (L,) of the tokens, in frames for example.

    Returns:
        (heads,) mean distance, weighted by attention, in the unit of ``places``.
    """
    distances = np.abs(places[:, None] - places)
    return (weights * distances).sum(axis=-1, dtype=np.float64).mean(axis=(0, 2))


def attention_entropy(weights: np.ndarray) -> np.ndarray:
    """Return the entropy of the rows of weights (K, heads, L, L) in nats, averaged: (heads,), 0 to log L."""
    logs = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
    return -(weights * logs).sum(axis=-1, dtype=np.float64).mean(axis=(0, 2))


def describe_attention(attention: AttentionMap, step: int = 1) -> list[dict]:
    """Sum a layer up, a row for every head.

    Args:
        attention: the layer.
        step: frames of the video from one frame of the window to the next.

    Returns:
        Rows of ``module``, ``tokens`` (what they are), ``head`` (from 1), ``num_tokens``, ``distance`` (how far it
        looks, in frames of the video; empty for joints), ``even_distance`` (of equal weights, to compare with),
        ``entropy`` (nats) and ``even_entropy``.
    """
    length = len(attention.tokens)
    places = attention.tokens * step
    distances = attention_distance(attention.weights, places)
    even = attention_distance(np.full((1, 1, length, length), 1 / length), places)[0]
    has_distance = attention.kind == 'frames'
    return [dict(module=attention.name, tokens=attention.kind, head=head + 1, num_tokens=length,
                 distance=float(distance) if has_distance else '', even_distance=float(even) if has_distance else '',
                 entropy=float(entropy), even_entropy=float(np.log(length)))
            for head, (distance, entropy) in enumerate(zip(distances, attention_entropy(attention.weights)))]
