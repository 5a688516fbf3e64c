"""Masks sampled: which joints and frames the network has to do without."""
from __future__ import annotations

import numpy as np

from motionbert_mm.registry import TRANSFORMS


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
    draws = rng.random(shape, dtype=np.float32)
    if not exact:
        return draws < ratio
    count = round(ratio * shape[-1])
    mask = np.zeros(shape, bool)
    if count:
        np.put_along_axis(mask, np.argpartition(draws, count - 1, axis=-1)[..., :count], True, axis=-1)
    return mask


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

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with ``mask``, if anything is to be hidden."""
        if not self.joint_ratio and not self.frame_ratio:
            return results
        if 'xy' in results.get('norm', {}):
            raise ValueError('SampleMask hides joints whose x and y NormalizeCoords(given_2d=True) gives to the '
                             'prediction; leave one of them out')
        batch, persons, frames, joints = shape = results['inputs'].shape[:-1]
        mask = sample_mask((batch, persons, frames * joints), self.joint_ratio, rng, self.exact).reshape(shape)
        rows = (1, 1, frames) if self.share_frames else (batch, persons, frames)
        mask = mask | sample_mask(rows, self.frame_ratio, rng, self.exact)[..., None]
        return dict(results, mask=mask | results['mask'] if 'mask' in results else mask)
