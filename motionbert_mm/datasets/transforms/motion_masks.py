"""Masks of ActionPose: body regions and stretches of time that a network has to do without."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional

import numpy as np

from motionbert_mm.datasets.transforms.joint_groups import checked_range, with_copies
from motionbert_mm.datasets.transforms.masking import inputs_to_corrupt, sample_mask
from motionbert_mm.registry import TRANSFORMS
from motionbert_mm.structures.skeleton import Skeleton, get_skeleton

KINDS = ('joints', 'region', 'window')
REGIONS = ('upper_body', 'lower_body', 'head', 'arms', 'legs', 'hips')
PLACES = ('head', 'middle', 'tail')
# Published (ActionPose): half of the samples, a quarter and a quarter.
SHARES = {'joints': 0.5, 'region': 0.25, 'window': 0.25}


@TRANSFORMS.register_module()
class SampleMotionMask:
    """Hide joints and frames, or a region of the body, or a stretch of time, in each sample one of the three.

    ActionPose's mixture: in half of the samples single joints and whole frames, each by a draw of its own; in a quarter
    one of six regions (``Skeleton.regions``) in all frames; in a quarter all joints of 30 to 80 frames in a row. A
    stretch lies anywhere, so that a model learns to say how a motion began, went on and ended.

    Writes ``mask`` (B, M, T, J) bool; a mask that is there already is joined. Stands after ``NormalizeCoords`` and
    noise. For training only: data sets in test mode refuse it; ``HideWindow`` is for tests.

    Args:
        shares: kind -> share of the samples, kinds being 'joints', 'region' and 'window'; what is not named is never
            drawn. The rest up to 1 is not masked.
        joint_ratio: 'joints': share of the joints that are hidden, each in a single frame.
        frame_ratio: 'joints': share of the frames whose joints are all hidden.
        regions: 'region': one of them is drawn, all equally likely.
        num_frames: 'window': least and greatest number of frames. Of clips with padding only real frames count; where
            they are fewer than twice as many as drawn, half of them are hidden.

    Raises:
        ValueError: unknown kinds or regions, shares or ratios that are none; when called, no inputs, inputs that
            predictions are given anyway, or a skeleton without joints in a region.
    """

    hides_joints = True  # single ones, not whole frames alone
    training_only = True

    def __init__(self, *, shares: Optional[Mapping[str, float]] = None, joint_ratio: float = 0.05,
                 frame_ratio: float = 0.15, regions: Sequence[str] = REGIONS,
                 num_frames: Sequence[int] = (30, 80)) -> None:
        self.shares = dict(SHARES if shares is None else shares)
        if not set(self.shares) <= set(KINDS) or not regions or not set(regions) <= set(REGIONS):
            raise ValueError(f'SampleMotionMask got shares of {sorted(self.shares)} and regions {list(regions)}; '
                             f'expected kinds among {KINDS} and at least one region among {REGIONS}')
        ratios = [joint_ratio, frame_ratio, *self.shares.values()]
        if min(ratios) < 0 or max(ratios) > 1 or sum(self.shares.values()) > 1 + 1e-6:
            raise ValueError(f'SampleMotionMask got shares {self.shares}, joint_ratio={joint_ratio} and frame_ratio='
                             f'{frame_ratio}; each is between 0 and 1, and shares are 1 together at most')
        self.joint_ratio, self.frame_ratio, self.regions = joint_ratio, frame_ratio, tuple(regions)
        self.num_frames = checked_range(num_frames, 'SampleMotionMask')

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with ``mask``."""
        batch, persons, frames, joints = inputs_to_corrupt(results, 'SampleMotionMask').shape[:-1]
        rows = batch * persons
        ends = np.cumsum([self.shares.get(kind, 0.0) for kind in KINDS])
        kind = np.searchsorted(ends, rng.random(rows), side='right')
        drawn = {'joints': self._draw_joints((rows, frames, joints), rng),
                 'region': self._draw_regions(rows, get_skeleton(results['skeleton']), rng)[:, None],
                 'window': self._draw_windows(results, persons, rng)[..., None]}
        mask = np.zeros((rows, frames, joints), bool)
        for number, name in enumerate(KINDS):
            mask |= drawn[name] & (kind == number)[:, None, None]
        return _join(results, mask.reshape(batch, persons, frames, joints))

    def _draw_joints(self, shape: tuple, rng: np.random.Generator) -> np.ndarray:
        """Draw single joints and whole frames of all rows, (R, T, J)."""
        return (sample_mask(shape, self.joint_ratio, rng, exact=False)
                | sample_mask(shape[:2], self.frame_ratio, rng, exact=False)[..., None])

    def _draw_regions(self, rows: int, skeleton: Skeleton, rng: np.random.Generator) -> np.ndarray:
        """Draw the joints of a region for all rows, (R, J)."""
        members = [list(skeleton.regions[region]) for region in self.regions]
        empty = [region for region, joints in zip(self.regions, members) if not joints]
        if empty:
            raise ValueError(f'SampleMotionMask: skeleton {skeleton.name!r} has no joint in {", ".join(empty)}; leave '
                             'it out of regions')
        table = np.zeros((len(members), skeleton.num_joints), bool)
        for row, joints in zip(table, members):
            row[joints] = True
        return table[rng.integers(len(table), size=rows)]

    def _draw_windows(self, results: dict, persons: int, rng: np.random.Generator) -> np.ndarray:
        """Draw a stretch of real frames for all rows, (R, T)."""
        inside = np.repeat(_real_frames(results), persons, axis=0)
        count = inside.sum(axis=1)
        least, most = self.num_frames
        length = np.minimum(rng.integers(least, most, size=len(inside), endpoint=True), count // 2)
        start = rng.integers(count - length, endpoint=True)
        return with_copies(_stretch(inside, start, length)[:, None],
                           np.repeat(results['frame_ids'], persons, axis=0))[:, 0]


@TRANSFORMS.register_module()
class HideWindow:
    """Hide all joints at the beginning, middle or end of every sample: tests of completion and prediction.

    Without the end a model predicts how a motion goes on; without the middle it completes it; without the beginning it
    says how it came about. Writes ``mask`` (B, M, T, J) bool, the same every time; a mask that is there already is
    joined. Stands after ``NormalizeCoords``.

    Args:
        place: 'head', 'middle' or 'tail'.
        share: of the frames; of clips with padding, of their real frames. At least one frame is hidden and one left.

    Raises:
        ValueError: another place, or a share outside 0..1; when called, no inputs, or inputs that predictions are given
            anyway.
    """

    hides_joints = False

    def __init__(self, *, place: str = 'tail', share: float = 0.25) -> None:
        if place not in PLACES or not 0 < share < 1:
            raise ValueError(f'HideWindow got place={place!r} and share={share}; expected one of {PLACES} and a share '
                             'between 0 and 1')
        self.place, self.share = place, share

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with ``mask``."""
        shape = inputs_to_corrupt(results, 'HideWindow').shape[:-1]
        inside = _real_frames(results)
        count = inside.sum(axis=1)
        length = np.minimum(np.maximum(np.round(self.share * count), 1), count - 1).astype(np.int64)
        start = {'head': 0 * count, 'middle': (count - length) // 2, 'tail': count - length}[self.place]
        hidden = with_copies(_stretch(inside, start, length)[:, None], results['frame_ids'])
        return _join(results, np.broadcast_to(hidden[..., None], shape).copy())


def _real_frames(results: dict) -> np.ndarray:
    """Return which frames (B, T) of a batch are no padding."""
    frames = results['frame_ids']
    return results['is_inside'] if 'is_inside' in results else np.ones(frames.shape, bool)


def _stretch(inside: np.ndarray, start: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Mark ``length`` (R,) frames in a row of each row (R, T), from number ``start`` (R,) of those inside."""
    number = np.cumsum(inside, axis=1) - 1 - start[:, None]
    return inside & (number >= 0) & (number < length[:, None])


def _join(results: dict, mask: np.ndarray) -> dict:
    """Return ``results`` with a mask joined to the one that may be there."""
    return dict(results, mask=mask | results['mask'] if 'mask' in results else mask)
