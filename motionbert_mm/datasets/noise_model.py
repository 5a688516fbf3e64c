"""The noise of a 2D pose detector: parameters, random draws, and what follows from both.

The model is the one MotionBERT pretrains with: every joint has a mixture of a Gaussian and a uniform error at key
frames, errors are linear in time between them, and every frame adds a little jitter. The confidence falls with the
size of the whole error. All lengths are in normalised units: half the image width is 1.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motionbert_mm.structures.skeleton import get_skeleton

UNIFORM_RANGE = 0.06  # Official: the side of the square that holds the uniform errors, centred at 0
JITTER_STD = 0.002  # Official: Augmenter2D, noise_std


@dataclass(frozen=True)
class ConfidenceCurve:
    """Confidence of a joint that lies ``d`` from the truth: clip(a / (d + a) + b d + N(m, s^2), 0, 1).

    Attributes:
        a: distance at which the first term has fallen to one half.
        b: slope that bends the curve for large errors.
        m: mean of the noise.
        s: standard deviation of the noise.
    """

    a: float
    b: float
    m: float
    s: float

    def __post_init__(self) -> None:
        if not np.isfinite([self.a, self.b, self.m, self.s]).all() or self.a <= 0 or self.s < 0:
            raise ValueError(f'a confidence curve needs finite numbers, a > 0 and s >= 0, got {self}')

    def expected(self, distance: np.ndarray) -> np.ndarray:
        """Return the confidence before clipping and without the spread, (...) for distances (...)."""
        return self.a / (distance + self.a) + self.b * distance + self.m


@dataclass(frozen=True)
class NoiseModel:
    """Parameters of the noise for one skeleton.

    Attributes:
        skeleton: name of the joint set.
        mean: (J, 2) mean of the Gaussian, x and y.
        std: (J, 2) standard deviation of the Gaussian.
        weight: (J,) probability of the Gaussian; otherwise the error is uniform.
        confidence: of a joint, given its error.
        uniform_range: side of the square of uniform errors.
        jitter_std: standard deviation of the error that every frame adds.
        source: where the numbers come from.

    Raises:
        ValueError: shapes that do not fit the skeleton, or numbers out of range.
    """

    skeleton: str
    mean: np.ndarray
    std: np.ndarray
    weight: np.ndarray
    confidence: ConfidenceCurve
    uniform_range: float = UNIFORM_RANGE
    jitter_std: float = JITTER_STD
    source: str = ''

    def __post_init__(self) -> None:
        joints = get_skeleton(self.skeleton).num_joints
        for name, shape in (('mean', (joints, 2)), ('std', (joints, 2)), ('weight', (joints,))):
            values = np.array(getattr(self, name), np.float64)
            if values.shape != shape or not np.isfinite(values).all():
                raise ValueError(f'noise of skeleton {self.skeleton!r}: {name} must be {shape} finite numbers, '
                                 f'got shape {values.shape}')
            object.__setattr__(self, name, values)
        if (self.std < 0).any() or (self.weight < 0).any() or (self.weight > 1).any():
            raise ValueError('noise parameters need std >= 0 and weight in 0..1; '
                             f'got std from {self.std.min():g}, weight from {self.weight.min():g} to '
                             f'{self.weight.max():g}')
        if not (np.isfinite([self.uniform_range, self.jitter_std]).all() and min(self.uniform_range,
                                                                               self.jitter_std) >= 0):
            raise ValueError(f'noise parameters need finite uniform_range and jitter_std >= 0; got '
                             f'{self.uniform_range} and {self.jitter_std}')


@dataclass(frozen=True)
class NoiseDraws:
    """Random numbers of one batch, before any parameter is applied; they broadcast over the leading axes.

    Attributes:
        selector: (..., K, J, 1) uniform in 0..1; below the weight of a joint the Gaussian is taken.
        gaussian: (..., K, J, 2) standard normal, at key frames.
        uniform: (..., K, J, 2) uniform in 0..1, at key frames.
        jitter: (..., T, J, 2) standard normal.
        confidence: (..., T, J) standard normal.
    """

    selector: np.ndarray
    gaussian: np.ndarray
    uniform: np.ndarray
    jitter: np.ndarray
    confidence: np.ndarray


def draw_noise(rng: np.random.Generator, shape: tuple, num_keyframes: int, *, share_jitter: bool = False) -> NoiseDraws:
    """Draw the random numbers of a batch.

    Args:
        rng: source of the draws.
        shape: (B, M, T, J).
        num_keyframes: K.
        share_jitter: draw one jitter for all samples; persons still differ.
    """
    batch, persons, frames, joints = shape
    keys = (batch, persons, num_keyframes, joints)
    return NoiseDraws(
        selector=rng.random((*keys, 1), dtype=np.float32), gaussian=rng.standard_normal((*keys, 2), dtype=np.float32),
        uniform=rng.random((*keys, 2), dtype=np.float32),
        jitter=rng.standard_normal((1 if share_jitter else batch, persons, frames, joints, 2), dtype=np.float32),
        confidence=rng.standard_normal(shape, dtype=np.float32))


def linear_basis(positions: np.ndarray, num_knots: int) -> np.ndarray:
    """Return (T, K) weights that interpolate values at the knots 0 .. K - 1 linearly at ``positions`` (T,)."""
    return np.maximum(0.0, 1.0 - np.abs(positions[:, None] - np.arange(num_knots)))


def keyframe_errors(model: NoiseModel, draws: NoiseDraws) -> np.ndarray:
    """Return the errors (..., K, J, 2) at the key frames."""
    gaussian = draws.gaussian * model.std + model.mean
    uniform = (draws.uniform - 0.5) * model.uniform_range
    return np.where(draws.selector < model.weight[:, None], gaussian, uniform)


def position_errors(model: NoiseModel, draws: NoiseDraws) -> np.ndarray:
    """Return the errors (..., T, J, 2) of every frame: key frames spread evenly over all frames, and jitter."""
    keys = keyframe_errors(model, draws)
    knots, frames = keys.shape[-3], draws.jitter.shape[-3]
    # Official: positions in single precision, as torch.nn.functional.interpolate(align_corners=True) computes them.
    positions = np.arange(frames, dtype=np.float32) * np.float32((knots - 1) / max(frames - 1, 1))
    basis = linear_basis(positions, knots)
    smooth = basis @ keys.reshape(*keys.shape[:-2], -1)
    return smooth.reshape(*smooth.shape[:-1], *keys.shape[-2:]) + draws.jitter * model.jitter_std


def simulate(model: NoiseModel, draws: NoiseDraws) -> tuple[np.ndarray, np.ndarray]:
    """Return errors (..., T, J, 2) and the confidence (..., T, J) in 0..1 that a detector would report."""
    errors = position_errors(model, draws)
    curve = model.confidence
    confidence = curve.expected(np.linalg.norm(errors, axis=-1)) + draws.confidence * curve.s
    return errors, np.clip(confidence, 0.0, 1.0)
