"""Windows that begin or end in another clip, as those of untrimmed video do."""
from __future__ import annotations

import numpy as np

from motionbert_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SpliceClips:
    """Replace the beginning or the end of some samples by the same frames of another sample of the batch.

    The label stays that of the sample, which keeps the middle of the window: a model learns to say what is done there
    when something else is done before or after, and segments of long sequences end where they should. For training on
    trimmed clips of single actions; stands before ``RandomMove`` and ``NormalizeCoords``.

    Args:
        prob: share of the samples.
        max_share: largest share of the frames that is replaced; shares are drawn uniformly.

    Raises:
        ValueError: shares outside 0..1, or of the frames above one half; when called, inputs that were made before.
    """

    reads_all_targets = True

    def __init__(self, *, prob: float = 0.5, max_share: float = 0.45) -> None:
        if not (0 <= prob <= 1 and 0 <= max_share <= 0.5):
            raise ValueError(f'SpliceClips got prob={prob} and max_share={max_share}; expected a share of the samples, '
                             'and of the frames at most 0.5, since the label is that of the middle')
        self.prob, self.max_share = prob, max_share

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with spliced arrays of persons and frames (B, M, T, ...)."""
        if 'inputs' in results:
            raise ValueError('SpliceClips comes after NormalizeCoords made inputs of the samples as they were; move it '
                             'to the front of the pipeline')
        shape = results['keypoints_2d'].shape[:3]
        size, _, num_frames = shape
        other = rng.permutation(size)
        is_spliced, at_end = rng.random(size) < self.prob, rng.random(size) < 0.5
        count = np.floor(rng.uniform(0, self.max_share, size) * num_frames) * is_spliced
        frame = np.arange(num_frames)
        taken = np.where(at_end[:, None], frame >= num_frames - count[:, None], frame < count[:, None])  # (B, T)
        names = [name for name, value in results.items() if isinstance(value, np.ndarray) and value.shape[:3] == shape]
        return {**results, **{name: _splice(results[name], results[name][other], taken) for name in names}}


def _splice(values: np.ndarray, others: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Take some frames (B, T) of arrays (B, M, T, ...) from the others."""
    return np.where(taken.reshape(len(taken), 1, -1, *(1,) * (values.ndim - 3)), others, values)
