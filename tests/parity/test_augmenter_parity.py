"""MotionBERT's noise: the same numbers from the same draws, and the same statistics from draws of our own."""
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from motionbert_mm.datasets.noise_model import NoiseDraws
from motionbert_mm.datasets.transforms import AddMixtureNoise, SampleMask
from motionbert_mm.datasets.transforms.keypoint_noise import add_mixture_noise
from motionbert_mm.layers.masking import replace_masked
from tests.parity.vectors import assert_close, load_licensed_vector

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
STANDARD_ERRORS = 5
OUR_BATCHES = 8


def official_transform(directory, vector):
    """The transform with the parameters of a vector, read from files of the official kinds."""
    noise, curve, args = directory / 'synthetic_noise.pth', directory / 'd2c_params.pkl', vector.meta['args']
    torch.save({key: torch.from_numpy(vector.inputs[f'param_{key}']).double() for key in ('mean', 'std', 'weight')},
               noise)
    curve.write_bytes(pickle.dumps(vector.meta['d2c_params']))
    transform = AddMixtureNoise(params=str(noise), confidence_params=str(curve), num_keyframes=args['keyframes'],
                                share_jitter=True, skip_missing=False)
    transform.model = replace(transform.model, jitter_std=args['noise_std'], uniform_range=args['uniform_range'])
    return transform


@pytest.fixture
def vector():
    return load_licensed_vector('mb_augmenter2d')


@pytest.fixture
def noisy(vector, tmp_path):
    draws = NoiseDraws(*(vector.inputs[f'draw_{name}'] for name in ('sel', 'gauss', 'unif', 'delta', 'shift')))
    model = official_transform(tmp_path, vector).model
    return add_mixture_noise(vector.inputs['x'], model, draws, skip_missing=False)


def test_official_draws_give_the_official_noise(vector, noisy):
    for channels in (slice(0, 2), slice(2, 3)):
        assert_close(noisy[..., channels], vector.outputs['noisy'][..., channels])


def test_masking_gives_the_official_input(vector, noisy):
    args = vector.meta['args']
    hidden = ((vector.inputs['draw_mask'][..., 0] <= args['mask_ratio'])
              | (vector.inputs['draw_mask_T'][..., 0] <= args['mask_T_ratio']))
    masked = replace_masked(torch.from_numpy(noisy), torch.from_numpy(hidden))
    assert_close(masked, vector.outputs['noisy_masked'])


def statistics(noise, confidence, lags):
    """Statistics over clips and frames of noise (N, T, J, 2) and confidence (N, T, J), named as in the vector."""
    radius = np.linalg.norm(noise, axis=-1)
    centred = noise[..., 0] - noise[..., 0].mean(axis=(0, 1))
    variance = np.square(centred).mean(axis=(0, 1))
    steps = np.diff(noise, axis=1)
    return {
        'noise_mean': noise.mean(axis=(0, 1)), 'noise_std': noise.std(axis=(0, 1)),
        'noise_radius_quantiles_5_25_50_75_95': np.quantile(radius, QUANTILES, axis=(0, 1)).T,
        'conf_mean': confidence.mean(axis=(0, 1)), 'conf_std': confidence.std(axis=(0, 1)),
        'conf_frac_at_1': (confidence == 1).mean(axis=(0, 1)), 'conf_frac_at_0': (confidence == 0).mean(axis=(0, 1)),
        'd1_mean': np.linalg.norm(steps, axis=-1).mean(axis=(0, 1)),
        'd2_mean': np.linalg.norm(np.diff(steps, axis=1), axis=-1).mean(axis=(0, 1)),
        'acf': np.stack([(centred[:, lag:] * centred[:, :-lag]).mean(axis=(0, 1)) / variance for lag in lags]),
    }


def test_statistics_are_the_official_ones(vector, tmp_path):
    """Differences stay within the sampling error of both sides.

    What one batch deviates by is seen in the spread of our own batches; per statistic, the largest of any joint counts.
    """
    expected = load_licensed_vector('mb_augmenter2d_stats')
    args, lags = expected.meta['args'], expected.outputs['acf_lags']
    transform, rng = official_transform(tmp_path, vector), np.random.default_rng(args['torch_seed'])
    joints = len(expected.outputs['conf_mean'])
    inputs = np.zeros((args['clips'] // args['batches'], 1, args['T'], joints, 3), np.float32)
    drawn = [transform(dict(inputs=inputs, skeleton='h36m'), rng)['inputs'][:, 0] for _ in range(OUR_BATCHES)]
    whole = np.concatenate(drawn)
    actual = statistics(whole[..., :2], whole[..., 2], lags)
    parts = [statistics(batch[..., :2], batch[..., 2], lags) for batch in drawn]
    for name, values in actual.items():
        spread = np.std([part[name] for part in parts], axis=0, ddof=1)
        largest = spread.max(axis=1 if name == 'acf' else 0, keepdims=True)
        tolerance = STANDARD_ERRORS * largest * np.sqrt(1 / OUR_BATCHES + 1 / args['batches'])
        difference = np.abs(values - expected.outputs[name])
        assert (difference <= tolerance).all(), f'{name}: {difference.max():.3g} against {tolerance.max():.3g}'


def test_masked_fractions_are_the_official_ones(vector):
    """Differences stay within the sampling error of both sides; officially all clips of a batch share their frames."""
    expected = load_licensed_vector('mb_augmenter2d_stats')
    args, joint_ratio = expected.meta['args'], vector.meta['args']['mask_ratio']
    frame_ratio, shape = vector.meta['args']['mask_T_ratio'], expected.outputs['masked_fraction_per_joint'].shape
    transform = SampleMask(joint_ratio=joint_ratio, frame_ratio=frame_ratio, share_frames=True)
    inputs = np.ones((args['clips'] // args['batches'], 1, args['T'], *shape, 3), np.float32)
    rng = np.random.default_rng(args['torch_seed'])
    mask = np.stack([transform(dict(inputs=inputs), rng)['mask'] for _ in range(args['batches'])])
    frames = mask.all(axis=-1)
    single = mask[~frames].mean(axis=0)
    official = expected.outputs['masked_fraction_of_frames']
    # The fraction of joints hidden in frames that are not.
    official_single = (expected.outputs['masked_fraction_per_joint'] - official) / (1 - official)
    for values, others, ratio, draws in ((frames.mean(), official, frame_ratio, args['batches'] * args['T']),
                                         (single, official_single, joint_ratio, (~frames).sum())):
        tolerance = STANDARD_ERRORS * np.sqrt(2 * ratio * (1 - ratio) / draws)
        assert np.abs(values - others).max() <= tolerance, f'{values} against {others} +- {tolerance:.2g}'
