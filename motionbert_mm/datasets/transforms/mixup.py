"""Mixtures of two labelled samples of a batch."""
from __future__ import annotations

import numpy as np

from motionbert_mm.datasets.transforms.masking import inputs_to_corrupt
from motionbert_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class MixUp:
    """Mix every sample's input with that of another sample of its batch (Zhang et al., ICLR 2018).

    ``inputs`` become share * own + (1 - share) * other's, with a share drawn for each sample and one permutation of the
    batch. Writes the other's label, ``label_2`` (B,), and ``label_share`` (B,) float32, the share of ``label``. A joint
    is visible that is so in one of both. For training; stands behind ``NormalizeCoords`` and ``ZeroMissing`` and before
    ``PackInputs(fields=['label', 'label_2', 'label_share'])``. ``keypoints_2d`` and metainfo stay those of the first.

    Args:
        alpha: shares are drawn from Beta(alpha, alpha); small ones leave most samples nearly as they are. Paper: 0.1 to
            0.4.

    Raises:
        ValueError: ``alpha`` not above 0; when called, no inputs, no labels, or targets that belong to one sample.
    """

    def __init__(self, *, alpha: float = 0.2) -> None:
        if not 0 < alpha < np.inf:
            raise ValueError(f'MixUp.alpha must be a finite number above 0, got {alpha}; leave MixUp out to mix '
                             'nothing')
        self.alpha = alpha

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with mixed ``inputs``, ``label_2`` and ``label_share``."""
        inputs = inputs_to_corrupt(results, 'MixUp')
        if 'label' not in results:
            raise ValueError(f"sample {results['sample_id'][0]!r} or another one of its data set has no label, which "
                             'MixUp mixes along; convert with labels, or leave MixUp out')
        left = [name for name in ('target_3d', 'target_2d') if name in results]
        if left:
            raise ValueError(f'MixUp mixes inputs and labels, which {", ".join(left)} would not fit any more; set '
                             'target=None of NormalizeCoords and leave ReprojectionTarget out')
        other = rng.permutation(len(inputs))
        share = rng.beta(self.alpha, self.alpha, size=len(inputs)).astype(np.float32)
        weight = share[:, None, None, None, None]
        return dict(results, inputs=weight * inputs + (1 - weight) * inputs[other], label_2=results['label'][other],
                    label_share=share, visible=results['visible'] | results['visible'][other])
