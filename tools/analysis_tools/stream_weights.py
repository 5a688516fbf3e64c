"""The weights that a DSTformer gives its two streams, per token, and their statistics; a part of fusion_weights.py."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from motionbert_mm.evaluation.functional.merging import as_array
from motionbert_mm.models.backbones.dstformer import StreamFusion
from motionbert_mm.structures.skeleton import get_skeleton

SPEEDS = ('speed', 'speed_from_root')


@dataclass(frozen=True)
class Tokens:
    """What is kept of some windows W of L layers and J joints: sums over their frames, and how many were summed.

    Attributes:
        actions: (W,) names.
        weights: (W, L, J) sums of the weights of the space-first stream.
        counts: (W, J) frames in ``weights``.
        speeds: (W, 2, J) sums of the speeds of ``SPEEDS``, mm per frame.
        steps: (W, J) pairs of neighbouring frames in ``speeds``.
        moments: (1 + J + J * J,) of the frames of one layer in which every joint is valid: count, sums of
            (weight - 0.5) and of the products of two joints.
    """

    actions: np.ndarray
    weights: np.ndarray
    counts: np.ndarray
    speeds: np.ndarray
    steps: np.ndarray
    moments: np.ndarray

    @staticmethod
    def join(parts: Sequence[Tokens]) -> Tokens:
        """Make one of several."""
        names = ('actions', 'weights', 'counts', 'speeds', 'steps')
        return Tokens(*(np.concatenate([getattr(part, name) for part in parts]) for name in names),
                      moments=np.sum([part.moments for part in parts], axis=0))


@dataclass(frozen=True)
class Means:
    """Means of G groups of tokens, actions or joints.

    Attributes:
        names: of the groups.
        weights: (G, L) of the space-first stream.
        speeds: (G, 2) mm per frame, as ``SPEEDS``.
        counts: (G,) tokens.
    """

    names: tuple
    weights: np.ndarray
    speeds: np.ndarray
    counts: np.ndarray


# --- Measuring ---


def find_fusions(model: nn.Module, source: str) -> list[StreamFusion]:
    """Return the fusions of a model's backbone, first layer first.

    Raises:
        ValueError: the backbone has none.
    """
    fusions = [module for module in model.backbone.modules() if isinstance(module, StreamFusion)]
    if not fusions:
        raise ValueError(f'{source}: its backbone, {type(model.backbone).__name__}, does not weigh two streams per '
                         'token; expected a DSTformer with adaptive fusion')
    return fusions


@contextmanager
def recorded(fusions: Sequence[StreamFusion]) -> Iterator[list[Tensor]]:
    """Collect the weights (N, T, J) of the first stream of every fusion that runs inside, in order."""
    weights: list[Tensor] = []

    def record(fusion: StreamFusion, streams: tuple, fused: Tensor) -> None:
        weights.append(fusion.share(*streams)[..., 0].float())

    handles = [fusion.register_forward_hook(record) for fusion in fusions]
    try:
        yield weights
    finally:
        for handle in handles:
            handle.remove()


def run_model(model: nn.Module, batches: Iterable[Mapping], fusions: Sequence[StreamFusion], layer: int) -> Tokens:
    """Run a model over batches and sum up the tokens.

    Args:
        model: in evaluation mode, without flip averaging.
        batches: of a test loader, with ``keypoints_3d``.
        fusions: of the model's backbone.
        layer: index of the fusion whose weights are correlated between joints.
    """
    parts = []
    for batch in batches:
        with torch.no_grad(), recorded(fusions) as weights:
            model.test_step(batch)
        parts.append(sum_tokens(torch.stack(weights, dim=1).cpu().numpy(), batch['data_samples'], layer))
    return Tokens.join(parts)


def sum_tokens(weights: np.ndarray, samples: Any, layer: int) -> Tokens:
    """Sum up one batch.

    Args:
        weights: (B * M, L, T, J).
        samples: the batched ground truth; ``keypoints_3d`` (B, M, T, J, 3) mm, camera frame.
        layer: see ``run_model``.

    Raises:
        KeyError: no ``keypoints_3d``.
        ValueError: other frames or joints than the backbone's tokens.
    """
    if 'keypoints_3d' not in samples:
        raise KeyError(f'the test data give {sorted(samples.keys())}; the speed of joints needs keypoints_3d, add it '
                       'to PackInputs.fields of test_dataloader.dataset.pipeline')
    points = as_array(samples.keypoints_3d).astype(np.float64)
    persons = points.shape[1]
    points = points.reshape(-1, *points.shape[2:])  # (W, T, J, 3)
    if weights.shape[0] != len(points) or weights.shape[2:] != points.shape[1:3]:
        raise ValueError(f'the backbone fuses {weights.shape[2:]} (frames, joints) of {weights.shape[0]} windows, the '
                         f'ground truth has {points.shape[1:3]} of {len(points)}')
    valid = np.ones(points.shape[:3], bool)
    if 'visible' in samples:
        valid = as_array(samples.visible).astype(bool).reshape(valid.shape)
    meta = samples.metainfo
    frame_ids = np.repeat(np.asarray(meta['frame_ids']), persons, axis=0)  # (W, T)
    speeds, steps = sum_speeds(points, valid, frame_ids, get_skeleton(meta['skeleton']).root)
    summed = np.einsum('wltj,wtj->wlj', weights, valid, dtype=np.float64)
    whole = weights[:, layer][valid.all(axis=2)].astype(np.float64) - 0.5  # (frames, J)
    moments = np.concatenate([[len(whole)], whole.sum(axis=0), (whole.T @ whole).ravel()])
    actions = np.repeat(np.asarray(meta['action'], object), persons)
    return Tokens(actions, summed, valid.sum(axis=1), speeds, steps, moments)


def sum_speeds(points: np.ndarray, valid: np.ndarray, frame_ids: np.ndarray,
               root: int) -> tuple[np.ndarray, np.ndarray]:
    """Sum the speeds of joints over the frames of windows.

    Args:
        points: (W, T, J, 3) mm.
        valid: (W, T, J) bool.
        frame_ids: (W, T) numbers of the frames; a repeated frame does not count.
        root: joint that the second speed is relative to.

    Returns:
        (W, 2, J) sums in mm per frame, as ``SPEEDS``, and (W, J) how many were summed.
    """
    gaps = np.diff(frame_ids, axis=1)[..., None]  # (W, T - 1, 1)
    moves = valid[:, 1:] & valid[:, :-1] & (gaps > 0) & valid[:, 1:, [root]] & valid[:, :-1, [root]]
    sums = []
    for positions in (points, points - points[:, :, [root]]):
        distances = np.linalg.norm(np.diff(positions, axis=1), axis=-1)  # (W, T - 1, J)
        sums.append(np.where(moves, distances / np.maximum(gaps, 1), 0.0).sum(axis=1))
    return np.stack(sums, axis=1), moves.sum(axis=1)


# --- Statistics ---


def group_by_action(tokens: Tokens) -> Means:
    """Average the tokens of each action, all joints together."""
    names = sorted(set(tokens.actions))
    chosen = [tokens.actions == name for name in names]
    return _means([name or '(no action)' for name in names], *(
        np.stack([values[rows].sum(axis=(0, -1)) for rows in chosen])
        for values in (tokens.weights, tokens.counts, tokens.speeds, tokens.steps)))


def group_by_joint(tokens: Tokens, joints: Sequence[str]) -> Means:
    """Average the tokens of each joint, all actions together."""
    return _means(joints, tokens.weights.sum(axis=0).T, tokens.counts.sum(axis=0), tokens.speeds.sum(axis=0).T,
                  tokens.steps.sum(axis=0))


def _means(names: Sequence[str], weights: np.ndarray, counts: np.ndarray, speeds: np.ndarray,
           steps: np.ndarray) -> Means:
    """Divide sums by counts; groups without a token or without a movement are left out."""
    kept = np.flatnonzero((counts > 0) & (steps > 0))
    if not len(kept):
        raise ValueError('the test data have no two neighbouring frames with valid ground truth; check visible and the '
                         'window of test_dataloader')
    return Means(tuple(names[group] for group in kept), weights[kept] / counts[kept, None],
                 speeds[kept] / steps[kept, None], counts[kept])


def correlate(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Return Pearson's and Spearman's coefficient of two lists; NaN if one of them does not vary."""
    return _pearson(first, second), _pearson(rankdata(first), rankdata(second))


def _pearson(first: np.ndarray, second: np.ndarray) -> float:
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float('nan')
    return float(np.corrcoef(first, second)[0, 1])


def correlate_joints(moments: np.ndarray, num_joints: int) -> np.ndarray:
    """Return Pearson's coefficients (J, J) of ``Tokens.moments``; NaN where weights do not vary."""
    count, sums, products = moments[0], moments[1:1 + num_joints], moments[1 + num_joints:]
    covariance = count * products.reshape(num_joints, num_joints) - np.outer(sums, sums)
    variance = np.diagonal(covariance)
    # Below rounding of the float32 weights a joint does not vary.
    deviation = np.sqrt(np.where(variance > 1e-12 * count ** 2, variance, np.nan))
    return covariance / np.outer(deviation, deviation)
