"""Masks sampled: which joints and frames the network has to do without."""
from __future__ import annotations

import math
from functools import cache
from itertools import combinations
from typing import Optional, Union

import numpy as np

from motionbert_mm.registry import TRANSFORMS

MAX_SUBSETS = 1 << 15  # of which a table is made, to draw a row of it
STEPS = 1 << 16  # into which shares are divided, so that two random bytes decide for most entries


def sample_mask(shape: tuple, ratio: float, rng: np.random.Generator, exact: bool = True) -> np.ndarray:
    """Choose the entries of the last axis that are hidden.

    Args:
        shape: of the mask; every row along the last axis is drawn on its own.
        ratio: share of the entries.
        rng: source of the draws.
        exact: hide exactly ``round(ratio * shape[-1])`` of each row; otherwise each entry by a draw of its own.

    Returns:
        ``shape`` bool, True = hidden.
    """
    if exact:
        return sample_exactly(shape, round(ratio * shape[-1]), rng)
    return sample_independently(shape, ratio, rng)


def sample_independently(shape: tuple, ratio: float, rng: np.random.Generator) -> np.ndarray:
    """Choose every entry by a draw of its own.

    Args:
        shape: of the mask.
        ratio: share of the entries.
        rng: source of the draws.

    Returns:
        ``shape`` bool, True = hidden.
    """
    size = math.prod(shape)
    # Four draws of each word: the random numbers are what costs.
    draws = _words(-(-size // 4), rng).view(np.uint16)[:size]
    steps = math.floor(ratio * STEPS)
    mask = draws < steps
    undecided = np.flatnonzero(draws == steps)
    mask[undecided] = rng.random(len(undecided)) < ratio * STEPS - steps
    return mask.reshape(shape)


def sample_exactly(shape: tuple, count: int, rng: np.random.Generator,
                   whole: Optional[np.ndarray] = None) -> np.ndarray:
    """Choose ``count`` distinct entries of every row along the last axis, all equally likely.

    Args:
        shape: of the mask.
        count: entries that are hidden, at most ``shape[-1]``.
        rng: source of the draws.
        whole: rows (``shape[:-1]``) that are hidden whole.

    Returns:
        ``shape`` bool, True = hidden.
    """
    if count and math.comb(shape[-1], count) <= MAX_SUBSETS:
        table = _subsets(shape[-1], count)
        choice = rng.integers(len(table) - 1, size=shape[:-1])
        return np.take(table, choice if whole is None else np.where(whole, len(table) - 1, choice), axis=0)
    if whole is not None:
        return sample_exactly(shape, count, rng) | whole[..., None]
    if not count:
        return np.zeros(shape, bool)
    # Random numbers that end with the place of their entry, so that no two are the same.
    places = np.arange(shape[-1], dtype=np.uint64)
    ending = np.uint64((1 << (shape[-1] - 1).bit_length()) - 1)
    keys = (_words(shape, rng) & ~ending) | places
    return keys <= np.partition(keys, count - 1, axis=-1)[..., count - 1:count]


def _words(shape: Union[int, tuple], rng: np.random.Generator) -> np.ndarray:
    """Draw uint64 of which all bits are random."""
    return rng.integers(np.iinfo(np.uint64).max, size=shape, dtype=np.uint64, endpoint=True)


@cache
def _subsets(total: int, count: int) -> np.ndarray:
    """Return all ways to choose ``count`` of ``total`` entries, and last all of them, (S + 1, total) bool."""
    rows = np.array(list(combinations(range(total), count)))
    table = np.zeros((len(rows) + 1, total), bool)
    np.put_along_axis(table[:-1], rows, True, axis=-1)
    table[-1] = True
    return table


def inputs_to_corrupt(results: dict, name: str) -> np.ndarray:
    """Return the normalised inputs of a batch, (B, M, T, J, 3), or (B, M, T, J, 4) of 3D poses.

    Args:
        results: the batch.
        name: of the transform that hides or changes them, for the message.

    Raises:
        ValueError: no inputs yet, or inputs whose clean x and y predictions are given anyway.
    """
    if 'inputs' not in results:
        raise ValueError(f'{name} works on normalised inputs; put NormalizeCoords before it')
    if 'xy' in results.get('norm', {}):
        raise ValueError(f'{name} takes from the network what NormalizeCoords(given_2d=True) gives to the prediction, '
                         'the true x and y; leave one of them out')
    return results['inputs']


@TRANSFORMS.register_module()
class SampleMask:
    """Hide single joints and whole frames (MotionBERT, section 3.3: 5 % and 10 %, 14.5 % in all).

    Writes ``mask`` (B, M, T, J) bool; ``MotionModel`` sets hidden entries of its input to zero. A mask that is there
    already is joined.

    Args:
        joint_ratio: share of the joints of a sample that are hidden, each in a single frame.
        frame_ratio: share of the frames whose joints are all hidden.
        exact: hide exactly that share of the frames and joints of every sample. False draws for each frame and joint
            on its own, as the official code does.
        share_frames: the same frames in all samples of a batch, as the official code does.

    Raises:
        ValueError: a ratio outside 0..1; when called, an input that predictions are given anyway.
    """

    def __init__(self, *, joint_ratio: float = 0.05, frame_ratio: float = 0.1, exact: bool = False,
                 share_frames: bool = False) -> None:
        for name, ratio in (('joint_ratio', joint_ratio), ('frame_ratio', frame_ratio)):
            if not 0.0 <= ratio <= 1.0:
                raise ValueError(f'SampleMask.{name} is a share between 0 and 1, got {ratio}')
        self.joint_ratio, self.frame_ratio = joint_ratio, frame_ratio
        self.exact, self.share_frames = exact, share_frames

    @property
    def hides_joints(self) -> bool:
        """Whether single joints are hidden, not whole frames alone."""
        return self.joint_ratio > 0

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with ``mask``, if anything is to be hidden."""
        if not self.joint_ratio and not self.frame_ratio:
            return results
        batch, persons, frames, joints = shape = self.shape(results)
        mask = sample_mask((batch, persons, frames * joints), self.joint_ratio, rng, self.exact).reshape(shape)
        rows = (1, 1, frames) if self.share_frames else (batch, persons, frames)
        mask |= sample_mask(rows, self.frame_ratio, rng, self.exact)[..., None]
        return dict(results, mask=mask | results['mask'] if 'mask' in results else mask)

    @staticmethod
    def shape(results: dict) -> tuple:
        """Return the shape (B, M, T, J) of the mask of a batch."""
        return inputs_to_corrupt(results, 'SampleMask').shape[:-1]


@TRANSFORMS.register_module()
class SampleExactMask:
    """Hide whole frames, and equally many joints in every frame, for encoders that are given visible frames only.

    Temporal, spatial and spatio-temporal masking of P-STMO (ECCV 2022) and MPM (arXiv 2306.17201). Writes ``mask``
    (B, M, T, J) bool. Every sample hides equally many frames, so that what is left of a batch is an array too. With q
    the share of the frames and m joints, q + (1 - q) m / J of the input is hidden.

    Stands after ``NormalizeCoords`` and whatever corrupts the input. A mask that is there already is refused: joined,
    the counts would not be exact.

    Args:
        frame_ratio: share q of the frames of which all joints are hidden: ``int(T * q)`` of them, rounded down.
            Official P-STMO: 0.8 (0.6 and 0.7 for some models), MPM: 0.6.
        num_joints: joints m hidden in every frame. Official P-STMO: 2 (3 or 7 for some models).
        tube: hide the same joints in all frames of a sample, as MPM's completion does.
        share: one mask for all samples of a batch. Official: True.
        spare_last_joint: hide the last joint of the skeleton only with its whole frame. Official: True, where joints
            are drawn from the first 16 of 17; the papers draw from all.

    Raises:
        ValueError: a share that leaves no frame, or a number of joints that leaves none; when called, a mask that is
            there already, no inputs, or inputs that predictions are given anyway.
    """

    def __init__(self, *, frame_ratio: float = 0.8, num_joints: int = 2, tube: bool = False, share: bool = False,
                 spare_last_joint: bool = False) -> None:
        if not 0.0 <= frame_ratio < 1.0:
            raise ValueError('SampleExactMask.frame_ratio is a share of the frames, at least 0, and below 1 so that a '
                             f'frame is left, got {frame_ratio}')
        if not isinstance(num_joints, int) or isinstance(num_joints, bool) or num_joints < 0:
            raise ValueError(f'SampleExactMask.num_joints is a number of joints, at least 0, got {num_joints!r}')
        self.frame_ratio, self.num_joints = frame_ratio, num_joints
        self.tube, self.share, self.spare_last_joint = tube, share, spare_last_joint

    @property
    def hides_joints(self) -> bool:
        """Whether single joints are hidden, not whole frames alone."""
        return self.num_joints > 0

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with ``mask``, if anything is to be hidden."""
        if not self.frame_ratio and not self.num_joints:
            return results
        shape = self.shape(results)
        mask = self._draw((1, 1, *shape[2:]) if self.share else shape, rng)
        return dict(results, mask=np.broadcast_to(mask, shape).copy() if self.share else mask)

    def shape(self, results: dict) -> tuple:
        """Return the shape (B, M, T, J) of the mask of a batch, if it can be made."""
        shape = inputs_to_corrupt(results, 'SampleExactMask').shape[:-1]
        if 'mask' in results:
            raise ValueError('SampleExactMask hides exact numbers of frames and joints, but an earlier transform hid '
                             'some already; keep only one of the transforms that make a mask')
        if self.num_joints >= shape[-1]:
            raise ValueError(f'SampleExactMask.num_joints is {self.num_joints}, but a frame has {shape[-1]} joints, of '
                             'which one must be left; whole frames are hidden by frame_ratio')
        return shape

    def _draw(self, shape: tuple, rng: np.random.Generator) -> np.ndarray:
        """Draw the mask (B, M, T, J)."""
        batch, persons, frames, joints = shape
        # Official: int() of the product of floats, which can be one less than the share: int(0.29 * 100) is 28.
        hidden_frames = sample_exactly((batch, persons, frames), int(frames * self.frame_ratio), rng)
        drawn = batch, persons, 1 if self.tube else frames, joints - self.spare_last_joint
        if drawn == shape:
            return sample_exactly(shape, self.num_joints, rng, hidden_frames)
        hidden_joints = sample_exactly(drawn, self.num_joints, rng)
        if self.spare_last_joint:
            hidden_joints = np.concatenate([hidden_joints, np.zeros((*drawn[:-1], 1), bool)], axis=-1)
        return hidden_frames[..., None] | hidden_joints
