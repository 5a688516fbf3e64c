"""Movement of action clips in the image, as of a camera that is not held still."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motionbert_mm.geometry.movement import move
from motionbert_mm.registry import TRANSFORMS

# What is made of the pixels, or goes with them, and would be left behind.
_LEFT_BEHIND = ('keypoints_3d', 'keypoints_image', 'inputs', 'target_3d', 'target_2d')


@TRANSFORMS.register_module()
class RandomMove:
    """Turn, scale and shift whole samples by random amounts that change linearly over their frames.

    Moves all persons of a sample alike, about the middle of the square that ``max_side_to_unit`` spans over [-1, 1];
    confidence stays. For 2D action data; stands before ``NormalizeCoords``. Official: ``random_move`` of MotionBERT
    (lib/data/dataset_action.py). Differs from official: every draw moves the clip of the store; there the moved clip
    replaces the stored one, so that the draws of all epochs add up.

    Args:
        angle: degrees; the angles of the first and the last frame are drawn from (-angle, angle).
        scale: least and greatest factor.
        shift: greatest shift along x and y in units of half the longer image side.

    Raises:
        ValueError: numbers that are negative or not finite; when called, no image size, or 3D truth, inputs or targets
            that would not move along.
    """

    def __init__(self, *, angle: float = 10.0, scale: Sequence[float] = (0.9, 1.1), shift: float = 0.1) -> None:
        numbers = np.array([angle, *scale, shift], np.float64)
        if not (np.isfinite(numbers) & (numbers >= 0)).all() or len(scale) != 2 or not 0 < scale[0] <= scale[1]:
            raise ValueError(f'RandomMove got angle={angle}, scale={tuple(scale)} and shift={shift}; expected degrees '
                             'and a share of half the image of at least 0, and positive (least, greatest) factors')
        self.angle, self.scale, self.shift = angle, tuple(scale), shift

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with moved ``keypoints_2d``."""
        left = [name for name in _LEFT_BEHIND if name in results]
        if left:
            raise ValueError(f'RandomMove moves the 2D poses of action data alone; {", ".join(left)} of the samples '
                             'would stay. Set targets=() of the data set, and put it before NormalizeCoords')
        if 'image_size' not in results:
            raise ValueError(f"sample {results['sample_id'][0]!r} has no image size, in units of which RandomMove "
                             'shifts; give it to the converter, or leave RandomMove out')
        points, shape = results['keypoints_2d'], (len(results['keypoints_2d']), 2)
        # Official order of the draws: angle, scale, shift along x, shift along y; each for the first and last frame.
        angle, scale, *shift = (rng.uniform(*bounds, size=shape) for bounds in (
            (-self.angle, self.angle), self.scale, *[(-self.shift, self.shift)] * 2))
        half = results['image_size'].max(axis=-1)[:, None, None] / 2.0  # (B, 1, 1) px
        middle = half[..., None, None]
        moved = move(points.astype(np.float64) - middle, np.radians(angle), scale, np.stack(shift, axis=-1) * half)
        return dict(results, keypoints_2d=(moved + middle).astype(points.dtype))
