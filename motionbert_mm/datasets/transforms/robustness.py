"""Corruptions of the input with which the robustness of a trained lifter is tested."""
from __future__ import annotations

import numpy as np

from motionbert_mm.datasets.transforms.masking import inputs_to_corrupt
from motionbert_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class AddGaussianNoise:
    """Add independent Gaussian noise to the coordinates of the normalised input (P-STMO, ECCV 2022, table 8).

    Changes ``inputs`` (B, M, T, J, C) only: confidence, ``keypoints_2d`` and targets stay as they are, and so do joints
    with confidence 0. Stands after ``NormalizeCoords``; after ``ReprojectionTarget``, whose target is to stay clean.

    Args:
        std: standard deviation of each coordinate in the units of the input, where ``NormalizeCoords(inputs='screen')``
            spans the image width over 2; 0 changes nothing. Published: 0.01, 0.03 and 0.05, which we take for standard
            deviations; the paper writes N(0, 0.01) and says neither which nor in which unit.

    Raises:
        ValueError: a negative or infinite deviation; when called, see ``inputs_to_corrupt``.
    """

    def __init__(self, *, std: float) -> None:
        if not 0.0 <= std < float('inf'):
            raise ValueError(f'AddGaussianNoise.std must be a finite number of at least 0, got {std}')
        self.std = std

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with noisy ``inputs``, if there is any noise."""
        if not self.std:
            return results
        inputs = inputs_to_corrupt(results, 'AddGaussianNoise')
        noisy = inputs.copy()
        noise = rng.standard_normal(inputs[..., :-1].shape, dtype=np.float32) * np.float32(self.std)
        noisy[..., :-1] += noise * (inputs[..., -1:] > 0)
        return dict(results, inputs=noisy)


@TRANSFORMS.register_module()
class ShuffleFrames:
    """Give the frames of the input in random order; row RS of P-STMO's robustness test (ECCV 2022, table 8).

    Changes ``inputs`` (B, M, T, J, C) only; ``keypoints_2d``, targets, ``visible`` and ``frame_ids`` keep their order.
    All persons of a sample are shuffled alike, each sample in a way of its own. Stands after ``NormalizeCoords`` and
    ``ReprojectionTarget``, whose target would else be shuffled too, and before the transform that makes the mask: a
    mask says which places of the shuffled input are hidden.

    Args:
        prob: share of the samples that are shuffled; 0 changes nothing.

    Raises:
        ValueError: a share outside 0..1; when called, a mask that is there already, and see ``inputs_to_corrupt``.
    """

    def __init__(self, *, prob: float = 1.0) -> None:
        if not 0.0 <= prob <= 1.0:
            raise ValueError(f'ShuffleFrames.prob is a share between 0 and 1, got {prob}')
        self.prob = prob

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with the frames of some ``inputs`` in another order."""
        if not self.prob:
            return results
        inputs = inputs_to_corrupt(results, 'ShuffleFrames')
        if 'mask' in results:
            raise ValueError('ShuffleFrames comes after the transform that makes the mask, which says what is hidden '
                             'by its place in the input; move ShuffleFrames before it')
        batch, _, frames = inputs.shape[:3]
        chosen = rng.random(batch) < self.prob
        order = np.tile(np.arange(frames), (batch, 1))
        order[chosen] = rng.permuted(order[chosen], axis=1)
        by_frame = inputs.swapaxes(1, 2)  # (B, T, M, J, C)
        return dict(results, inputs=by_frame[np.arange(batch)[:, None], order].swapaxes(1, 2))
