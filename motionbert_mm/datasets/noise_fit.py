"""Fit the parameters of ``NoiseModel`` to pairs of detected and true joints.

Key frames: every piece of a clip is projected onto functions that are linear between key frames, by least squares
over the frames in which the joint was detected. Jitter: the median absolute residual of that projection. Mixture:
expectation maximisation over the errors at key frames, per joint; the jitter that is left in them is taken off the
variance, and an error too large for either part counts as uniform, so that gross errors do not widen the Gaussian.
Confidence curve: least squares on mean and spread of the confidence per distance; clipping is taken into account.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares
from scipy.special import ndtr

from motionbert_mm.datasets.noise_model import UNIFORM_RANGE, ConfidenceCurve, NoiseModel, linear_basis
from motionbert_mm.structures.skeleton import get_skeleton

MAD_TO_STD = 1.4826  # of a normal distribution
RIDGE = 1e-6  # keeps a key frame solvable that no frame supports
MAX_VARIANCE = 1.0  # a key frame is used if it is known better than from a single frame
MIN_KEYFRAMES = 50  # of a joint
MIN_STD = 1e-5
BIN_EDGES = np.linspace(0.0, 1.0, 201) ** 2  # of distances: fine where most of them lie
MIN_BIN_COUNT = 30
IMPLAUSIBLE_DISTANCE = 0.1  # median distance that no detector has in its own joints


@dataclass(frozen=True)
class NoiseFit:
    """What was fitted, and to what.

    Attributes:
        model: the parameters.
        num_keyframes: (J,) errors at key frames that were used.
        counts: (J, N) detections per joint and bin of ``BIN_EDGES``.
        confidence_mean: of all detections.
    """

    model: NoiseModel
    num_keyframes: np.ndarray
    counts: np.ndarray
    confidence_mean: float


class NoiseFitter:
    """Collect pairs clip by clip, then fit; memory holds one number per key frame and joint.

    Args:
        skeleton: name of the joint set.
        num_keyframes: key frames K of a piece.
        num_frames: frames of a piece; with ``num_keyframes`` it sets how many frames lie between key frames.
        uniform_range: side of the square of uniform errors, normalised; it is given, not fitted.

    Raises:
        ValueError: fewer than two frames per key frame, which leave no residual to see jitter in.
    """

    def __init__(self, skeleton: str, *, num_keyframes: int = 27, num_frames: int = 243,
                 uniform_range: float = UNIFORM_RANGE) -> None:
        if num_keyframes < 2 or num_frames < 2 * num_keyframes or not uniform_range > 0:
            raise ValueError(f'a fit needs at least 2 key frames, 2 frames for each and a positive uniform range; got '
                             f'num_keyframes={num_keyframes}, num_frames={num_frames}, uniform_range={uniform_range}')
        self.skeleton, self.num_frames, self.uniform_range = get_skeleton(skeleton), num_frames, uniform_range
        self.spacing = (num_frames - 1) / (num_keyframes - 1)
        joints = self.skeleton.num_joints
        self._keys: list = [[] for _ in range(joints)]
        self._variances: list = [[] for _ in range(joints)]
        self._jitter: list = []
        self._counts = np.zeros((joints, len(BIN_EDGES) - 1), np.int64)
        self._moments = np.zeros((3, len(BIN_EDGES) - 1))  # sums of distance, confidence and its square

    def add(self, errors: np.ndarray, confidence: np.ndarray) -> None:
        """Take one person's clip.

        Args:
            errors: (T, J, 2) detected minus true, normalised (half the image width is 1).
            confidence: (T, J) in 0..1; 0 means that the joint was not detected.
        """
        valid = confidence > 0
        self._count(np.linalg.norm(errors, axis=-1), confidence, valid)
        for start in range(0, len(errors), self.num_frames):
            piece = slice(start, start + self.num_frames)
            self._project(errors[piece].astype(np.float64), valid[piece])

    def _count(self, distance: np.ndarray, confidence: np.ndarray, valid: np.ndarray) -> None:
        bins = np.clip(np.searchsorted(BIN_EDGES, distance, side='right') - 1, 0, len(BIN_EDGES) - 2)
        for joint, counts in enumerate(self._counts):
            counts += np.bincount(bins[valid[:, joint], joint], minlength=len(counts))
        chosen, scores = bins[valid], confidence[valid].astype(np.float64)
        for row, values in zip(self._moments, (distance[valid], scores, scores ** 2)):
            row += np.bincount(chosen, values, minlength=len(row))

    def _project(self, errors: np.ndarray, valid: np.ndarray) -> None:
        """Split a piece (T, J, 2) into errors at key frames and residuals."""
        knots = int(np.floor((len(errors) - 1) / self.spacing + 1e-9)) + 1
        if knots < 2:
            return
        frames = min(int(round((knots - 1) * self.spacing)) + 1, len(errors))
        errors, valid = errors[:frames], valid[:frames].astype(np.float64)
        basis = linear_basis(np.arange(frames) / self.spacing, knots)
        normal = np.einsum('tk,tj,tl->jkl', basis, valid, basis)
        inverse = np.linalg.inv(normal + RIDGE * np.eye(knots))
        keys = inverse @ np.einsum('tk,tj,tjc->jkc', basis, valid, errors)
        variance = np.diagonal(inverse, axis1=1, axis2=2)
        residual = np.abs(errors - np.einsum('tk,jkc->tjc', basis, keys))
        for joint in range(errors.shape[1]):
            known = variance[joint] <= MAX_VARIANCE
            self._keys[joint].append(keys[joint, known])
            self._variances[joint].append(variance[joint, known])
            count, seen = valid[:, joint].sum(), valid[:, joint] > 0
            if known.all() and count >= 2 * knots:
                std = MAD_TO_STD * np.median(residual[seen, joint])
                self._jitter.append(std ** 2 * count / (count - knots))

    def fit(self, source: str) -> NoiseFit:
        """Fit everything.

        Args:
            source: what the pairs are, kept in the parameters.

        Raises:
            ValueError: too few detections of a joint, or detections that lie far from the truth.
        """
        keys, variances = ([np.concatenate(pieces) if pieces else np.zeros(0) for pieces in column]
                           for column in (self._keys, self._variances))
        sizes = np.array([len(values) for values in keys])
        if sizes.min() < MIN_KEYFRAMES or not self._jitter:
            raise ValueError(f'joint {self.skeleton.joints[int(sizes.argmin())]!r} was detected at {sizes.min()} key '
                             f'frames, {self.spacing:.3g} frames apart; at least {MIN_KEYFRAMES} are needed of every '
                             'joint: give more or longer clips')
        typical = float(histogram_quantile(self._counts.sum(axis=0), 0.5))
        if typical > IMPLAUSIBLE_DISTANCE:
            raise ValueError(f'detections lie {typical:.2g} half image widths from the truth (median); they must be of '
                             'the same image, the same frames and the same joint order')
        jitter = float(np.mean(self._jitter))
        parts = [fit_mixture(values, scale * jitter, self.uniform_range) for values, scale in zip(keys, variances)]
        mean, std, weight = (np.array(column) for column in zip(*parts))
        model = NoiseModel(skeleton=self.skeleton.name, mean=mean, std=std, weight=weight, source=source,
                           confidence=fit_confidence(self._counts.sum(axis=0), *self._moments),
                           uniform_range=self.uniform_range, jitter_std=float(np.sqrt(jitter)))
        return NoiseFit(model, sizes, self._counts, float(self._moments[1].sum() / self._counts.sum()))


def fit_mixture(errors: np.ndarray, noise: np.ndarray, uniform_range: float) -> tuple:
    """Fit a Gaussian and a uniform part to errors of one joint, by expectation maximisation.

    Args:
        errors: (N, 2) at key frames, each known up to a variance ``noise`` (N,).
        noise: of the jitter that is left in the errors.
        uniform_range: side of the square of the uniform part.

    Returns:
        Mean (2,), standard deviation (2,) and probability of the Gaussian, without the noise.
    """
    mean = np.median(errors, axis=0)
    std = np.maximum(MAD_TO_STD * np.median(np.abs(errors - mean), axis=0), MIN_STD)
    weight, noise = 0.9, noise[:, None]
    for _ in range(1000):
        total = std ** 2 + noise
        exponent = -0.5 * (np.square(errors - mean) / total).sum(axis=1)
        gaussian = weight * np.exp(exponent) / (2 * np.pi * np.sqrt(total.prod(axis=1)))
        share = (gaussian / (gaussian + (1 - weight) / uniform_range ** 2))[:, None]
        before = np.array([*mean, *std, weight])
        count = max(share.sum(), 1.0)
        mean = (share * errors).sum(axis=0) / count
        spread = (share * (np.square(errors - mean) - noise)).sum(axis=0) / count
        std = np.sqrt(np.maximum(spread, MIN_STD ** 2))
        weight = float(np.clip(share.mean(), 1e-6, 1 - 1e-6))
        if np.abs(before - [*mean, *std, weight]).max() < 1e-8:
            break
    return mean, std, weight


def fit_confidence(counts: np.ndarray, distance: np.ndarray, confidence: np.ndarray,
                   squared: np.ndarray) -> ConfidenceCurve:
    """Fit the confidence curve to moments per bin of distance, by weighted least squares.

    Args:
        counts: (N,) detections per bin.
        distance: (N,) sum of the distances.
        confidence: (N,) sum of the confidence.
        squared: (N,) sum of its square.

    Raises:
        ValueError: the distances vary too little.
    """
    used = counts >= MIN_BIN_COUNT
    if used.sum() < 4:
        raise ValueError(f'{used.sum()} bins of distance hold {MIN_BIN_COUNT} detections or more; a confidence curve '
                         'needs 4: give more clips, and detections that differ from the truth')
    number = counts[used]
    distance, mean = distance[used] / number, confidence[used] / number
    spread = np.sqrt(np.maximum(squared[used] / number - mean ** 2, 0.0))
    importance = np.sqrt(number / number.sum())

    def difference(values: np.ndarray) -> np.ndarray:
        curve = ConfidenceCurve(*values)
        expected_mean, expected_spread = clipped_moments(curve.expected(distance), curve.s)
        return np.concatenate([(expected_mean - mean) * importance,
                               (expected_spread - spread) * importance * np.sqrt(2.0)])

    found = least_squares(difference, x0=[0.03, 0.0, 0.0, 0.1], x_scale=[0.01, 1.0, 0.1, 0.1],
                          bounds=([1e-4, -20.0, -1.0, 1e-4], [10.0, 20.0, 1.0, 1.0]))
    return ConfidenceCurve(*found.x.tolist())


def clipped_moments(mean: np.ndarray, std: float) -> tuple:
    """Return mean and standard deviation of min(X, 1) given X > 0, for X normal with ``mean`` (...) and ``std``."""
    low, high = -mean / std, (1.0 - mean) / std
    density_low, density_high = (np.exp(-0.5 * value ** 2) / np.sqrt(2 * np.pi) for value in (low, high))
    inside, above = ndtr(high) - ndtr(low), ndtr(-high)
    total = np.maximum(inside + above, 1e-12)
    first = mean * inside + std * (density_low - density_high) + above
    second = (mean ** 2 + std ** 2) * inside + std * (mean * density_low - (mean + 1.0) * density_high) + above
    first, second = first / total, second / total
    return first, np.sqrt(np.maximum(second - first ** 2, 0.0))


def histogram_quantile(counts: np.ndarray, share: float) -> np.ndarray:
    """Return the distance below which a ``share`` of the detections lies, from counts (N,) per bin."""
    below = np.concatenate([[0], np.cumsum(counts)])
    return np.interp(share * below[-1], below, BIN_EDGES)
