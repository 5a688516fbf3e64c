"""An imitation of a 2D pose detector: errors that differ by joint, last for some frames and now and then are large.

No detector was run and none of the numbers was measured on one. How joints differ in spread is taken from the published
spread of human annotations, which says how well the place of a joint is defined at all: the sigmas of COCO's keypoint
evaluation, for neck and head those of CrowdPose. The rest is chosen. The level is such that the median error is about
0.007 of half the image width for a person who fills half of the image, as is reported for Human3.6M. Trouble
is more frequent at the ends of the limbs, the hardest joints in every published table of detection rates.
"""
from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from motionbert_mm.structures.skeleton import Skeleton

# Joint without its side: spread in units of the object scale, share of frames in trouble.
JOINTS = {
    'nose': (0.026, 0.01), 'eye': (0.025, 0.01), 'ear': (0.035, 0.01), 'head': (0.079, 0.02), 'thorax': (0.079, 0.01),
    'shoulder': (0.079, 0.02), 'elbow': (0.072, 0.06), 'wrist': (0.062, 0.10), 'hip': (0.107, 0.02),
    'knee': (0.087, 0.05), 'ankle': (0.089, 0.10),
    'root': (0.076, 0.01), 'spine': (0.076, 0.01),  # not annotated there: the mean of two hips
}
FLOOR = 0.05  # that every joint has besides, as from the coarse grid of heat maps
LEVEL = 0.29  # errors of the detector over those of annotators
AREA_OF_BOX = 0.53  # a person's area over that of the box; with its root, the object scale of COCO
JITTER = 0.25  # of single frames, over the slow error
SHRINK = 0.015  # share of the bone by which a joint is drawn to its parent
SLOW_SECONDS = 0.2  # in which a slow error falls to 1/e
TROUBLE_SECONDS = 0.2  # mean length
TROUBLE_RANGE = (0.04, 0.16)  # displacement in trouble, in units of the object scale
CONFIDENCE_SCALE = 0.10  # error at which the confidence has fallen to 1/2, in units of the object scale
CONFIDENCE_STD = 0.13
CONFIDENCE_LOST = 0.15  # in trouble, besides what the error costs
MIN_CONFIDENCE = 0.01  # 0 would mean that the joint is missing
MIN_SCALE = 1e-6  # px; persons without size, such as absent ones, keep their joints


def imitate_detector(points: np.ndarray, skeleton: Skeleton, fps: float, rng: np.random.Generator) -> tuple:
    """Return what a detector might make of true 2D joints.

    The error is the sum of a slow Gaussian one, jitter, a pull towards the parent joint and, in episodes of trouble, a
    displacement that stays the same while the trouble lasts. The confidence falls with the error and wavers as slowly
    as it. Joints err independently.

    Args:
        points: (T, J, 2) pixels, one person.
        skeleton: of the joints.
        fps: frames per second.
        rng: source of the draws.

    Returns:
        Detected joints (T, J, 2) in pixels and confidence (T, J) in 0..1, float32.

    Raises:
        ValueError: a joint whose error is not known.
    """
    kinds = [joint.removeprefix('left_').removeprefix('right_') for joint in skeleton.joints]
    unknown = sorted(set(kinds) - set(JOINTS))
    if unknown:
        raise ValueError(f'the errors of {", ".join(unknown)} of skeleton {skeleton.name!r} are not known; convert the '
                         f'joints to h36m or coco17, or add rows to {__name__}.JOINTS')
    spread, trouble_share = np.array([JOINTS[kind] for kind in kinds]).T
    scale = _object_scale(points)
    std = (LEVEL / np.sqrt(2.0) * scale * np.hypot(spread, FLOOR))[:, None]  # a spread is that of the distance
    slow = _slow_noise(points.shape, SLOW_SECONDS * fps, rng) * std
    jitter = rng.standard_normal(points.shape) * (JITTER * std)
    in_trouble, displacement = _trouble(len(points), trouble_share, TROUBLE_SECONDS * fps, rng)
    error = slow + jitter + displacement * scale + SHRINK * _to_parent(points, skeleton)
    wavering = _slow_noise(points.shape[:2], SLOW_SECONDS * fps, rng) * CONFIDENCE_STD
    distance = np.linalg.norm(error, axis=-1) / scale
    certainty = CONFIDENCE_SCALE / (CONFIDENCE_SCALE + distance) - CONFIDENCE_LOST * in_trouble
    confidence = np.clip(certainty + wavering, MIN_CONFIDENCE, 1.0)
    return (points + error).astype(np.float32), confidence.astype(np.float32)


def _object_scale(points: np.ndarray) -> float:
    """Root of the person's area in pixels, the median of all frames."""
    sides = np.ptp(points, axis=1)
    return max(float(np.sqrt(np.median(sides.prod(axis=-1)) * AREA_OF_BOX)), MIN_SCALE)


def _slow_noise(shape: tuple, frames: float, rng: np.random.Generator) -> np.ndarray:
    """Unit-variance noise whose correlation falls along the first axis to 1/e in ``frames``."""
    memory = np.exp(-1.0 / frames)
    steps = rng.standard_normal(shape)
    steps[1:] *= np.sqrt(1.0 - memory ** 2)
    return lfilter([1.0], [1.0, -memory], steps, axis=0)


def _trouble(num_frames: int, share: np.ndarray, mean_length: float, rng: np.random.Generator) -> tuple:
    """Draw when joints are in trouble (T, J) and where they are then displaced to (T, J, 2), in object scales."""
    leave = min(1.0, 1.0 / mean_length)
    enter = np.minimum(1.0, leave * share / (1.0 - share))
    draws = rng.random((num_frames, len(share)))
    is_in = np.empty(draws.shape, bool)
    is_in[0] = draws[0] < share
    for frame in range(1, num_frames):
        is_in[frame] = np.where(is_in[frame - 1], draws[frame] >= leave, draws[frame] < enter)
    begins = is_in.copy()
    begins[1:] &= ~is_in[:-1]
    begin = np.maximum.accumulate(np.where(begins, np.arange(num_frames)[:, None], 0), axis=0)
    angle, length = rng.uniform(0, 2 * np.pi, draws.shape), rng.uniform(*TROUBLE_RANGE, draws.shape)
    shift = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * length[..., None]
    return is_in, np.take_along_axis(shift, begin[..., None], axis=0) * is_in[..., None]


def _to_parent(points: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Vectors (T, J, 2) from every joint to its parent; zero at the root."""
    parents = [joint if parent < 0 else parent for joint, parent in enumerate(skeleton.parents)]
    return points[:, parents] - points
