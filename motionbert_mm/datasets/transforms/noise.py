"""Detector noise: what a 2D pose detector does to the true joint positions."""
from __future__ import annotations

import numpy as np

from motionbert_mm.registry import TRANSFORMS


def pixel_noise(points: np.ndarray, rng: np.random.Generator, *, std: float = 4.0, outlier_rate: float = 0.02,
                outlier_shift: float = 40.0, tolerance: float = 20.0, confidence_std: float = 0.05) -> tuple:
    """Move true 2D joints as a detector would and say how sure it would be.

    Every joint gets Gaussian noise, independent in time; a small share is moved much further in a random
    direction. The confidence falls with the true error e as exp(-(e / tolerance)^2) plus noise, so it is more
    informative than that of a real detector.

    Args:
        points: (..., 2) pixels.
        rng: source of the draws.
        std: of the Gaussian, pixels per coordinate.
        outlier_rate: share of the joints that are moved by ``outlier_shift`` more.
        outlier_shift: pixels.
        tolerance: error at which the confidence has fallen to 1/e, pixels.
        confidence_std: of the Gaussian added to the confidence.

    Returns:
        Noisy points (..., 2) and confidence (...) in 0..1, float32.
    """
    shape = points.shape[:-1]
    shift = rng.standard_normal(points.shape, dtype=np.float32) * np.float32(std)
    angle = rng.random(shape, dtype=np.float32) * np.float32(2 * np.pi)
    is_outlier = rng.random(shape, dtype=np.float32) < outlier_rate
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    shift += direction * (is_outlier[..., None] * np.float32(outlier_shift))
    error = np.linalg.norm(shift, axis=-1)
    confidence = np.exp(-np.square(error / tolerance)) + rng.standard_normal(shape, dtype=np.float32) * confidence_std
    return points.astype(np.float32) + shift, np.clip(confidence, 0.0, 1.0).astype(np.float32)


@TRANSFORMS.register_module()
class AddDetectorNoise:
    """Replace the 2D input by a noisy version of the exact projection, drawn anew every time.

    Reads ``keypoints_2d`` (B, M, T, J, 2) pixels; writes ``keypoints_2d`` and ``confidence``.

    Args:
        std: see ``pixel_noise``, as all arguments.
    """

    def __init__(self, *, std: float = 4.0, outlier_rate: float = 0.02, outlier_shift: float = 40.0,
                 tolerance: float = 20.0, confidence_std: float = 0.05) -> None:
        self.options = dict(std=std, outlier_rate=outlier_rate, outlier_shift=outlier_shift, tolerance=tolerance,
                            confidence_std=confidence_std)

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with noisy input."""
        points, confidence = pixel_noise(results['keypoints_2d'], rng, **self.options)
        return {**results, 'keypoints_2d': points, 'confidence': confidence}
