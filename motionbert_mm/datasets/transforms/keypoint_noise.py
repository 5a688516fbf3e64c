"""Detector noise that is correlated in time, per joint, as MotionBERT pretrains with."""
from __future__ import annotations

from typing import Optional

import numpy as np

from motionbert_mm.datasets.noise_files import read_noise_model
from motionbert_mm.datasets.noise_model import NoiseDraws, NoiseModel, draw_noise, simulate
from motionbert_mm.registry import TRANSFORMS


def add_mixture_noise(inputs: np.ndarray, model: NoiseModel, draws: NoiseDraws, *,
                      skip_missing: bool = True) -> np.ndarray:
    """Move joints and replace their confidence, given the random draws.

    Args:
        inputs: (..., T, J, 3) normalised x, y and confidence.
        model: parameters.
        draws: random numbers for these axes.
        skip_missing: leave joints with confidence 0 as they are.

    Returns:
        Noisy inputs of the same shape and type.
    """
    errors, confidence = simulate(model, draws)
    noisy = np.concatenate([inputs[..., :2] + errors, confidence[..., None]], axis=-1).astype(inputs.dtype)
    return np.where(inputs[..., 2:] > 0, noisy, inputs) if skip_missing else noisy


@TRANSFORMS.register_module()
class AddMixtureNoise:
    """Corrupt normalised 2D input as a detector would, drawn anew every time.

    Changes ``inputs`` (B, M, T, J, 3) of ``NormalizeCoords``: x and y move, and a confidence that follows from how far
    they moved replaces the third channel. ``keypoints_2d`` and ``confidence`` stay as they are. Noise of persons is
    independent. See ``noise_model`` for the model and MotionBERT (ICCV 2023), section 3.3 and its supplement.

    Args:
        params: file of parameters, see ``read_noise_model``; None is the package's default set.
        confidence_params: MotionBERT's ``d2c_params.pkl``, needed with its ``synthetic_noise.pth``.
        num_keyframes: key frames, spread evenly over the T frames of a sample whatever T is.
        share_jitter: give all samples of a batch the same jitter. Official: True.
        skip_missing: leave joints with confidence 0 as they are. Official: False, which gives a joint that was never
            seen a position near the image's middle and a high confidence.

    Raises:
        FileNotFoundError, ValueError: see ``read_noise_model``; no key frame.
    """

    def __init__(self, *, params: Optional[str] = None, confidence_params: Optional[str] = None,
                 num_keyframes: int = 27, share_jitter: bool = False, skip_missing: bool = True) -> None:
        if num_keyframes < 1:
            raise ValueError(f'AddMixtureNoise.num_keyframes is {num_keyframes}, expected at least 1')
        self.model = read_noise_model(params, confidence_params)
        self.num_keyframes, self.share_jitter, self.skip_missing = num_keyframes, share_jitter, skip_missing

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with noisy ``inputs``."""
        if 'inputs' not in results:
            raise ValueError('AddMixtureNoise corrupts normalised inputs; put NormalizeCoords before it')
        got, expected = results['skeleton'], self.model.skeleton
        if got != expected:
            raise ValueError(f'AddMixtureNoise has parameters for skeleton {expected!r}, the samples have {got!r}; put '
                             f'ConvertSkeleton(target={expected!r}) before it, or set params to a file that '
                             f'tools/analysis_tools/fit_noise.py fitted to {got!r}')
        inputs = results['inputs']
        if inputs.shape[-1] != 3:
            raise ValueError(f'AddMixtureNoise corrupts 2D inputs, but the inputs are {inputs.shape[-1] - 1}D poses; '
                             'put it before Take3DInputs, or leave it out')
        draws = draw_noise(rng, inputs.shape[:-1], self.num_keyframes, share_jitter=self.share_jitter)
        return dict(results, inputs=add_mixture_noise(inputs, self.model, draws, skip_missing=self.skip_missing))
